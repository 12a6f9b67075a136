//! Keys of `[dns]` that say what the server tells of itself and how it guards itself: `nsid`,
//! `version`, `hostname`, `cookies`, `cookie-secrets`, `response-rate-limit`, `measured-latency`.

use super::{Names, location, measured};
use crate::document::Kind;
use crate::section::Section;
use crate::tree::{Limit, Reader};
use crate::{AccessLog, Cookies, DnsService, QueryLog, QueryLogFormat, RateLimit, Spanned};

/// Longest identity in bytes: one character-string holds 255; longer ones would crowd the answer.
const IDENTITY_LEN: usize = 64;
/// Hexadecimal digits of a cookie secret: SipHash takes 16 bytes (RFC 9018 section 4).
const SECRET_DIGITS: usize = 32;

const FORMATS: [(&str, QueryLogFormat); 2] = [
    ("route53", QueryLogFormat::Route53),
    ("json", QueryLogFormat::Json),
];
const SAMPLE: Limit<u64> = Limit {
    default: 1,
    min: 1,
    max: 1_000_000,
    why: "one query of so many is logged: 0 would be none, and `query-log = \"off\"` says that",
};
const FEW: &str = "less would refuse a resolver that retries, more limits nobody";
const PER_SECOND: Limit<u64> = limit(0, 1, 1_000_000);
/// BIND's and NSD's default.
const SLIP: Limit<u64> = limit(2, 0, 100);

const fn limit(default: u64, min: u64, max: u64) -> Limit<u64> {
    Limit {
        default,
        min,
        max,
        why: FEW,
    }
}

/// Reads the keys.
pub(super) fn resolve(reader: &mut Reader<'_>, names: &mut Names) -> DnsService {
    DnsService {
        nsid: identity(reader, "nsid"),
        version: identity(reader, "version"),
        hostname: identity(reader, "hostname"),
        cookies: cookies(reader),
        rate_limit: rate_limit(reader),
        query_log: query_log(reader),
        dnstap: reader
            .text("dnstap")
            .map(|path| reader.scope().path(path.value, path.span)),
        measured_latency: measured::resolve(reader, names),
    }
}

fn identity(reader: &mut Reader<'_>, key: &str) -> Option<String> {
    let text = reader.text(key)?;
    if text.value.is_empty() || text.value.len() > IDENTITY_LEN {
        let message = format!("`{key}` of [dns] has {} bytes", text.value.len());
        let help = format!("write 1 to {IDENTITY_LEN}, or leave the key out to say nothing");
        reader.bad_value(text.span, message, help);
        return None;
    }
    Some(text.value.to_owned())
}

fn cookies(reader: &mut Reader<'_>) -> Cookies {
    let on = reader.flag("cookies").is_none_or(|flag| flag.value);
    let texts = reader.texts("cookie-secrets");
    let mut secrets = Vec::new();
    for text in &texts {
        match secret(text.value) {
            Some(secret) => secrets.push(secret),
            // The value is a secret: neither it nor its line is shown.
            None => reader.bad_value(
                reader.span(),
                "a cookie secret is not 32 hexadecimal digits".to_owned(),
                "make one with `openssl rand -hex 16`; name it as \"${env:NAME}\" to keep it out of the file",
            ),
        }
    }
    match (on, secrets.is_empty()) {
        (false, _) => Cookies::Off,
        (true, true) => Cookies::Own,
        (true, false) => Cookies::Shared(secrets),
    }
}

fn secret(text: &str) -> Option<[u8; 16]> {
    if text.len() != SECRET_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// A path or `stdout`, or a table with more to say.
fn query_log(reader: &mut Reader<'_>) -> Option<QueryLog> {
    let value = reader.take("query-log")?;
    let destination = |reader: &Reader<'_>, text: Spanned<&str>| match text.value {
        "off" => None,
        "stdout" => Some(AccessLog::Stdout),
        path => Some(AccessLog::File(reader.scope().path(path, text.span))),
    };
    let plain = |destination| QueryLog {
        destination,
        format: QueryLogFormat::Route53,
        sample: 1,
    };
    let table = match &value.kind {
        Kind::Table(table) => table,
        Kind::Boolean(false) => return None,
        _ => {
            let text = reader.as_text("query-log", value)?;
            return destination(reader, text).map(plain);
        }
    };
    let mut inner = Reader::new(reader.scope(), table, Section::QueryLog, "`query-log`");
    inner.missing(
        "path",
        "lines would go nowhere",
        "add `path = \"queries.log\"`, or \"stdout\"",
    );
    let path = inner
        .text("path")
        .and_then(|text| destination(&inner, text));
    let format = inner
        .choice("format", &FORMATS)
        .value_or(QueryLogFormat::Route53);
    let sample = inner.whole("sample", &SAMPLE);
    inner.finish();
    let sample = sample.map_or(SAMPLE.default, |sample| sample.value);
    Some(QueryLog {
        destination: path?,
        format,
        sample: u32::try_from(sample).unwrap_or(1),
    })
}

fn rate_limit(reader: &mut Reader<'_>) -> Option<RateLimit> {
    let value = reader.take("response-rate-limit")?;
    let table = match &value.kind {
        Kind::Table(table) => table,
        Kind::Boolean(false) | Kind::Integer(0) => return None,
        Kind::String(word) if word == "off" => return None,
        _ => {
            reader.bad_value(
                value.span,
                "`response-rate-limit` is not a table".to_owned(),
                "write `response-rate-limit = { responses-per-second = 50 }`",
            );
            return None;
        }
    };
    let title = "`response-rate-limit`";
    let mut inner = Reader::new(reader.scope(), table, Section::RateLimit, title);
    inner.missing(
        "responses-per-second",
        "nothing would be limited",
        "add `responses-per-second = 50`",
    );
    let rate = inner.whole("responses-per-second", &PER_SECOND);
    let slip = inner.whole("slip", &SLIP);
    let dry_run = inner.flag("dry-run").is_some_and(|flag| flag.value);
    let mut exempt = Vec::new();
    for text in inner.texts("exempt") {
        exempt.extend(location::cidr(&inner, &text));
    }
    inner.finish();
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Some(RateLimit {
        responses_per_second: number(rate?.value),
        slip: number(slip.map_or(SLIP.default, |slip| slip.value)),
        exempt,
        dry_run,
    })
}
