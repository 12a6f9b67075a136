//! Health checks: `[target-group.health-check]` and `[[health-check]]`.

use std::time::Duration;

use super::address;
use super::defaults::Numbers;
use super::directory::Directory;
use crate::document::{Kind, Table};
use crate::scalar::Shown;
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader, Scope};
use crate::{
    CheckIdx, Diagnostic, GroupProtocol, HealthCheck, HealthCheckKind, Matcher, Profile, Span,
    Spanned, TargetHealthCheck, TargetHealthCheckKind,
};

/// Keys that only mean something when the probe is HTTP.
const HTTP_KEYS: [&str; 3] = ["path", "host", "matcher"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Http,
}

/// Where a target health check belongs.
pub(super) struct Owner {
    pub(super) protocol: GroupProtocol,
    pub(super) profile: Profile,
}

/// Resolves a group's own check; `table` is `None` when the file gives none.
pub(super) fn of_targets(
    table: Option<&Table>,
    title: &str,
    owner: &Owner,
    numbers: &Numbers,
    scope: &Scope<'_>,
) -> TargetHealthCheck {
    let Some(table) = table else {
        return unwritten(owner, numbers);
    };
    let title = format!("the health check of {title}");
    let mut reader = Reader::new(scope, table, Section::TargetHealthCheck, title);
    let protocol = target_protocol(&mut reader, owner);
    let kind = target_kind(&mut reader, protocol, owner);
    let interval = reader.duration("interval", &numbers.interval);
    let timeout = reader.duration("timeout", &numbers.timeout);
    let (interval, timeout) = timing(&reader, interval, timeout, protocol, owner, numbers);
    let check = TargetHealthCheck {
        kind,
        port: port(&mut reader),
        interval,
        timeout,
        healthy_threshold: threshold(&mut reader, "healthy-threshold", &numbers.healthy_threshold),
        unhealthy_threshold: threshold(
            &mut reader,
            "unhealthy-threshold",
            &numbers.unhealthy_threshold,
        ),
    };
    reader.finish();
    check
}

/// The check of a group whose file gives none: TCP, but for ELB's http groups, which ask for `/`.
fn unwritten(owner: &Owner, numbers: &Numbers) -> TargetHealthCheck {
    let protocol = default_protocol(owner);
    let kind = match protocol {
        Protocol::Tcp => TargetHealthCheckKind::Tcp,
        Protocol::Http => TargetHealthCheckKind::Http {
            path: "/".to_owned(),
            host: None,
            matcher: default_matcher(owner),
        },
    };
    let interval = numbers.interval.default;
    TargetHealthCheck {
        kind,
        port: None,
        interval,
        timeout: default_timeout(interval, protocol, owner, numbers),
        healthy_threshold: narrow(numbers.healthy_threshold.default),
        unhealthy_threshold: narrow(numbers.unhealthy_threshold.default),
    }
}

fn default_protocol(owner: &Owner) -> Protocol {
    match (owner.profile, owner.protocol) {
        (Profile::Aws, GroupProtocol::Http) => Protocol::Http,
        _ => Protocol::Tcp,
    }
}

fn target_protocol(reader: &mut Reader<'_>, owner: &Owner) -> Protocol {
    let words = [("tcp", Protocol::Tcp), ("http", Protocol::Http)];
    match reader.choice("protocol", &words) {
        Choice::Is(found) => {
            let is_alb = owner.profile == Profile::Aws && owner.protocol == GroupProtocol::Http;
            if is_alb && found.value == Protocol::Tcp {
                reader
                    .scope()
                    .report(not_in_elb(reader.title(), found.span));
            }
            found.value
        }
        // A path, host or matcher asks for HTTP as clearly as the protocol would.
        Choice::Absent if HTTP_KEYS.iter().any(|key| reader.has(key)) => Protocol::Http,
        Choice::Absent => default_protocol(owner),
        Choice::Later | Choice::Refused => Protocol::Http,
    }
}

fn not_in_elb(title: &str, span: Span) -> Diagnostic {
    Diagnostic::error(
        "not-in-elb",
        span,
        format!("{title} cannot be `tcp` in ELB"),
    )
    .consequence("an Application Load Balancer would refuse the target group")
    .help("use protocol `http`, or `defaults = \"local\"`")
}

fn target_kind(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    owner: &Owner,
) -> TargetHealthCheckKind {
    match protocol {
        Protocol::Tcp => {
            for key in HTTP_KEYS {
                reader.misplaced(
                    key,
                    "a tcp probe only connects",
                    "use protocol `http`, or remove it",
                );
            }
            TargetHealthCheckKind::Tcp
        }
        Protocol::Http => TargetHealthCheckKind::Http {
            path: address::request_path(reader),
            host: address::host_header(reader),
            matcher: matcher(reader, owner),
        },
    }
}

fn timing(
    reader: &Reader<'_>,
    interval: Option<Spanned<Duration>>,
    timeout: Option<Spanned<Duration>>,
    protocol: Protocol,
    owner: &Owner,
    numbers: &Numbers,
) -> (Duration, Duration) {
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
    (period, limit)
}

/// In `local` a short interval brings its own timeout, four fifths of it; ELB does not do so.
fn default_timeout(
    interval: Duration,
    protocol: Protocol,
    owner: &Owner,
    numbers: &Numbers,
) -> Duration {
    let default = match (protocol, owner.protocol) {
        (Protocol::Tcp, _) => numbers.timeout_tcp,
        (Protocol::Http, GroupProtocol::Tcp) => numbers.timeout_http_of_tcp,
        (Protocol::Http, GroupProtocol::Http) => numbers.timeout.default,
    };
    match owner.profile {
        Profile::Local => default.min(interval * 4 / 5),
        Profile::Aws => default,
    }
}

fn port(reader: &mut Reader<'_>) -> Option<u16> {
    let value = reader.take("port")?;
    match &value.kind {
        Kind::Integer(number) => match u16::try_from(*number) {
            Ok(port) if port > 0 => return Some(port),
            _ => {}
        },
        Kind::String(text) if text == "traffic-port" => return None,
        _ => {}
    }
    let help = "write a number from 1 to 65535, or \"traffic-port\" for the target's own";
    reader.bad_value(
        value.span,
        format!("`port` of {} is no port", reader.title()),
        help,
    );
    None
}

fn threshold(reader: &mut Reader<'_>, key: &str, limit: &Limit<u64>) -> u32 {
    let found = reader.whole(key, limit);
    narrow(found.map_or(limit.default, |found| found.value))
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What a profile counts as success when the file does not say (ELB `Matcher.HttpCode`).
fn default_matcher(owner: &Owner) -> Matcher {
    let range = match (owner.profile, owner.protocol) {
        (Profile::Local, _) => (200, 299),
        (Profile::Aws, GroupProtocol::Http) => (200, 200),
        (Profile::Aws, GroupProtocol::Tcp) => (200, 399),
    };
    Matcher {
        ranges: vec![range],
    }
}

/// The statuses that may stand in a matcher (ELB: ALB 200-499, NLB 200-599).
fn matcher_bounds(owner: &Owner) -> (u16, u16) {
    match (owner.profile, owner.protocol) {
        (Profile::Local, _) => (100, 599),
        (Profile::Aws, GroupProtocol::Http) => (200, 499),
        (Profile::Aws, GroupProtocol::Tcp) => (200, 599),
    }
}

fn matcher(reader: &mut Reader<'_>, owner: &Owner) -> Matcher {
    let default = default_matcher(owner);
    let Some(value) = reader.take("matcher") else {
        return default;
    };
    let text = match &value.kind {
        Kind::Integer(code) => code.to_string(),
        _ => match reader.as_text("matcher", value) {
            Some(text) => text.value.to_owned(),
            None => return default,
        },
    };
    let (low, high) = matcher_bounds(owner);
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for part in text.split(',') {
        match status_range(part.trim()) {
            Some((from, to)) if low <= from && from <= to && to <= high => ranges.push((from, to)),
            _ => {
                reader.bad_value(
                    value.span,
                    format!("`{text}` is not a list of statuses from {low} to {high}"),
                    "write statuses and ranges: \"200\", \"200,202\", \"200-299\"",
                );
                return default;
            }
        }
    }
    ranges.sort_unstable();
    Matcher { ranges }
}

fn status_range(part: &str) -> Option<(u16, u16)> {
    let code = |text: &str| match text.len() {
        3 if text.bytes().all(|b| b.is_ascii_digit()) => text.parse::<u16>().ok(),
        _ => None,
    };
    match part.split_once('-') {
        Some((from, to)) => Some((code(from.trim())?, code(to.trim())?)),
        None => code(part).map(|code| (code, code)),
    }
}

/// Resolves every `[[health-check]]`.
pub(super) fn standalone(
    root: &mut Reader<'_>,
    profile: Profile,
    numbers: &Numbers,
    directory: &mut Directory<CheckIdx>,
) -> Vec<HealthCheck> {
    let mut checks = Vec::new();
    for table in root.tables("health-check") {
        let mut reader = Reader::new(
            root.scope(),
            table,
            Section::HealthCheck,
            "this health check",
        );
        let name = directory.declare(&mut reader);
        let kind = standalone_kind(&mut reader);
        let interval = standalone_interval(&mut reader, profile, numbers);
        let failure_threshold =
            threshold(&mut reader, "failure-threshold", &numbers.failure_threshold);
        reader.finish();
        if let (Some(name), Some(kind)) = (name, kind) {
            directory.place(name.value, CheckIdx(checks.len()));
            checks.push(HealthCheck {
                name: name.value.to_owned(),
                span: name.span,
                kind,
                interval,
                failure_threshold,
            });
        }
    }
    checks
}

fn standalone_kind(reader: &mut Reader<'_>) -> Option<HealthCheckKind> {
    let words = [("tcp", Protocol::Tcp), ("http", Protocol::Http)];
    reader.missing(
        "type",
        "it would not be known what to probe",
        "add `type = \"http\"` or `type = \"tcp\"`",
    );
    let kind = reader.choice("type", &words);
    if !matches!(kind, Choice::Later) {
        reader.missing(
            "address",
            "there would be nothing to probe",
            "add `address = \"192.0.2.10:80\"`",
        );
    }
    let address = reader
        .text("address")
        .and_then(|text| address::destination(text, reader.scope()));
    let protocol = match kind {
        Choice::Is(found) => found.value,
        Choice::Absent | Choice::Refused | Choice::Later => {
            reader.take("path");
            reader.take("host");
            return None;
        }
    };
    match protocol {
        Protocol::Tcp => {
            for key in ["path", "host"] {
                reader.misplaced(
                    key,
                    "a tcp probe only connects",
                    "use type `http`, or remove it",
                );
            }
            Some(HealthCheckKind::Tcp { address: address? })
        }
        Protocol::Http => {
            let path = address::request_path(reader);
            let host = address::host_header(reader);
            let address = address?;
            Some(HealthCheckKind::Http {
                address,
                path,
                host,
            })
        }
    }
}

fn standalone_interval(reader: &mut Reader<'_>, profile: Profile, numbers: &Numbers) -> Duration {
    let limit = &numbers.standalone_interval;
    let Some(found) = reader.duration("interval", limit) else {
        return limit.default;
    };
    let known = [limit.min, limit.max].contains(&found.value);
    if profile == Profile::Aws && !known {
        reader.scope().report(
            Diagnostic::error(
                "out-of-range",
                found.span,
                format!(
                    "`interval` of {} is {}, neither 10s nor 30s",
                    reader.title(),
                    found.value.shown()
                ),
            )
            .consequence(limit.why)
            .help("choose 10s or 30s"),
        );
    }
    found.value
}
