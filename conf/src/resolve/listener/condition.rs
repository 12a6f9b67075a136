//! The conditions of a rule: every value checked for what its kind can ever match.
//!
//! Lengths and characters are ELB's; its quotas, and its idea of a host name, hold for
//! `defaults = "aws"`.

use ipnet::IpNet;

use crate::document::{Kind, Value};
use crate::resolve::defaults::RuleLimits;
use crate::section::Section;
use crate::tree::Reader;
use crate::{Condition, Diagnostic, Pattern, QueryPattern, Regex, Spanned};

/// Characters of a value (ELB).
const MAX_VALUE: usize = 128;
/// Characters of a method or a field name (ELB).
const MAX_NAME: usize = 40;

/// The keys of conditions on requests.
const KEYS: [&str; 8] = [
    "host",
    "host-regex",
    "path",
    "path-regex",
    "method",
    "header",
    "source-ip",
    "query",
];

/// Every condition of a rule; reports when there is none.
pub(super) fn read(reader: &mut Reader<'_>, limits: &RuleLimits) -> Vec<Condition> {
    for key in ["sni", "alpn"] {
        let why = "rules of requests do not look at the handshake";
        reader.misplaced(key, why, "use `host`");
    }
    let given = |key: &&str| reader.has(key);
    if !KEYS.iter().chain(&["sni", "alpn"]).any(given) {
        let message = format!("{} has no condition", reader.title());
        reader.scope().report(
            Diagnostic::error("no-condition", reader.span(), message)
                .consequence("it would claim every request, and no later rule would be looked at")
                .help("add `host` or `path`; what all others get is the listener's own action"),
        );
    }
    for (plain, regex) in [("host", "host-regex"), ("path", "path-regex")] {
        one_of(reader, plain, regex);
    }
    let mut found = Vec::new();
    let host = |text: &str| check_host(text, limits.strict_hosts);
    found.extend(patterns(reader, "host", host).map(Condition::Host));
    found.extend(expressions(reader, "host-regex", true).map(Condition::Host));
    found.extend(patterns(reader, "path", check_path).map(Condition::Path));
    found.extend(expressions(reader, "path-regex", false).map(Condition::Path));
    found.extend(methods(reader).map(Condition::Method));
    found.extend(headers(reader));
    found.extend(networks(reader).map(Condition::SourceIp));
    found.extend(queries(reader));
    check_quotas(reader, &found, limits);
    found
}

/// Conditions on connections: what the TLS handshake asks for, and where it comes from.
pub(super) fn read_tls(reader: &mut Reader<'_>, word: &str, limits: &RuleLimits) -> Vec<Condition> {
    for key in KEYS.into_iter().filter(|key| *key != "source-ip") {
        let why = format!("a {word} listener reads no requests");
        reader.misplaced(key, &why, "use `sni`, `alpn` or `source-ip`");
    }
    let given = |key: &&str| reader.has(key);
    if !KEYS.iter().chain(&["sni", "alpn"]).any(given) {
        let message = format!("{} has no condition", reader.title());
        reader.scope().report(
            Diagnostic::error("no-condition", reader.span(), message)
                .consequence(
                    "it would claim every connection, and no later rule would be looked at",
                )
                .help("add `sni`; what all others get is the listener's own action"),
        );
    }
    let mut found = Vec::new();
    let host = |text: &str| check_host(text, limits.strict_hosts);
    found.extend(patterns(reader, "sni", host).map(Condition::Sni));
    let protocols = checked(reader, "alpn", check_alpn).into_iter();
    let protocols: Vec<_> = protocols.map(|text| text.value.to_owned()).collect();
    if !protocols.is_empty() {
        found.push(Condition::Alpn(protocols));
    }
    found.extend(networks(reader).map(Condition::SourceIp));
    check_quotas(reader, &found, limits);
    found
}

fn check_alpn(text: &str) -> Result<(), Fault> {
    match text.contains([',', '*', '?', ' ']) {
        true => Err(fault(
            "is no application protocol's name",
            "write it as it is registered: \"h2\", \"http/1.1\", \"postgresql\"",
        )),
        false => Ok(()),
    }
}

/// ELB has one condition of each of these kinds for a rule.
fn one_of(reader: &Reader<'_>, plain: &str, regex: &str) {
    if let (Some(first), Some(second)) = (reader.key_span(plain), reader.key_span(regex)) {
        let message = format!("{} has both `{plain}` and `{regex}`", reader.title());
        reader.scope().report(
            Diagnostic::error("several-conditions", first.max(second), message)
                .consequence("it would not be known whether one or both must match")
                .help(format!("write one `{regex}` for both, or two rules"))
                .related(first.min(second), "the other condition"),
        );
    }
}

type Fault = (String, String);

fn fault(what: &str, help: &str) -> Fault {
    (what.to_owned(), help.to_owned())
}

/// Texts of `key` that pass `check`; `None` when there are none.
fn patterns(
    reader: &mut Reader<'_>,
    key: &str,
    check: impl Fn(&str) -> Result<(), Fault>,
) -> Option<Vec<Pattern>> {
    let found = checked(reader, key, check);
    let patterns = found.into_iter().map(|text| text.value.to_owned());
    let patterns: Vec<_> = patterns.map(Pattern::Wildcard).collect();
    (!patterns.is_empty()).then_some(patterns)
}

fn checked<'t>(
    reader: &mut Reader<'t>,
    key: &str,
    check: impl Fn(&str) -> Result<(), Fault>,
) -> Vec<Spanned<&'t str>> {
    let mut found = reader.texts(key);
    if reader.has(key) && reader.is_empty_or_absent(key) {
        empty(reader, key);
    }
    found.retain(
        |text| match common(text.value).and_then(|()| check(text.value)) {
            Ok(()) => true,
            Err((what, help)) => {
                let message = format!("`{}` as `{key}` of {} {what}", text.value, reader.title());
                reader.bad_value(text.span, message, help);
                false
            }
        },
    );
    found
}

fn empty(reader: &Reader<'_>, key: &str) {
    let span = reader.key_span(key).unwrap_or(reader.span());
    let message = format!("`{key}` of {} is empty", reader.title());
    reader.bad_value(span, message, "name at least one value, or remove the key");
}

/// What holds for every value.
fn common(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(fault("is empty", "write what is to match, or remove it"));
    }
    if text.len() > MAX_VALUE {
        return Err(fault(
            &format!("has {} characters, more than {MAX_VALUE}", text.len()),
            "shorten it, with `*` for a part if need be",
        ));
    }
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(fault(
            "holds a character that is not visible ASCII",
            "write it as it comes over the wire: percent-encoded, or in punycode",
        ));
    }
    Ok(())
}

fn check_host(text: &str, strict: bool) -> Result<(), Fault> {
    let allowed = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'*' | b'?')
            || (!strict && b == b'_')
    };
    if !text.bytes().all(allowed) {
        let help = "write a name, with `*` and `?` where it may differ; ports are not looked at";
        return Err(fault("is not a host name", help));
    }
    let last = text.rsplit_once('.').map(|(_, last)| last);
    let ends_in_letters =
        |last: &str| !last.is_empty() && last.bytes().all(|b| b.is_ascii_alphabetic());
    if strict && !last.is_some_and(ends_in_letters) {
        return Err(fault(
            "does not end in a dot and letters, as ELB demands",
            "write the whole name, such as \"api.example.com\"",
        ));
    }
    Ok(())
}

fn check_path(text: &str) -> Result<(), Fault> {
    if text.contains([' ', '#']) {
        return Err(fault(
            "holds a character that no path can hold",
            "write it percent-encoded: `%20` for a blank",
        ));
    }
    if !text.starts_with(['/', '*', '?']) {
        return Err((
            "can match no path, for paths begin with `/`".to_owned(),
            format!("write \"/{text}\""),
        ));
    }
    Ok(())
}

/// Regular expressions of `key`.
fn expressions(reader: &mut Reader<'_>, key: &str, any_case: bool) -> Option<Vec<Pattern>> {
    let mut found = Vec::new();
    for text in checked(reader, key, |_| Ok(())) {
        match Regex::new(text.value, any_case) {
            Ok(regex) => found.push(Pattern::Regex(regex)),
            Err(error) => bad_regex(reader, key, text, &error.to_string()),
        }
    }
    (!found.is_empty()).then_some(found)
}

pub(super) fn bad_regex(reader: &Reader<'_>, key: &str, text: Spanned<&str>, error: &str) {
    // The last line says what is wrong; those before it draw the place.
    let reason = error.lines().last().unwrap_or_default();
    let reason = reason.trim_start_matches("error: ").trim_end_matches('.');
    let message = format!(
        "`{key}` of {} is no regular expression: {reason}",
        reader.title()
    );
    reader.scope().report(
        Diagnostic::error("bad-regex", text.span, message)
            .consequence("it could match nothing")
            .help("RE2's syntax is understood: no look-around, no backreferences, no `\\p`"),
    );
}

fn methods(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let is_method = |text: &str| {
        let allowed = |b: u8| b.is_ascii_uppercase() || matches!(b, b'-' | b'_');
        text.len() <= MAX_NAME && text.bytes().all(allowed)
    };
    let check = |text: &str| {
        let capital = text.to_ascii_uppercase();
        let help = match is_method(&capital) {
            _ if is_method(text) => return Ok(()),
            true => format!("write it as it is sent: \"{capital}\""),
            false => "name each method; there are no wildcards in methods".to_owned(),
        };
        let what = "is not a method of up to 40 capital letters, `-` and `_`";
        Err((what.to_owned(), help))
    };
    let found = checked(reader, "method", check);
    let found: Vec<_> = found
        .into_iter()
        .map(|text| text.value.to_owned())
        .collect();
    (!found.is_empty()).then_some(found)
}

/// `header = { name, values }` or a list of them: each is a condition of its own.
fn headers(reader: &mut Reader<'_>) -> Vec<Condition> {
    let mut found = Vec::new();
    for value in reader.one_or_list("header") {
        let title = format!("`header` of {}", reader.title());
        let Kind::Table(table) = &value.kind else {
            let help = "write `header = [{ name = \"…\", values = [\"…\"] }]`";
            reader.bad_value(value.span, format!("{title} is not a table"), help);
            continue;
        };
        let mut inner = Reader::new(reader.scope(), table, Section::RuleHeader, title);
        one_of(&inner, "values", "regex");
        if !inner.has("regex") {
            let help = "add `values = [\"…\"]`";
            inner.missing("values", "it would not be known what to look for", help);
        }
        let name = header_name(&mut inner);
        let values = patterns(&mut inner, "values", |_| Ok(()));
        let values = values.or(expressions(&mut inner, "regex", true));
        inner.finish();
        found.extend(
            name.zip(values)
                .map(|(name, values)| Condition::Header { name, values }),
        );
    }
    found
}

fn header_name(reader: &mut Reader<'_>) -> Option<String> {
    reader.missing(
        "name",
        "it would not be known which field to look at",
        "add `name = \"…\"`",
    );
    let name = reader.text("name")?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&b);
    let help = if name.value.eq_ignore_ascii_case("host") {
        "use the condition `host`, which also holds for absolute request targets"
    } else if !name.value.is_empty()
        && name.value.len() <= MAX_NAME
        && name.value.bytes().all(is_token)
    {
        return Some(name.value.to_owned());
    } else {
        "write a field name of up to 40 characters, without wildcards"
    };
    let message = format!("{} cannot be on the field `{}`", reader.title(), name.value);
    reader.bad_value(name.span, message, help);
    None
}

fn networks(reader: &mut Reader<'_>) -> Option<Vec<IpNet>> {
    let mut found = Vec::new();
    for text in checked(reader, "source-ip", |_| Ok(())) {
        match network(text.value) {
            Ok(network) => found.push(network),
            Err((what, help)) => {
                let message = format!(
                    "`{}` as `source-ip` of {} {what}",
                    text.value,
                    reader.title()
                );
                reader.bad_value(text.span, message, help);
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

fn network(text: &str) -> Result<IpNet, Fault> {
    let alone = text.parse().map(|ip: std::net::IpAddr| IpNet::from(ip));
    let network: IpNet = alone.or_else(|_| text.parse()).map_err(|_| {
        fault(
            "is not a network",
            "write an address and a prefix length: \"10.0.0.0/8\" or \"::1/128\"",
        )
    })?;
    if network.trunc() != network {
        let help = format!("write \"{}\"", network.trunc());
        return Err(("has bits after its prefix".to_owned(), help));
    }
    if network.addr() == std::net::Ipv4Addr::BROADCAST {
        return Err(fault("is no client's address", "remove it"));
    }
    Ok(network)
}

/// `query = [{ key, value }, …]`: one of them must match; in a list of such lists, one of each.
fn queries(reader: &mut Reader<'_>) -> Vec<Condition> {
    let items = reader.one_or_list("query");
    if reader.has("query") && reader.is_empty_or_absent("query") {
        empty(reader, "query");
    }
    let is_list = |item: &&&Value| matches!(item.kind, Kind::Array(_));
    let (lists, singles): (Vec<_>, Vec<_>) = items.iter().partition(is_list);
    let mut groups: Vec<Vec<&Value>> = vec![singles];
    groups.extend(lists.into_iter().map(|list| match &list.kind {
        Kind::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }));
    let read = |group: Vec<&Value>| -> Vec<QueryPattern> {
        let patterns = group.into_iter().filter_map(|item| query(reader, item));
        patterns.collect()
    };
    let conditions = groups.into_iter().map(read);
    let conditions = conditions.filter(|patterns| !patterns.is_empty());
    conditions.map(Condition::Query).collect()
}

fn query(outer: &Reader<'_>, value: &Value) -> Option<QueryPattern> {
    let title = format!("`query` of {}", outer.title());
    let Kind::Table(table) = &value.kind else {
        let help = "write `query = [{ key = \"…\", value = \"…\" }]`";
        outer.bad_value(value.span, format!("{title} is not a table"), help);
        return None;
    };
    let mut reader = Reader::new(outer.scope(), table, Section::RuleQuery, title);
    reader.missing(
        "value",
        "it would not be known what to look for",
        "add `value = \"…\"`; `\"*\"` is any, none included",
    );
    let has_key = reader.has("key");
    let key = checked(&mut reader, "key", check_escapes).pop();
    let text = checked(&mut reader, "value", check_escapes).pop();
    reader.finish();
    // A key that cannot be used must not widen the condition.
    if has_key && key.is_none() {
        return None;
    }
    Some(QueryPattern {
        key: key.map(|key| key.value.to_owned()),
        value: text?.value.to_owned(),
    })
}

fn check_escapes(text: &str) -> Result<(), Fault> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && !matches!(bytes.next(), Some(b'*' | b'?' | b'\\')) {
            return Err(fault(
                "has a `\\` before something else than `*`, `?` and `\\`",
                "write `\\\\` for a backslash",
            ));
        }
    }
    Ok(())
}

/// ELB's quotas, or this program's own.
fn check_quotas(reader: &Reader<'_>, conditions: &[Condition], limits: &RuleLimits) {
    let counts: Vec<(usize, usize)> = conditions.iter().map(values_and_wildcards).collect();
    let largest = counts.iter().map(|(values, _)| *values).max().unwrap_or(0);
    let values = counts.iter().map(|(values, _)| values).sum();
    let wildcards = counts.iter().map(|(_, wildcards)| wildcards).sum();
    let checks = [
        (
            largest,
            limits.values_per_condition,
            "values in one condition",
        ),
        (values, limits.values_per_rule, "values"),
        (wildcards, limits.wildcards_per_rule, "wildcards"),
    ];
    if let Some((count, most, what)) = checks.into_iter().find(|(count, most, _)| count > most) {
        let message = format!("{} has {count} {what}, more than {most}", reader.title());
        reader.scope().report(
            Diagnostic::error("too-many-values", reader.span(), message)
                .consequence("every request that gets so far would be compared with all of them")
                .help("make several rules of it"),
        );
    }
}

fn values_and_wildcards(condition: &Condition) -> (usize, usize) {
    let wild = |text: &str| text.matches(['*', '?']).count();
    let of_patterns = |values: &[Pattern]| {
        let wildcards = values.iter().map(|value| match value {
            Pattern::Wildcard(text) => wild(text),
            Pattern::Regex(_) => 0,
        });
        (values.len(), wildcards.sum())
    };
    match condition {
        Condition::Host(values) | Condition::Path(values) | Condition::Sni(values) => {
            of_patterns(values)
        }
        Condition::Header { values, .. } => of_patterns(values),
        Condition::Method(values) | Condition::Alpn(values) => (values.len(), 0),
        Condition::SourceIp(values) => (values.len(), 0),
        Condition::Query(values) => {
            let both = |q: &QueryPattern| wild(&q.value) + q.key.as_deref().map_or(0, wild);
            (values.len(), values.iter().map(both).sum())
        }
    }
}
