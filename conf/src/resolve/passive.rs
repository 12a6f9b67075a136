//! `[target-group.passive-health]`: on when the table is there, off when it is not.

use super::defaults::Numbers;
use crate::document::Kind;
use crate::section::Section;
use crate::tree::{Limit, Reader};
use crate::{
    Diagnostic, GroupProtocol, PassiveHealth, Spanned, TrafficFailure, TrafficFailures, suggest,
};

/// The largest deviation that makes sense: with n targets none is over the root of n - 1.
const DEVIATION_MAX: f64 = 10.0;

/// What stands for several kinds, or for one, in `failures`.
const WORDS: [(&str, &[TrafficFailure]); 5] = [
    ("connect", &[TrafficFailure::Connect]),
    ("reset", &[TrafficFailure::Reset]),
    ("timeout", &[TrafficFailure::Timeout]),
    ("gateway", &[TrafficFailure::Gateway]),
    (
        "5xx",
        &[TrafficFailure::Gateway, TrafficFailure::ServerError],
    ),
];

/// Reads the table of a group, if it has one.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    numbers: &Numbers,
) -> Option<PassiveHealth> {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.takes_streams()) {
        let word = protocol.as_str();
        let why = format!(
            "of a {word} group's datagrams nothing is known but that a port is closed, which \
             takes the target out at once"
        );
        reader.misplaced("passive-health", &why, "remove the table");
        return None;
    }
    let table = reader.table("passive-health")?;
    let title = format!("`passive-health` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::PassiveHealth, title);
    let failures = failures(&mut inner, protocol);
    let limits = &numbers.passive;
    let mut whole = |key, limit: &Limit<u64>| {
        let found = inner.whole(key, limit);
        found.map_or(limit.default, |found| found.value)
    };
    let consecutive_failures = narrow(whole("consecutive-failures", &limits.consecutive_failures));
    let failure_percentage = percent(whole("failure-percentage", &limits.failure_percentage));
    let minimum_requests = narrow(whole("minimum-requests", &limits.minimum_requests));
    let minimum_targets = narrow(whole("minimum-targets", &limits.minimum_targets));
    let max_ejected_percentage = percent(whole(
        "max-ejected-percentage",
        &limits.max_ejected_percentage,
    ));
    let success_rate_deviation = deviation(&mut inner, limits.success_rate_deviation);
    let passive = PassiveHealth {
        failures,
        consecutive_failures,
        failure_percentage,
        success_rate_deviation,
        minimum_requests,
        minimum_targets,
        interval: inner.duration_or("interval", &limits.interval),
        base_ejection_time: inner.duration_or("base-ejection-time", &limits.base_ejection_time),
        max_ejection_time: inner.duration_or("max-ejection-time", &limits.max_ejection_time),
        ejection_jitter: inner.duration_or("ejection-jitter", &limits.ejection_jitter),
        max_ejected_percentage,
    };
    check(&inner, &passive);
    inner.finish();
    Some(passive)
}

/// `failures`: kinds that count; every kind the protocol has unless given.
fn failures(reader: &mut Reader<'_>, protocol: Option<GroupProtocol>) -> TrafficFailures {
    let is_http = protocol.is_none_or(GroupProtocol::is_http);
    let all: &[TrafficFailure] = match is_http {
        true => &TrafficFailure::ALL,
        false => &[TrafficFailure::Connect, TrafficFailure::Reset],
    };
    if !reader.has("failures") {
        return TrafficFailures::of(all);
    }
    let mut kinds = Vec::new();
    for word in reader.texts("failures") {
        match WORDS.iter().find(|(known, _)| *known == word.value) {
            Some((_, found)) if found.iter().all(|kind| all.contains(kind)) => {
                kinds.extend_from_slice(found);
            }
            Some(_) => wrong_protocol(reader, word),
            None => unknown(reader, word),
        }
    }
    if reader.is_empty_or_absent("failures") {
        let span = reader.key_span("failures").unwrap_or(reader.span());
        let message = format!("`failures` of {} is empty", reader.title());
        let help = "leave it out to count every kind, or remove the table";
        reader.bad_value(span, message, help);
    }
    TrafficFailures::of(&kinds)
}

fn wrong_protocol(reader: &Reader<'_>, word: Spanned<&str>) {
    let message = format!("`{}` never occurs in {}", word.value, reader.title());
    reader.scope().report(
        Diagnostic::error("bad-value", word.span, message)
            .consequence("it would count nothing: a tcp group does not know what is an answer")
            .help("a tcp group has `connect` and `reset`"),
    );
}

fn unknown(reader: &Reader<'_>, word: Spanned<&str>) {
    let names = WORDS.iter().map(|(name, _)| *name);
    reader.bad_value(
        word.span,
        format!(
            "`failures` of {} cannot hold `{}`",
            reader.title(),
            word.value
        ),
        suggest::help(word.value, names, "choose from", "leave the key out"),
    );
}

/// `success-rate-deviation`: an integer or a fraction.
fn deviation(reader: &mut Reader<'_>, default: u32) -> u32 {
    let Some(value) = reader.take("success-rate-deviation") else {
        return default;
    };
    let number = match value.kind {
        Kind::Integer(number) => number as f64,
        Kind::Float(number) => number,
        _ => f64::NAN,
    };
    if (0.0..=DEVIATION_MAX).contains(&number) {
        return (number * 1000.0).round() as u32;
    }
    let message = format!(
        "`success-rate-deviation` of {} must be a number from 0 to 10",
        reader.title()
    );
    let help = "write how many standard deviations below the mean is too few, such as 1.9; 0 = off";
    reader.bad_value(value.span, message, help);
    default
}

/// Numbers that contradict each other, and a table that does nothing.
fn check(reader: &Reader<'_>, passive: &PassiveHealth) {
    if passive.max_ejection_time < passive.base_ejection_time {
        let key = match reader.key_span("max-ejection-time") {
            Some(span) => span,
            None => reader
                .key_span("base-ejection-time")
                .unwrap_or(reader.span()),
        };
        let message = format!(
            "`max-ejection-time` of {} is shorter than its `base-ejection-time`",
            reader.title()
        );
        reader.scope().report(
            Diagnostic::error("ejection-times", key, message)
                .consequence("the first ejection would be longer than the longest")
                .help("make `max-ejection-time` at least as long"),
        );
    }
    let is_off = passive.consecutive_failures == 0
        && passive.failure_percentage == 0
        && passive.success_rate_deviation == 0;
    if is_off {
        let message = format!("{} looks at nothing", reader.title());
        reader.scope().report(
            Diagnostic::warning("passive-health-off", reader.span(), message)
                .consequence("traffic would be counted, and no target ever ejected")
                .help("remove the table, or give one of the three numbers a value above 0"),
        );
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn percent(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(100)
}
