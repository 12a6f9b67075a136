//! Everything known about one target or check, for people: counters, last observations, and one
//! sentence that says what would change the state.
//!
//! Made by the board on request; serialized by the admin API. Never on the data path.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conf::{Address, TrafficFailure};
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::machine::{CheckMachine, Machine};
use crate::passive::Ejection;
use crate::{Observation, OperatorState, ReasonCode, Source, Tally, TargetState};

/// A target in full. Serialized in kebab-case; durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetDetails {
    /// The target group.
    pub group: String,
    /// The target.
    pub target: Address,
    /// What it is.
    pub state: TargetState,
    /// Why, in ELB's words.
    pub reason: Option<ReasonCode>,
    /// Who brought the state about.
    pub source: Source,
    /// Why, for people.
    pub description: String,
    /// When the state was entered; serialized as milliseconds since 1970.
    #[serde(rename = "since-unix-ms", serialize_with = "unix_milliseconds")]
    pub since: SystemTime,
    /// What the operator wants.
    pub operator: OperatorState,
    /// The weight in force.
    pub weight: u16,
    /// The weight in the configuration.
    pub configured_weight: u16,
    /// False once deregistered.
    pub registered: bool,
    /// True while probes, by the threshold, find it down.
    pub probed_unhealthy: bool,
    /// True while a failure that traffic saw stands unrefuted.
    pub suspect: bool,
    /// From one probe's start to the next one's.
    pub interval_ms: u64,
    /// The same while results differ from the state.
    pub fast_interval_ms: u64,
    /// Passed probes in a row that make it healthy.
    pub healthy_threshold: u32,
    /// Failed probes in a row that make it unhealthy.
    pub unhealthy_threshold: u32,
    /// Passed probes in a row so far.
    pub passes: u32,
    /// Failed probes in a row so far.
    pub failures: u32,
    /// The last probes, newest first, at most five.
    pub observations: Vec<ObservationDetails>,
    /// What real traffic came to; `None` where nobody counts.
    pub passive: Option<PassiveDetails>,
    /// Until the next probe; `None` when it is not probed.
    pub next_probe_ms: Option<u64>,
    /// Until the deregistration delay ends; `None` unless it runs.
    pub delay_left_ms: Option<u64>,
    /// What would change the state.
    pub next: String,
}

/// What real traffic came to on a target of a group with `passive-health`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PassiveDetails {
    /// Failures in a row so far.
    pub failures_in_a_row: u32,
    /// Failures in a row that eject it; 0 = off.
    pub consecutive_failures: u32,
    /// Requests and flows of the last whole interval.
    pub requests: u64,
    /// Failures of the last whole interval, by kind, those that do not count included.
    pub failures: BTreeMap<&'static str, u64>,
    /// How long such an interval is.
    pub interval_ms: u64,
    /// All that in one sentence.
    pub summary: String,
    /// The how manieth ejection runs; `None` unless one does.
    pub ejection: Option<u32>,
    /// Until it ends.
    pub ejection_left_ms: Option<u64>,
}

impl PassiveDetails {
    pub(crate) fn new(
        settings: &conf::PassiveHealth,
        in_a_row: u32,
        last: Tally,
        ejection: Option<Ejection>,
        now: Instant,
    ) -> Self {
        let failures = TrafficFailure::ALL.into_iter().zip(last.failures);
        Self {
            summary: summary(settings, in_a_row, last),
            failures_in_a_row: in_a_row,
            consecutive_failures: settings.consecutive_failures,
            requests: last.requests(),
            failures: failures
                .map(|(kind, count)| (kind.as_str(), count))
                .collect(),
            interval_ms: milliseconds(settings.interval),
            ejection: ejection.map(|ejection| ejection.number),
            ejection_left_ms: ejection
                .map(|ejection| milliseconds(ejection.until.saturating_duration_since(now))),
        }
    }
}

/// What traffic came to, for people.
fn summary(settings: &conf::PassiveHealth, in_a_row: u32, last: Tally) -> String {
    let failures = TrafficFailure::ALL.into_iter().zip(last.failures);
    let failures: Vec<String> = failures
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {}", kind.as_str()))
        .collect();
    let failures = match failures.is_empty() {
        true => "no failures".to_owned(),
        false => failures.join(", "),
    };
    let interval = settings.interval.as_secs_f64();
    let requests = last.requests();
    format!("{requests} requests within {interval} s: {failures}; {in_a_row} failures in a row now")
}

/// A standalone check in full. Serialized in kebab-case; durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckDetails {
    /// The check.
    pub name: String,
    /// Where it connects, an address or a name with a port, if it has probes of its own.
    pub address: Option<String>,
    /// Its state.
    pub healthy: bool,
    /// What was last seen.
    pub description: String,
    /// When `healthy` last changed; serialized as milliseconds since 1970.
    #[serde(rename = "since-unix-ms", serialize_with = "unix_milliseconds")]
    pub since: SystemTime,
    /// From one probe's start to the next one's.
    pub interval_ms: Option<u64>,
    /// Results in a row that change the state.
    pub failure_threshold: Option<u32>,
    /// Results in a row so far that differ from the state.
    pub contrary: Option<u32>,
    /// The last probes, newest first, at most five.
    pub observations: Vec<ObservationDetails>,
    /// Until the next probe.
    pub next_probe_ms: Option<u64>,
    /// What would change the state.
    pub next: String,
}

/// One probe's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ObservationDetails {
    /// `passed`, `failed`, `no-data` or `void`.
    pub result: &'static str,
    /// Why it failed, in ELB's words.
    pub reason: Option<ReasonCode>,
    /// The response's first line, else the error.
    pub seen: String,
    /// Since it ended.
    pub age_ms: u64,
    /// From start to end.
    pub took_ms: f64,
    /// Until the connection stood.
    pub connect_ms: Option<f64>,
    /// From the connection until TLS was agreed on.
    pub tls_ms: Option<f64>,
    /// From then until the first byte of the response.
    pub first_byte_ms: Option<f64>,
    /// From the same moment until the response head was complete.
    pub response_ms: Option<f64>,
}

impl ObservationDetails {
    pub(crate) fn new(observation: &Observation, now: Instant) -> Self {
        Self {
            result: observation.outcome.as_str(),
            reason: observation.reason(),
            seen: observation.seen.to_string(),
            age_ms: milliseconds(now.saturating_duration_since(observation.ended)),
            took_ms: fraction(observation.ended - observation.started),
            connect_ms: observation.phases.connect.map(fraction),
            tls_ms: observation.phases.tls.map(fraction),
            first_byte_ms: observation.phases.first_byte.map(fraction),
            response_ms: observation.phases.response.map(fraction),
        }
    }
}

/// What would change a target's state, in one sentence.
pub(crate) fn target_outlook(machine: &Machine, passive: Option<&PassiveDetails>) -> String {
    let thresholds = machine.thresholds();
    if !machine.is_probed() {
        return if machine.deadline().is_some() {
            "Registering it again before the delay ends brings it back.".to_owned()
        } else if machine.is_registered() {
            "It is probed once a listener or record uses its group.".to_owned()
        } else {
            "Registering it again brings it back.".to_owned()
        };
    }
    let (passes, failures) = (machine.passes(), machine.failures());
    let (healthy, unhealthy) = (thresholds.healthy, thresholds.unhealthy);
    let by_probes = if machine.is_suspect() && machine.recovers_at_once() {
        "The first passed probe begun after the failure makes it healthy.".to_owned()
    } else if machine.probed_unhealthy() {
        format!(
            "It becomes healthy after {healthy} passed probes in a row: {passes} of {healthy} so far."
        )
    } else {
        let first = if machine.is_undecided() {
            "The first passed probe makes it healthy. "
        } else {
            ""
        };
        format!(
            "{first}It becomes unhealthy after {unhealthy} failed probes in a row: \
             {failures} of {unhealthy} so far."
        )
    };
    let left = passive.and_then(|passive| passive.ejection_left_ms);
    let by_probes = match left.filter(|_| machine.is_ejected()) {
        Some(left) => {
            let seconds = Duration::from_millis(left).as_secs_f64();
            format!("Its ejection ends in {seconds:.1} s. {by_probes}")
        }
        None => by_probes,
    };
    match machine.operator() {
        OperatorState::Ready => by_probes,
        OperatorState::Drain => format!("It stays draining until undrained. {by_probes}"),
    }
}

/// What would change a check's state, in one sentence; `machine` is that of a check with probes of
/// its own.
pub(crate) fn check_outlook(
    machine: Option<&CheckMachine>,
    disabled: bool,
    inverted: bool,
) -> String {
    if disabled {
        return "It is disabled: only the configuration changes it.".to_owned();
    }
    let Some(machine) = machine else {
        return "It changes with what it looks at.".to_owned();
    };
    let kind = if machine.healthy() {
        "failed"
    } else {
        "passed"
    };
    let state = match machine.healthy() == inverted {
        true => "healthy",
        false => "unhealthy",
    };
    let (contrary, threshold) = (machine.contrary(), machine.threshold());
    format!(
        "It becomes {state} after {threshold} {kind} probes in a row: {contrary} of {threshold} \
         so far."
    )
}

/// What would change the state of a check that looks at a routing control.
pub(crate) fn control_outlook(control: &str, on: bool, inverted: bool) -> String {
    let state = if on == inverted {
        "healthy"
    } else {
        "unhealthy"
    };
    let to = if on { "off" } else { "on" };
    format!("It becomes {state} when routing control `{control}` is turned {to}.")
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn fraction(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn unix_milliseconds<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(milliseconds(since))
}
