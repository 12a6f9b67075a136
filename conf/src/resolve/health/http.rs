//! What an HTTP probe sends and expects: `method`, `path`, `host`, `headers`, `matcher`,
//! `search-string`.
//!
//! Called for `http`, `https`, `h2` and `h2c` checks. What is written here goes on the wire as it stands, so
//! nothing that could break a request line or a field is let through.

use super::matcher::Codes;
use super::tls;
use super::{Owner, Protocol};
use crate::document::{Kind, Table};
use crate::resolve::address;
use crate::tree::Reader;
use crate::{Diagnostic, HttpCheck, HttpVersion};

/// The keys read here, but for those of TLS.
pub(super) const KEYS: [&str; 6] = [
    "path",
    "host",
    "matcher",
    "method",
    "headers",
    "search-string",
];
/// Header fields a check may add.
const MAX_FIELDS: usize = 32;
/// Bytes of a field, and of all of them, that no service should mind.
const MAX_VALUE: usize = 1024;
/// Route 53 `SearchString`.
const MAX_SEARCH: usize = 255;
/// Fields the probe writes itself, and why they cannot be given.
const OWN_FIELDS: [(&str, &str); 5] = [
    ("host", "use the key `host`"),
    ("connection", "each probe has a connection of its own"),
    ("content-length", "probes have no body"),
    ("transfer-encoding", "probes have no body"),
    ("upgrade", "probes do not change protocols"),
];

/// Reads an HTTP check.
pub(super) fn read(reader: &mut Reader<'_>, protocol: Protocol, owner: &Owner) -> HttpCheck {
    let words = ["GET", "HEAD", "OPTIONS", "POST"].map(|word| (word, word));
    let method = reader.choice("method", &words).value_or("GET");
    let path = address::request_path(reader);
    let host = address::host_header(reader);
    let headers = headers(reader);
    let matcher = Codes::http(owner).read(reader);
    let search_string = search_string(reader);
    if method == "HEAD" && search_string.is_some() {
        reader.misplaced(
            "search-string",
            "the answer to HEAD has no body",
            "use method `GET`, or remove it",
        );
    }
    let is_tls = matches!(protocol, Protocol::Https | Protocol::H2);
    let tls = is_tls.then(|| {
        let host = host.as_deref();
        tls::read(reader, owner.profile, host)
    });
    HttpCheck {
        method,
        path,
        host,
        headers,
        matcher,
        search_string,
        version: match protocol {
            Protocol::H2 | Protocol::H2c => HttpVersion::Http2,
            _ => HttpVersion::Http1,
        },
        tls,
    }
}

/// A check of a group whose file gives none: GET `/`.
pub(super) fn unwritten(owner: &Owner) -> HttpCheck {
    HttpCheck {
        method: "GET",
        path: "/".to_owned(),
        host: None,
        headers: Vec::new(),
        matcher: Codes::http(owner).default(),
        search_string: None,
        version: HttpVersion::Http1,
        tls: None,
    }
}

/// Reads `search-string`.
pub(super) fn search_string(reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.text("search-string")?;
    if text.value.is_empty() || text.value.len() > MAX_SEARCH {
        reader.bad_value(
            text.span,
            format!(
                "`search-string` of {} is {} bytes long",
                reader.title(),
                text.value.len()
            ),
            "write 1 to 255 bytes that stand in the first 5120 bytes of the body",
        );
        return None;
    }
    Some(text.value.to_owned())
}

/// Reads `headers`.
pub(super) fn headers(reader: &mut Reader<'_>) -> Vec<(String, String)> {
    let headers = reader.table("headers");
    headers.map_or_else(Vec::new, |table| fields(reader, table))
}

fn fields(reader: &Reader<'_>, table: &Table) -> Vec<(String, String)> {
    if table.entries.len() > MAX_FIELDS {
        reader.bad_value(
            table.span,
            format!("{} adds more than {MAX_FIELDS} headers", reader.title()),
            "keep those that the service needs",
        );
    }
    let mut fields = Vec::new();
    for entry in &table.entries {
        let name = entry.key.to_ascii_lowercase();
        if let Some((_, why)) = OWN_FIELDS.iter().find(|(own, _)| *own == name) {
            refuse(reader, entry.key_span, format!("`{}`", entry.key), why);
            continue;
        }
        let Kind::String(value) = &entry.value.kind else {
            // Reports all but a string that could not be expanded, which has been.
            let _reported = reader.as_text(&entry.key, &entry.value);
            continue;
        };
        if !is_token(&entry.key) {
            let shown = format!("the name `{}`", entry.key.escape_debug());
            refuse(reader, entry.key_span, shown, "use letters, digits and `-`");
        } else if !is_field_value(value) {
            let shown = format!("the value of `{}`", entry.key);
            let help = "keep to 1024 printable characters";
            refuse(reader, entry.value.span, shown, help);
        } else {
            fields.push((entry.key.clone(), value.clone()));
        }
    }
    fields
}

fn refuse(reader: &Reader<'_>, span: crate::Span, what: String, help: &str) {
    let message = format!("{what} cannot stand in `headers` of {}", reader.title());
    reader.scope().report(
        Diagnostic::error("bad-header", span, message)
            .consequence("the request would be broken, and the probe would fail for that alone")
            .help(help),
    );
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= MAX_VALUE && text.bytes().all(symbol)
}

/// RFC 9110 section 5.5, without obs-text.
fn is_field_value(text: &str) -> bool {
    text.len() <= MAX_VALUE
        && text.trim() == text
        && (text.bytes()).all(|byte| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic())
}
