//! `rate-limit`: requests at most in a time, of a listener or of a rule.

use std::time::Duration;

use crate::document::{Kind, Table};
use crate::section::Section;
use crate::tree::{Limit, Reader};
use crate::{LimitKey, RequestLimit, Span};

/// Limits of one rule or listener: each costs a table of its own.
const MAX_LIMITS: usize = 8;

/// Requests of a limit, and those that may come at once.
const REQUESTS: Limit<u64> = Limit {
    default: 1,
    min: 1,
    max: 1_000_000,
    why: "0 would refuse everything, and beyond a million a second no clock tells requests apart",
};

/// Seconds in which all of a burst must come back: limits live no longer than processes.
const MAX_MEMORY: u64 = 30 * 86_400;

const PER: Limit<Duration> = Limit {
    default: Duration::from_secs(1),
    min: Duration::from_millis(1),
    max: Duration::from_secs(86_400),
    why: "limits are forgotten when the process ends, so longer ones would promise too much",
};

/// The limits of a listener or rule; none where `reads_requests` is false.
pub(super) fn read(reader: &mut Reader<'_>, reads_requests: bool) -> Vec<RequestLimit> {
    if !reads_requests {
        let help = "limit connections with `max-connections-per-source`";
        reader.misplaced("rate-limit", "requests are not read", help);
        return Vec::new();
    }
    let values = reader.one_or_list("rate-limit");
    if values.len() > MAX_LIMITS {
        let message = format!(
            "`rate-limit` of {} has {} limits, more than {MAX_LIMITS}",
            reader.title(),
            values.len()
        );
        let span = reader.key_span("rate-limit").unwrap_or(reader.span());
        reader.bad_value(span, message, "spread them over several rules");
    }
    let mut limits = Vec::new();
    for value in values.into_iter().take(MAX_LIMITS) {
        let title = format!("`rate-limit` of {}", reader.title());
        match &value.kind {
            Kind::Table(table) => limits.extend(limit(reader, table, title)),
            Kind::Broken => {}
            _ => {
                let help =
                    "write `rate-limit = { requests = 100, per = \"1s\", key = \"source\" }`";
                reader.bad_value(value.span, format!("{title} is not a table"), help);
            }
        }
    }
    limits
}

fn limit(outer: &Reader<'_>, table: &Table, title: String) -> Option<RequestLimit> {
    let mut reader = Reader::new(outer.scope(), table, Section::RequestLimit, title);
    let help = "add `requests = 100`: how many may come in `per`, which is 1s";
    reader.missing("requests", "it would not be known what the limit is", help);
    let number = |found: u64| u32::try_from(found).unwrap_or(u32::MAX);
    let has_key = reader.has("key");
    let requests = reader.whole("requests", &REQUESTS);
    let per = reader.duration_or("per", &PER);
    let burst = reader.whole("burst", &REQUESTS);
    let key = key(&mut reader);
    let dry_run = reader.flag("dry-run");
    reader.finish();
    // A key that cannot be used must not turn it into a limit of everybody together.
    if has_key && key.is_none() {
        return None;
    }
    let requests = number(requests?.value);
    let limit = RequestLimit {
        requests,
        per,
        burst: burst.map_or(requests, |burst| number(burst.value)),
        key: key.unwrap_or(LimitKey::All),
        dry_run: dry_run.is_some_and(|flag| flag.value),
    };
    if let Some(burst) = burst {
        check_memory(outer, &limit, burst.span);
    }
    Some(limit)
}

/// A burst is forgiven over as long as its requests take at the rate.
fn check_memory(reader: &Reader<'_>, limit: &RequestLimit, span: Span) {
    let seconds = u128::from(limit.interval()) * u128::from(limit.burst) / 1_000_000_000;
    if seconds > MAX_MEMORY.into() {
        let message = format!(
            "`burst` {} of `rate-limit` of {} would take {} days to come back",
            limit.burst,
            reader.title(),
            seconds / 86_400
        );
        reader.bad_value(span, message, "make it smaller: 30 days are the most");
    }
}

/// `"source"`, `{ header = "…" }` or `{ cookie = "…" }`.
fn key(reader: &mut Reader<'_>) -> Option<LimitKey> {
    let value = reader.take("key")?;
    let help = "write \"source\", { header = \"X-Api-Key\" } or { cookie = \"session\" }";
    let table = match &value.kind {
        Kind::String(text) if text == "source" => return Some(LimitKey::Source),
        Kind::Table(table) => table,
        _ => {
            let message = format!("`key` of {} cannot be used", reader.title());
            reader.bad_value(value.span, message, help);
            return None;
        }
    };
    let title = format!("`key` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::LimitKey, title);
    let header = inner.text("header");
    let cookie = inner.text("cookie");
    let found = match (header, cookie) {
        (Some(name), None) => Some((name, LimitKey::Header(name.value.to_owned()))),
        (None, Some(name)) => Some((name, LimitKey::Cookie(name.value.to_owned()))),
        _ => None,
    };
    let Some((name, key)) = found else {
        if inner.has("header") == inner.has("cookie") {
            let message = format!("{} has not one of `header` and `cookie`", inner.title());
            inner.bad_value(value.span, message, help);
        }
        inner.finish();
        return None;
    };
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.value.is_empty() || !name.value.bytes().all(is_token) {
        let message = format!("{} is on `{}`, which is no name", inner.title(), name.value);
        let help = "write the name as it is sent, in letters, digits and `-`";
        inner.bad_value(name.span, message, help);
        inner.finish();
        return None;
    }
    inner.finish();
    Some(key)
}
