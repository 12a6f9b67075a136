//! `request-headers` and `response-headers` of a listener: fields taken away, renamed and put in.
//!
//! ELB's attributes for single fields are keys of their own. What comes out cannot break a head:
//! names are tokens, values hold no control characters, and fields that frame a message or tell
//! whose it is are out of reach.

use std::time::Duration;

use crate::document::{Kind, Table};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{Diagnostic, FieldEdits, FieldPair, Span, Spanned, TlsFields};

/// Fields one table may name: each costs a comparison per field of a head.
const MAX_FIELDS: usize = 64;
/// Bytes of a name, and of a value (ELB: 1024).
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 1024;

/// Fields that frame a message or belong to one connection.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Fields of requests with keys of their own.
const OWN: [(&str, &str); 8] = [
    ("forwarded", "use `forwarded` of the listener"),
    ("traceparent", "use `trace` of the listener"),
    (
        "x-amzn-tls-cipher-suite",
        "use `x-amzn-tls-version-and-cipher-suite`",
    ),
    (
        "x-amzn-tls-version",
        "use `x-amzn-tls-version-and-cipher-suite`",
    ),
    ("x-amzn-trace-id", "use `trace` of the listener"),
    (
        "x-forwarded-for",
        "use `xff-header-processing-mode` of the listener",
    ),
    ("x-forwarded-port", "the listener always writes its own"),
    ("x-forwarded-proto", "the listener always writes its own"),
];
/// Fields that tell targets who a client is by its certificate; others that begin so are nobody's.
const CERTIFICATE: [&str; 6] = [
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Serial-Number",
    "X-Amzn-Mtls-Clientcert-Issuer",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Amzn-Mtls-Clientcert-Validity",
    "X-Amzn-Mtls-Clientcert-Leaf",
];
const OF_CERTIFICATES: &str = "x-amzn-mtls-";
/// Response fields that ELB inserts, with texts of their own.
const TEXTS: [(&str, &str); 6] = [
    ("strict-transport-security", "Strict-Transport-Security"),
    ("content-security-policy", "Content-Security-Policy"),
    ("access-control-allow-origin", "Access-Control-Allow-Origin"),
    (
        "access-control-allow-methods",
        "Access-Control-Allow-Methods",
    ),
    (
        "access-control-allow-headers",
        "Access-Control-Allow-Headers",
    ),
    (
        "access-control-expose-headers",
        "Access-Control-Expose-Headers",
    ),
];
/// How long a browser may keep the answer to a preflight (browsers cap it at a day).
const MAX_AGE: Limit<Duration> = Limit {
    default: Duration::ZERO,
    min: Duration::ZERO,
    max: Duration::from_secs(86_400),
    why: "no browser keeps the answer for longer than a day",
};

/// `request-headers` as it was read.
pub(super) struct OfRequests {
    pub(super) edits: FieldEdits,
    /// What the TLS fields are called.
    pub(super) tls: TlsFields,
    /// Other names of fields about clients' certificates.
    pub(super) certificate: Vec<FieldPair>,
}

/// Reads `request-headers`.
pub(super) fn of_requests(listener: &mut Reader<'_>, tells_tls: bool) -> OfRequests {
    let mut names = TlsFields {
        version: "X-Amzn-Tls-Version".to_owned(),
        cipher: "X-Amzn-Tls-Cipher-Suite".to_owned(),
    };
    let Some(table) = listener.table("request-headers") else {
        return OfRequests {
            edits: FieldEdits::default(),
            tls: names,
            certificate: Vec::new(),
        };
    };
    let title = format!("`request-headers` of {}", listener.title());
    let mut reader = Reader::new(listener.scope(), table, Section::RequestHeaders, title);
    for (key, name) in [
        ("x-amzn-tls-version", &mut names.version),
        ("x-amzn-tls-cipher-suite", &mut names.cipher),
    ] {
        if !tells_tls {
            let why = "targets are not told how clients encrypt";
            let help = "add `x-amzn-tls-version-and-cipher-suite = true` to an `https` listener";
            reader.misplaced(key, why, help);
        } else if let Some(given) = reader.text(key)
            && is_free(&reader, given.value, given.span, &OWN)
        {
            given.value.clone_into(name);
        }
    }
    let certificate = of_certificates(&mut reader, listener.has("mutual-authentication"));
    let edits = edits(&mut reader, &OWN);
    reader.finish();
    OfRequests {
        edits,
        tls: names,
        certificate,
    }
}

/// Other names for the fields about clients' certificates.
fn of_certificates(reader: &mut Reader<'_>, asks: bool) -> Vec<FieldPair> {
    let mut renamed = Vec::new();
    for name in CERTIFICATE {
        let key = name.to_ascii_lowercase();
        if !asks {
            let why = "clients are not asked for certificates";
            let help = "add `mutual-authentication` to an `https` listener";
            reader.misplaced(&key, why, help);
        } else if let Some(given) = reader.text(&key)
            && is_free(reader, given.value, given.span, &OWN)
        {
            renamed.push((name.to_owned(), given.value.to_owned()));
        }
    }
    renamed
}

/// Reads `response-headers`.
pub(super) fn of_responses(listener: &mut Reader<'_>) -> FieldEdits {
    let Some(table) = listener.table("response-headers") else {
        return FieldEdits::default();
    };
    let title = format!("`response-headers` of {}", listener.title());
    let mut reader = Reader::new(listener.scope(), table, Section::ResponseHeaders, title);
    let mut edits = edits(&mut reader, &[]);
    if reader.flag("server").is_some_and(|found| !found.value) {
        edits.remove.push("Server".to_owned());
    }
    for (key, name) in TEXTS {
        if let Some(text) = reader.text(key)
            && is_value(&reader, key, text.value, text.span)
        {
            edits.insert.push((name.to_owned(), text.value.to_owned()));
        }
    }
    if let Choice::Is(word) = reader.choice("x-content-type-options", &[("nosniff", "nosniff")]) {
        insert(&mut edits, "X-Content-Type-Options", word.value);
    }
    frame_options(&mut reader, &mut edits);
    let credentials = reader.flag("access-control-allow-credentials");
    if credentials.is_some_and(|found| found.value) {
        insert(&mut edits, "Access-Control-Allow-Credentials", "true");
    }
    if let Some(age) = reader.duration("access-control-max-age", &MAX_AGE) {
        let seconds = age.value.as_secs().to_string();
        insert(&mut edits, "Access-Control-Max-Age", &seconds);
    }
    reader.finish();
    edits
}

fn insert(edits: &mut FieldEdits, name: &str, value: &str) {
    edits.insert.push((name.to_owned(), value.to_owned()));
}

fn frame_options(reader: &mut Reader<'_>, edits: &mut FieldEdits) {
    const KEY: &str = "x-frame-options";
    let Some(text) = reader.text(KEY) else {
        return;
    };
    let known = matches!(text.value, "DENY" | "SAMEORIGIN");
    if known || text.value.starts_with("ALLOW-FROM ") {
        if is_value(reader, KEY, text.value, text.span) {
            insert(edits, "X-Frame-Options", text.value);
        }
    } else {
        let message = format!("`{KEY}` of {} cannot be `{}`", reader.title(), text.value);
        let help = "write \"DENY\", \"SAMEORIGIN\" or \"ALLOW-FROM https://…\"";
        reader.bad_value(text.span, message, help);
    }
}

/// `remove`, `rename` and `insert`.
fn edits(reader: &mut Reader<'_>, own: &[(&str, &str)]) -> FieldEdits {
    let remove = reader.texts("remove");
    let is_free_name = |name: &Spanned<&str>| is_free(reader, name.value, name.span, own);
    let remove = remove.into_iter().filter(is_free_name);
    let remove = remove.map(|name| name.value.to_owned());
    let mut edits = FieldEdits {
        remove: remove.collect(),
        ..FieldEdits::default()
    };
    if let Some(table) = reader.table("rename") {
        let check = |_: &str, name: &str, span| is_free(reader, name, span, own);
        edits.rename = pairs(reader, "rename", table, own, check);
    }
    if let Some(table) = reader.table("insert") {
        let check = |name: &str, value: &str, span| is_value(reader, name, value, span);
        edits.insert = pairs(reader, "insert", table, own, check);
    }
    let count = edits.remove.len() + edits.rename.len() + edits.insert.len();
    if count > MAX_FIELDS {
        let message = format!("{} names {count} fields", reader.title());
        let help = format!("keep to {MAX_FIELDS}: each is looked for in every message");
        reader.bad_value(reader.span(), message, help);
    }
    edits
}

/// The entries of a table whose keys are field names.
fn pairs(
    reader: &Reader<'_>,
    key: &str,
    table: &Table,
    own: &[(&str, &str)],
    check: impl Fn(&str, &str, Span) -> bool,
) -> Vec<FieldPair> {
    let entries = table.entries.iter().filter_map(|entry| {
        let name_is_good = is_free(reader, &entry.key, entry.key_span, own);
        let Kind::String(value) = &entry.value.kind else {
            if !matches!(entry.value.kind, Kind::Broken) {
                let message = format!(
                    "`{}` in `{key}` of {} is no text",
                    entry.key,
                    reader.title()
                );
                reader.bad_value(entry.value.span, message, "put it in double quotes");
            }
            return None;
        };
        let good = check(&entry.key, value, entry.value.span) && name_is_good;
        good.then(|| (entry.key.clone(), value.clone()))
    });
    entries.collect()
}

/// True for a field that the file may take away, rename or put in; reports others.
fn is_free(reader: &Reader<'_>, name: &str, span: Span, own: &[(&str, &str)]) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    let help = if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(symbol) {
        "write a name of 1 to 64 letters, digits and hyphens"
    } else if FRAMING.contains(&lower.replace('_', "-").as_str()) {
        "leave it out: what frames a message or belongs to a connection is the balancer's"
    } else if let Some((_, help)) = own.iter().find(|(own, _)| *own == lower) {
        help
    } else if !own.is_empty() && lower.replace('_', "-").starts_with(OF_CERTIFICATES) {
        "use `mutual-authentication` of the listener: only it writes fields that begin so"
    } else {
        return true;
    };
    refuse(
        reader,
        span,
        format!("the field `{}`", name.escape_debug()),
        help,
    );
    false
}

/// RFC 9110 section 5.5, without obs-text; reports others.
fn is_value(reader: &Reader<'_>, key: &str, text: &str, span: Span) -> bool {
    let printable = |byte| byte == b' ' || u8::is_ascii_graphic(&byte);
    let good = !text.is_empty() && text.len() <= MAX_VALUE && text.trim() == text;
    if good && text.bytes().all(printable) {
        return true;
    }
    let help = "write 1 to 1024 printable characters, without blanks at the ends";
    refuse(reader, span, format!("this value of `{key}`"), help);
    false
}

fn refuse(reader: &Reader<'_>, span: Span, what: String, help: &str) {
    let message = format!("{what} cannot stand in {}", reader.title());
    reader.scope().report(
        Diagnostic::error("bad-header", span, message)
            .consequence("messages would be broken, or say what is not so")
            .help(help),
    );
}
