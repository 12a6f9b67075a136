//! `interval`, `fast-interval` and `timeout` of a target health check.
//!
//! A timeout lies below its interval, so that no probe waits while the next one is due.

use std::time::Duration;

use super::{Owner, Protocol};
use crate::resolve::defaults::Numbers;
use crate::scalar::Shown;
use crate::tree::Reader;
use crate::{Diagnostic, Profile, Spanned};

/// The three durations.
pub(super) struct Timing {
    pub(super) interval: Duration,
    pub(super) fast_interval: Duration,
    pub(super) timeout: Duration,
}

/// Reads the keys.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    owner: &Owner,
    numbers: &Numbers,
) -> Timing {
    let interval = reader.duration("interval", &numbers.interval);
    let fast = reader.duration("fast-interval", &numbers.fast_interval);
    let timeout = reader.duration("timeout", &numbers.timeout);
    let period = interval
        .as_ref()
        .map_or(numbers.interval.default, |i| i.value);
    let fast_interval = fast.map_or(period, |fast| fast_interval(reader, &fast, period));
    Timing {
        interval: period,
        fast_interval,
        timeout: limited(reader, interval, timeout, protocol, owner, numbers),
    }
}

fn fast_interval(reader: &Reader<'_>, fast: &Spanned<Duration>, interval: Duration) -> Duration {
    if fast.value > interval {
        let message = format!(
            "`fast-interval` {} of {} is longer than `interval` {}",
            fast.value.shown(),
            reader.title(),
            interval.shown()
        );
        reader.scope().report(
            Diagnostic::error("fast-interval-above-interval", fast.span, message)
                .consequence("targets would be probed more seldom while their state is in doubt")
                .help("make it shorter than `interval`, or leave it out"),
        );
    }
    fast.value.min(interval)
}

fn limited(
    reader: &Reader<'_>,
    interval: Option<Spanned<Duration>>,
    timeout: Option<Spanned<Duration>>,
    protocol: Protocol,
    owner: &Owner,
    numbers: &Numbers,
) -> Duration {
    let period = interval
        .as_ref()
        .map_or(numbers.interval.default, |i| i.value);
    let limit = match &timeout {
        Some(timeout) => timeout.value,
        None => default_timeout(period, protocol, owner, numbers),
    };
    // A timeout or interval that was refused has been reported; do not measure its default.
    let readable = (timeout.is_some() || !reader.has("timeout"))
        && (interval.is_some() || !reader.has("interval"));
    if limit >= period && readable {
        let of = |given: bool| if given { "" } else { " (the default)" };
        let message = format!(
            "`timeout` {}{} of {} is not below `interval` {}{}",
            limit.shown(),
            of(timeout.is_some()),
            reader.title(),
            period.shown(),
            of(interval.is_some()),
        );
        let place = timeout
            .or(interval)
            .map_or(reader.span(), |found| found.span);
        reader.scope().report(
            Diagnostic::error("timeout-not-below-interval", place, message)
                .consequence("a probe would still be waiting when the next one starts")
                .help("make `interval` longer or `timeout` shorter"),
        );
    }
    limit
}

/// In `local` a short interval brings its own timeout, four fifths of it; ELB does not do so.
pub(super) fn default_timeout(
    interval: Duration,
    protocol: Protocol,
    owner: &Owner,
    numbers: &Numbers,
) -> Duration {
    let default = match (protocol, owner.protocol) {
        (Protocol::Tcp | Protocol::Tls | Protocol::Udp, _) => numbers.timeout_tcp,
        (Protocol::Grpc | Protocol::Agent | Protocol::Exec, _) => numbers.timeout.default,
        (Protocol::Http | Protocol::Https | Protocol::H2 | Protocol::H2c, protocol)
            if protocol.is_http() =>
        {
            numbers.timeout.default
        }
        (Protocol::Https | Protocol::H2, _) => numbers.timeout_tcp,
        (Protocol::Http | Protocol::H2c, _) => numbers.timeout_http_of_tcp,
    };
    match owner.profile {
        Profile::Local => default.min(interval * 4 / 5),
        Profile::Aws => default,
    }
}
