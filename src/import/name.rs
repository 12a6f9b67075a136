//! Names and values as Route 53 writes them, in the form of zone files.
//!
//! Route 53 escapes bytes as three OCTAL digits (`\052` is `*`), master files as three decimal ones
//! (RFC 1035 section 5.1); and its names are absolute with or without a final dot.

/// Record types whose values hold a name, and at which word.
const NAMES: [(&str, usize); 10] = [
    ("CNAME", 0),
    ("NS", 0),
    ("PTR", 0),
    ("DNAME", 0),
    ("MX", 1),
    ("KX", 1),
    ("SVCB", 1),
    ("HTTPS", 1),
    ("SRV", 3),
    ("NAPTR", 5),
];

/// Octal escapes as the bytes they stand for, other escapes as they are: pairs of the byte and
/// whether it was escaped.
fn bytes(text: &str) -> Vec<(u8, bool)> {
    let mut rest = text.as_bytes();
    let mut out = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push((byte, false));
            continue;
        }
        if let [
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            after @ ..,
        ] = rest
        {
            out.push(((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'), true));
            rest = after;
        } else if let Some((&escaped, after)) = rest.split_first() {
            out.push((escaped, true));
            rest = after;
        }
    }
    out
}

/// A name absolute, in lower case, without the final dot, `*` for a wildcard.
pub(super) fn absolute(text: &str) -> String {
    let mut name = written(text, &|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*' | b'/')
    });
    if name.ends_with('.') && !name.ends_with("\\.") {
        name.pop();
    }
    name.to_ascii_lowercase()
}

/// Bytes that were escaped and that `plain` does not hold for, escaped in the way of zone files.
fn written(text: &str, plain: &dyn Fn(u8) -> bool) -> String {
    let mut out = String::new();
    for (byte, escaped) in bytes(text) {
        match byte {
            _ if !escaped && byte.is_ascii() => out.push(char::from(byte)),
            _ if escaped && plain(byte) => out.push(char::from(byte)),
            0x21..=0x7e => {
                out.push('\\');
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("\\{byte:03}")),
        }
    }
    out
}

/// A name relative to `zone`, both as [`absolute`] gives them; `None` outside of it.
pub(super) fn relative(name: &str, zone: &str) -> Option<String> {
    if name == zone {
        return Some("@".to_owned());
    }
    let inside = name.strip_suffix(zone)?;
    let owner = match zone {
        "" => inside,
        _ => inside.strip_suffix('.')?,
    };
    (!owner.is_empty()).then(|| match owner.strip_prefix('@') {
        Some(rest) => format!("\\@{rest}"),
        None => owner.to_owned(),
    })
}

/// A value of a type.
pub(super) fn value(rtype: &str, text: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*' | b'/');
    let text = written(text, &plain);
    let Some((_, at)) = NAMES.iter().find(|(name, _)| *name == rtype) else {
        return text;
    };
    let words = text.split(' ').filter(|word| !word.is_empty()).enumerate();
    let words: Vec<String> = words
        .map(|(index, word)| match index == *at && !word.ends_with('.') {
            true => format!("{word}."),
            false => word.to_owned(),
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_becomes_what_zone_files_write() {
        assert_eq!(absolute("\\052.Example.com."), "*.example.com");
        assert_eq!(absolute("a\\056b.example.com."), "a\\.b.example.com");
        assert_eq!(
            absolute("a\\040b\\303.example.com"),
            "a\\032b\\195.example.com"
        );
        assert_eq!(
            value("TXT", "\"caf\\303\\251 \\\"x\\\"\""),
            "\"caf\\195\\169 \\\"x\\\"\""
        );
        assert_eq!(value("TXT", "\"a\\134b\""), "\"a\\\\b\"");
        assert_eq!(value("TXT", "\"café\""), "\"caf\\195\\169\"");
    }

    #[test]
    fn names_in_values_are_absolute() {
        assert_eq!(value("CNAME", "www.example.com"), "www.example.com.");
        assert_eq!(value("CNAME", "\\052.example.com."), "*.example.com.");
        assert_eq!(value("MX", "10 mail.example.com"), "10 mail.example.com.");
        assert_eq!(
            value("SRV", "1 2 5060  sip.example.com"),
            "1 2 5060 sip.example.com."
        );
        assert_eq!(value("A", "192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn owners_are_relative_to_the_zone() {
        assert_eq!(relative("example.com", "example.com").as_deref(), Some("@"));
        assert_eq!(
            relative("*.example.com", "example.com").as_deref(),
            Some("*")
        );
        assert_eq!(
            relative("@.example.com", "example.com").as_deref(),
            Some("\\@")
        );
        assert_eq!(relative("badexample.com", "example.com"), None);
        assert_eq!(relative("other.test", "example.com"), None);
    }
}
