//! Diagnostics for programs: an array of objects, one key for each thing the human form shows.
//!
//! Lines and columns count from 1, columns in characters; `end-column` is one past the last.

use serde_json::{Map, Value, json};

use crate::{Diagnostic, Severity, Sources, Span};

/// Renders every diagnostic. Problems of no place have `file`, `line`, `column` and `excerpt` null.
pub fn render_json(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    diagnostics.iter().map(|d| one(d, sources)).collect()
}

fn one(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put(
        "severity",
        match diagnostic.severity {
            Severity::Error => "error".into(),
            Severity::Warning => "warning".into(),
        },
    );
    put("code", diagnostic.code.into());
    put("message", diagnostic.message.clone().into());
    let (place, excerpt) = match diagnostic.span {
        Some(span) => place(span, sources),
        None => (Map::new(), Value::Null),
    };
    for key in ["file", "line", "column", "end-line", "end-column"] {
        put(key, place.get(key).cloned().unwrap_or(Value::Null));
    }
    put("excerpt", excerpt);
    put("consequence", diagnostic.consequence.clone().into());
    put("help", diagnostic.help.clone().into());
    put(
        "related",
        diagnostic
            .related
            .iter()
            .map(|(span, text)| related(*span, text, sources))
            .collect(),
    );
    Value::Object(object)
}

fn place(span: Span, sources: &Sources) -> (Map<String, Value>, Value) {
    let start = sources.location(span);
    let end = sources.location(Span {
        start: span.end,
        ..span
    });
    let mut place = Map::new();
    place.insert("file".to_owned(), start.path.to_string_lossy().into());
    for (key, number) in [
        ("line", start.line),
        ("column", start.column),
        ("end-line", end.line),
        ("end-column", end.column),
    ] {
        place.insert(key.to_owned(), number.into());
    }
    (place, start.text.into())
}

fn related(span: Span, text: &str, sources: &Sources) -> Value {
    let (mut place, _) = place(span, sources);
    place.insert("message".to_owned(), json!(text));
    Value::Object(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_related_places_are_objects() {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", "one = 1\ntwö = 2\n");
        let problem = Diagnostic::error("x", Span::new(file, 8..12), "message")
            .consequence("nothing")
            .related(Span::new(file, 0..3), "first");
        assert_eq!(
            render_json(&[problem, Diagnostic::warning("y", None, "m")], &sources),
            json!([
                {
                    "severity": "error", "code": "x", "message": "message", "file": "a.toml",
                    "line": 2, "column": 1, "end-line": 2, "end-column": 4, "excerpt": "twö = 2",
                    "consequence": "nothing", "help": null,
                    "related": [{
                        "file": "a.toml", "line": 1, "column": 1, "end-line": 1, "end-column": 4,
                        "message": "first",
                    }],
                },
                {
                    "severity": "warning", "code": "y", "message": "m", "file": null, "line": null,
                    "column": null, "end-line": null, "end-column": null, "excerpt": null,
                    "consequence": null, "help": null, "related": [],
                },
            ])
        );
    }
}
