//! What every part of the page is made of: tables, badges, links, and text that stays text.
//!
//! Pure. Everything that came from a file or the network goes through `escape` before it is markup,
//! or through `segment` before it is part of a path.

use std::fmt::Write;

use super::super::api::Status;

/// Rows of one table; a page is for people, the API has the rest.
pub(super) const MAX_ROWS: usize = 200;

/// A table; cells are markup already. On a narrow screen each cell shows its column's name.
pub(super) fn table<const N: usize>(
    columns: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut text = String::from("<table><thead><tr>");
    for column in columns {
        // Writing into a String cannot fail.
        let _ = write!(text, "<th>{column}</th>");
    }
    text.push_str("</tr></thead><tbody>\n");
    let mut rows = rows.into_iter();
    for row in rows.by_ref().take(MAX_ROWS) {
        text.push_str("<tr>");
        for (column, cell) in columns.iter().zip(row) {
            let _ = write!(text, "<td data-column=\"{column}\">{cell}</td>");
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table>");
    let more = rows.count();
    if more > 0 {
        let _ = write!(text, "<p>and {more} more: the API lists them all</p>");
    }
    text
}

/// Status as a badge, and why.
pub(super) fn verdict(status: Status, reasons: &[String]) -> String {
    let reasons: Vec<String> = reasons.iter().map(|reason| escape(reason)).collect();
    format!(
        "{} <small>{}</small>",
        badge(status, status.as_str()),
        reasons.join("; ")
    )
}

/// One word on the colour of a status.
pub(super) fn badge(status: Status, text: &str) -> String {
    format!(
        "<span class=\"{}\">{}</span>",
        status.as_str(),
        escape(text)
    )
}

/// Text as HTML text or attribute value.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A link; `path` is made of literals and [`segment`]s.
pub(super) fn link(path: &str, text: &str) -> String {
    format!("<a href=\"{path}\">{}</a>", escape(text))
}

/// Text as one segment of a path: what RFC 3986 section 2.3 does not call unreserved is
/// percent-encoded, but for the colon, which a segment may hold.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b':' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            // Writing into a String cannot fail.
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_texts_stays_text() {
        assert_eq!(
            escape("<script>\"a\" & 'b'</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;"
        );
        let shown = verdict(Status::Error, &["<img src=x>".to_owned()]);
        assert!(!shown.contains("<img"), "{shown}");
    }

    #[test]
    fn any_name_is_one_segment() {
        assert_eq!(segment("a/b?c#d\"e é"), "a%2Fb%3Fc%23d%22e%20%C3%A9");
        assert_eq!(segment("[::1]:80"), "%5B::1%5D:80");
    }

    #[test]
    fn long_tables_end_with_how_many_are_left() {
        let rows = (0..MAX_ROWS + 3).map(|n| [n.to_string()]);
        let text = table(&["n"], rows);
        assert_eq!(text.matches("<td").count(), MAX_ROWS);
        assert!(text.ends_with("<p>and 3 more: the API lists them all</p>"));
    }
}
