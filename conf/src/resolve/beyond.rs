//! Keys of records and sets that Route 53 has not: `all-down`, `panic-threshold`, `sticky`,
//! `slow-start`, `ttl-min` and `ttl-max`; `dial` and `fallback` of sets.
//!
//! Called by the readers of records and sets. Left out, all of them mean what Route 53 does.

use std::time::Duration;

use super::dns::whole_seconds;
use super::sets::SetContext;
use crate::document::Kind;
use crate::tree::{Choice, Limit, Reader};
use crate::{AllDown, Beyond, Diagnostic, Policy, RecordSet, TtlRange};

/// Keys of a record that belong to sets under a policy.
const RECORD_KEYS: [&str; 6] = [
    "all-down",
    "panic-threshold",
    "sticky",
    "slow-start",
    "ttl-min",
    "ttl-max",
];

const PERCENT: Limit<u64> = Limit {
    default: 0,
    min: 0,
    max: 100,
    why: "there are no more than a hundred per cent",
};

/// ELB's `slow_start.duration_seconds` ends at 900 s.
const SLOW_START: Limit<Duration> = Limit {
    default: Duration::ZERO,
    min: Duration::ZERO,
    max: Duration::from_secs(900),
    why: "a set would be without its share for longer than anybody waits; ELB ends there too",
};

/// Longer than anybody wants a changed answer to last.
const TTL: Limit<Duration> = Limit {
    default: Duration::ZERO,
    min: Duration::ZERO,
    max: Duration::from_secs(86_400),
    why: "clients would keep what is no longer true for more than a day",
};

/// The keys of a record. `ttl` is its TTL without them.
pub(super) fn of_record(reader: &mut Reader<'_>, policy: Option<Policy>, ttl: u32) -> Beyond {
    let Some(policy) = policy else {
        for key in RECORD_KEYS {
            reader.take(key);
        }
        return Beyond::default();
    };
    if policy == Policy::Simple {
        for key in RECORD_KEYS {
            let why = "a simple record has one set, which always answers";
            reader.misplaced(key, why, "remove it, or use another policy");
        }
        return Beyond::default();
    }
    let drawn = matches!(policy, Policy::Weighted | Policy::Multivalue);
    if !drawn {
        let why = "only weighted and multivalue records draw among their sets";
        for key in ["panic-threshold", "sticky"] {
            reader.misplaced(key, why, "remove it, or use one of these policies");
        }
    }
    if policy != Policy::Weighted {
        let why = "only the sets of weighted records have a weight to grow to";
        reader.misplaced("slow-start", why, "remove it, or use policy `weighted`");
    }
    let words = [
        ("fail-open", AllDown::FailOpen),
        ("nodata", AllDown::Nodata),
        ("fallback", AllDown::Fallback),
        ("last-known", AllDown::LastKnown),
    ];
    let all_down = match reader.choice("all-down", &words) {
        Choice::Is(found) => found.value,
        Choice::Absent | Choice::Refused | Choice::Later => AllDown::FailOpen,
    };
    let percent = reader.whole("panic-threshold", &PERCENT);
    let slow_start = reader.duration("slow-start", &SLOW_START);
    Beyond {
        all_down,
        panic_threshold: percent.map_or(0, |found| u8::try_from(found.value).unwrap_or(100)),
        sticky: sticky(reader),
        slow_start: slow_start.map_or(0, |found| whole_seconds(reader, "slow-start", &found)),
        ttl: ttl_range(reader, ttl),
    }
}

fn sticky(reader: &mut Reader<'_>) -> bool {
    let Some(value) = reader.take("sticky") else {
        return false;
    };
    match &value.kind {
        Kind::String(word) if word == "client-prefix" => true,
        Kind::String(word) if word == "off" => false,
        Kind::Boolean(false) => false,
        _ => {
            let message = format!("`sticky` of {} is not known", reader.title());
            let help =
                "write `sticky = \"client-prefix\"`: clients of one /24 or /48 keep their set";
            reader.bad_value(value.span, message, help);
            false
        }
    }
}

fn ttl_range(reader: &mut Reader<'_>, ttl: u32) -> Option<TtlRange> {
    let mut bound = |key| {
        let found = reader.duration(key, &TTL)?;
        Some(whole_seconds(reader, key, &found))
    };
    let (min, max) = (bound("ttl-min"), bound("ttl-max"));
    if min.is_none() && max.is_none() {
        return None;
    }
    let (min, max) = (min.unwrap_or(ttl), max.unwrap_or(ttl));
    if min > max {
        let key = ["ttl-min", "ttl-max"]
            .into_iter()
            .find_map(|key| reader.key_span(key));
        let message = format!(
            "`ttl-min` of {} is above `ttl-max`: {min}s and {max}s",
            reader.title()
        );
        let help = "give both; one that is left out is the record's `ttl`";
        reader.bad_value(key.unwrap_or(reader.span()), message, help);
        return None;
    }
    Some(TtlRange { min, max })
}

/// True for a set that is marked `fallback`.
pub(super) fn is_fallback(reader: &mut Reader<'_>) -> bool {
    reader.flag("fallback").is_some_and(|found| found.value)
}

/// `dial`: the percentage of a set's own clients that it takes.
pub(super) fn dial(reader: &mut Reader<'_>, context: &SetContext<'_>) -> u8 {
    let located = matches!(
        context.policy,
        Some(Policy::Geolocation | Policy::Latency | Policy::Geoproximity | Policy::IpBased)
    );
    if !located && context.policy.is_some() {
        let why = "only sets that clients are near to have clients of their own to send on";
        let help = "use `weight` in a weighted record, or policy `latency` or `geoproximity`";
        reader.misplaced("dial", why, help);
        return 100;
    }
    let found = reader.whole("dial", &PERCENT);
    found.map_or(100, |found| u8::try_from(found.value).unwrap_or(100))
}

/// Keys that say when a set answers, which a fallback set does only when no other can.
pub(super) fn refuse_policy_keys(reader: &mut Reader<'_>) {
    let keys = [
        "weight",
        "failover",
        "location",
        "cidr-location",
        "region",
        "coordinates",
        "bias",
        "dial",
        "health-check",
    ];
    for key in keys {
        let why = "a fallback set answers when no other set is healthy";
        reader.misplaced(key, why, "remove it, or remove `fallback`");
    }
}

/// A record with `all-down = "fallback"` has one fallback set, and others have none.
pub(super) fn check_fallback(record: &Reader<'_>, all_down: AllDown, sets: &[RecordSet]) {
    let marked: Vec<&RecordSet> = sets.iter().filter(|set| set.fallback).collect();
    let problem = match (all_down, marked.as_slice()) {
        (AllDown::Fallback, [_])
        | (AllDown::FailOpen | AllDown::Nodata | AllDown::LastKnown, []) => {
            return;
        }
        (AllDown::Fallback, []) => {
            let span = record.key_span("all-down").unwrap_or(record.span());
            let message = format!("{} has no fallback set", record.title());
            Diagnostic::error("fallback-set", span, message)
                .consequence("there would be no answer when its sets are unhealthy")
                .help("add a set with `fallback = true`, such as `{ id = \"sorry\", fallback = true, values = [\"192.0.2.99\"] }`")
        }
        (AllDown::Fallback, [first, second, ..]) => {
            let message = format!("{} has two fallback sets", record.title());
            Diagnostic::error("fallback-set", second.span, message)
                .consequence("it would not be known which of them answers")
                .help("keep one; it may have several values, or be an alias to a weighted record")
                .related(first.span, "the first one")
        }
        (_, [first, ..]) => {
            let message = format!(
                "set `{}` of {} would never answer",
                first.id,
                record.title()
            );
            Diagnostic::error("fallback-set", first.span, message)
                .consequence("a fallback set is used under `all-down = \"fallback\"` only")
                .help("add `all-down = \"fallback\"` to the record, or remove the set")
        }
    };
    record.scope().report(problem);
}
