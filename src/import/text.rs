//! The file that comes of it: TOML text, and what was left out as comments with the reason.

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A list of strings.
pub(super) fn list<'t>(items: impl IntoIterator<Item = &'t str>) -> String {
    let items: Vec<String> = items.into_iter().map(quoted).collect();
    format!("[{}]", items.join(", "))
}

/// Lines of comments, indented by `indent`.
pub(super) fn comment(text: &str, indent: &str) -> String {
    let lines = text.lines();
    lines.map(|line| format!("{indent}# {line}\n")).collect()
}

/// A word that can be a name in a configuration: what cannot stand in one is a dash.
pub(super) fn word(text: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let word: String = text
        .chars()
        .map(|c| if good(c) { c } else { '-' })
        .collect();
    match word.is_empty() {
        true => "unnamed".to_owned(),
        false => word,
    }
}
