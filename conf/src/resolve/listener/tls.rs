//! `certificates`, `tls-policy`, `alpn` and what else belongs to TLS that ends at a listener.
//!
//! Reads the files that are named, so that a certificate nobody could be served with is an error of
//! the configuration and not a listener that fails each handshake.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::defaults::Numbers;
use super::http::Http2;
use crate::document::Table;
use crate::section::Section;
use crate::suggest;
use crate::tls_policy::{DEFAULT, REFUSED, SERVED, is_fips};
use crate::tree::{Choice, Reader};
use crate::{
    Alpn, Certificate, Diagnostic, ListenerProtocol, ListenerTls, Spanned, TlsPolicy,
    read_certificate,
};

/// The word for certificates that the local CA signs.
const LOCAL_CA: &str = "local-ca";

const KEYS: [&str; 5] = [
    "certificates",
    "tls-policy",
    "alpn",
    "tls-handshake-timeout",
    "mutual-authentication",
];

/// Certificates of one listener (ELB: 25 beside the default one; files of ours are free).
const MAX_CERTIFICATES: usize = 1000;

/// Suites that a message names.
const SHOWN_SUITES: usize = 3;

/// Reads the keys of a listener at which TLS ends; reports them at any other.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<ListenerProtocol>,
    http2: Http2,
    numbers: &Numbers,
) -> Option<ListenerTls> {
    let Some(protocol) = protocol else {
        // Right or wrong with a protocol that is not known: not worth a second error.
        for key in KEYS {
            reader.take(key);
        }
        return None;
    };
    if !protocol.is_tls() {
        let (clear, over_tls) = match protocol.is_http() {
            true => ("http", "https"),
            false if protocol == ListenerProtocol::TlsPassthrough => ("tls-passthrough", "tls"),
            false => ("tcp", "tls"),
        };
        let word = protocol.as_str();
        let help = match word == clear {
            true => format!("use protocol `{over_tls}`, or remove the key"),
            false => "remove it".to_owned(),
        };
        for key in KEYS {
            reader.misplaced_once(
                key,
                &format!("a {word} listener has no TLS of its own"),
                &help,
            );
        }
        return None;
    }
    let (certificates, local_ca) = certificates(reader);
    let policy = policy(reader);
    let alpn = alpn(reader, protocol, http2);
    let clients = super::mutual::read(reader, protocol);
    let handshake_timeout = reader.duration_or("tls-handshake-timeout", &numbers.handshake_timeout);
    Some(ListenerTls {
        certificates,
        // Its names are known once rules and records are.
        local_ca: local_ca.then(Vec::new),
        policy,
        alpn,
        handshake_timeout,
        clients,
    })
}

/// The certificates, and whether the local CA is to sign instead.
fn certificates(reader: &mut Reader<'_>) -> (Vec<Arc<Certificate>>, bool) {
    let help = "add `certificates = [{ cert = \"site.pem\", key = \"site.key\" }]`";
    reader.missing("certificates", "no handshake could succeed", help);
    if reader.is_text("certificates") {
        let word = reader.text("certificates");
        let is_local = word.is_some_and(|word| word.value == LOCAL_CA);
        if let Some(word) = word.filter(|_| !is_local) {
            let message = format!(
                "`certificates` of {} cannot be `{}`",
                reader.title(),
                word.value
            );
            let help = "write \"local-ca\", or `[{ cert = \"site.pem\", key = \"site.key\" }]`";
            reader.bad_value(word.span, message, help);
        }
        return (Vec::new(), is_local);
    }
    let tables = reader.tables("certificates");
    let span = reader.key_span("certificates").unwrap_or(reader.span());
    if reader.has("certificates") && reader.is_empty_or_absent("certificates") {
        let message = format!("`certificates` of {} is empty", reader.title());
        let help = "write `certificates = [{ cert = \"site.pem\", key = \"site.key\" }]`";
        reader.bad_value(span, message, help);
    }
    if tables.len() > MAX_CERTIFICATES {
        let message = format!(
            "{} has more than {MAX_CERTIFICATES} certificates",
            reader.title()
        );
        reader.bad_value(span, message, "spread the names over several listeners");
        return (Vec::new(), false);
    }
    let found = tables
        .into_iter()
        .filter_map(|table| certificate(reader, table));
    (found.map(Arc::new).collect(), false)
}

fn certificate(outer: &Reader<'_>, table: &Table) -> Option<Certificate> {
    let title = format!("a certificate of {}", outer.title());
    let mut reader = Reader::new(outer.scope(), table, Section::Certificate, title);
    reader.missing(
        "cert",
        "there would be nothing to show clients",
        "add `cert = \"site.pem\"`",
    );
    let help = "add `key = \"site.key\"`; a file that holds both may be named twice";
    reader.missing("key", "the certificate could not be proved", help);
    let cert = reader.text("cert");
    let key = reader.text("key");
    reader.finish();
    let (cert, key) = (cert?, key?);
    let path = |text: Spanned<&str>| reader_path(outer, text);
    match read_certificate(path(cert), path(key), cert.span) {
        Ok(certificate) => {
            warn_of_validity(outer, &certificate);
            Some(certificate)
        }
        Err(fault) => {
            let span = if fault.of_key { key.span } else { cert.span };
            outer.scope().report(
                Diagnostic::error("bad-certificate", span, fault.what)
                    .consequence("handshakes that need it would fail")
                    .help(fault.help),
            );
            None
        }
    }
}

fn reader_path(reader: &Reader<'_>, text: Spanned<&str>) -> std::path::PathBuf {
    reader.scope().path(text.value, text.span)
}

fn warn_of_validity(reader: &Reader<'_>, certificate: &Certificate) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    let facts = &certificate.facts;
    let file = certificate.cert.display();
    let (message, help) = if facts.not_after < now {
        (
            format!("`{file}` has expired"),
            "renew it; the file is read again by a reload",
        )
    } else if facts.not_before > now {
        (
            format!("`{file}` is not valid yet"),
            "set this machine's clock, or make the certificate anew",
        )
    } else {
        return;
    };
    reader.scope().report(
        Diagnostic::warning("certificate-validity", certificate.span, message)
            .consequence("clients that verify certificates would refuse it")
            .help(help),
    );
}

fn policy(reader: &mut Reader<'_>) -> &'static TlsPolicy {
    let [default, ..] = &SERVED;
    let Some(named) = reader.text("tls-policy") else {
        return default;
    };
    let Some(policy) = SERVED.iter().find(|policy| policy.name == named.value) else {
        bad_policy(reader, named);
        return default;
    };
    if let [_, ..] = policy.left_out {
        let shown = policy.left_out.iter().take(SHOWN_SUITES).copied();
        let mut shown: Vec<_> = shown.collect();
        if policy.left_out.len() > SHOWN_SUITES {
            shown.push("…");
        }
        let message = format!(
            "{} of the suites of `{}` are not served: {}",
            policy.left_out.len(),
            policy.name,
            shown.join(", ")
        );
        reader.scope().report(
            Diagnostic::warning("weak-suites", named.span, message)
                .consequence(
                    "clients that know only suites with CBC, or key exchange by RSA, could not connect",
                )
                .help(format!("`{DEFAULT}` names exactly what is served")),
        );
    }
    if is_fips(policy) {
        let message = format!(
            "`{}` is served by a module that is not validated",
            policy.name
        );
        reader.scope().report(
            Diagnostic::warning("not-validated", named.span, message)
                .consequence("protocols, suites and curves are the policy's, the FIPS 140 certificate is not")
                .help(format!("use `{DEFAULT}` where no auditor asks for more")),
        );
    }
    policy
}

fn bad_policy(reader: &Reader<'_>, named: Spanned<&str>) {
    if REFUSED.contains(&named.value) {
        let message = format!(
            "`{}` takes TLS 1.0 or 1.1, which are not served",
            named.value
        );
        reader.scope().report(
            Diagnostic::error("old-tls", named.span, message)
                .consequence("clients that know nothing newer would be refused, though the policy promises to take them")
                .help(format!(
                    "use `{DEFAULT}` (TLS 1.2 and 1.3); such clients need another balancer"
                )),
        );
        return;
    }
    let names = SERVED.iter().map(|policy| policy.name);
    let message = format!(
        "`tls-policy` of {} cannot be `{}`",
        reader.title(),
        named.value
    );
    let near = suggest::nearest(named.value, names);
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one of AWS's names, such as `{DEFAULT}`, or leave the key out"),
    };
    reader.bad_value(named.span, message, help);
}

fn alpn(reader: &mut Reader<'_>, protocol: ListenerProtocol, http2: Http2) -> Alpn {
    let words = [
        Alpn::None,
        Alpn::Http1Only,
        Alpn::Http2Only,
        Alpn::Http2Optional,
        Alpn::Http2Preferred,
    ];
    let words = words.map(|alpn| (alpn.as_str(), alpn));
    let default = match (protocol.is_http(), http2.value) {
        (false, _) => Alpn::None,
        (true, true) => Alpn::Http2Preferred,
        (true, false) => Alpn::Http1Only,
    };
    let span = reader.key_span("alpn");
    let alpn = match reader.choice("alpn", &words) {
        Choice::Is(alpn) => alpn.value,
        _ => default,
    };
    if let (Some(span), false, true) = (span, http2.value, alpn.offers_http2())
        && protocol.is_http()
    {
        let word = alpn.as_str();
        let message = format!(
            "`alpn` of {} is `{word}`, but `http2` is false",
            reader.title()
        );
        let mut problem = Diagnostic::error("http2-twice", span, message)
            .consequence("clients would agree on HTTP/2 and not be answered in it")
            .help("remove one of them");
        if let Some(span) = http2.span {
            problem = problem.related(span, "`http2` is false here");
        }
        reader.scope().report(problem);
    }
    alpn
}
