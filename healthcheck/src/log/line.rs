//! One line of the health check log.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::time::rfc3339;
use crate::{CheckHealth, GroupHealth, Observation, ReasonCode, TargetHealth};

/// Whom a line is about.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Subject {
    /// A target.
    #[serde(rename_all = "kebab-case")]
    Target {
        /// Its group.
        target_group: String,
        /// Its address.
        target: String,
    },
    /// A whole group.
    #[serde(rename_all = "kebab-case")]
    Group {
        /// Its name.
        target_group: String,
    },
    /// A standalone check.
    #[serde(rename_all = "kebab-case")]
    Check {
        /// Its name.
        health_check: String,
    },
}

/// A probe's result, or a change of state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Line {
    time: String,
    event: &'static str,
    #[serde(flatten)]
    subject: Subject,
    /// The state after it.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(flatten)]
    probe: Option<ProbeFields>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ProbeFields {
    protocol: &'static str,
    result: &'static str,
    seen: String,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
}

impl Line {
    /// A probe ended, and left its subject in `state`.
    pub(crate) fn probe(
        subject: Subject,
        state: &'static str,
        protocol: &'static str,
        observation: &Observation,
    ) -> Self {
        let phases = &observation.phases;
        Self {
            reason: observation.reason().map(ReasonCode::as_str),
            probe: Some(ProbeFields {
                protocol,
                result: observation.outcome.as_str(),
                seen: observation.seen.to_string(),
                took_ms: milliseconds(observation.ended - observation.started),
                connect_ms: phases.connect.map(milliseconds),
                tls_ms: phases.tls.map(milliseconds),
                first_byte_ms: phases.first_byte.map(milliseconds),
            }),
            ..Self::new("probe", subject, state)
        }
    }

    /// A target's state changed.
    pub(crate) fn target(subject: Subject, before: &TargetHealth, after: &TargetHealth) -> Self {
        Self {
            from: Some(before.state.as_str()),
            source: Some(after.source.as_str()),
            reason: after.reason.map(ReasonCode::as_str),
            description: Some(after.description.to_string()),
            ..Self::new("transition", subject, after.state.as_str())
        }
    }

    /// A check's state changed.
    pub(crate) fn check(subject: Subject, before: &CheckHealth, after: &CheckHealth) -> Self {
        Self {
            from: Some(before.as_str()),
            description: Some(after.description.to_string()),
            ..Self::new("transition", subject, after.as_str())
        }
    }

    /// A group fails open, or does so no longer.
    pub(crate) fn group(
        group: &str,
        before: GroupHealth,
        after: GroupHealth,
        description: String,
    ) -> Self {
        let word = |health: GroupHealth| match health.fail_open {
            true => "fail-open",
            false => "normal",
        };
        let subject = Subject::Group {
            target_group: group.to_owned(),
        };
        Self {
            from: Some(word(before)),
            description: Some(description),
            ..Self::new("transition", subject, word(after))
        }
    }

    fn new(event: &'static str, subject: Subject, state: &'static str) -> Self {
        Self {
            time: rfc3339(SystemTime::now()),
            event,
            subject,
            state,
            from: None,
            source: None,
            reason: None,
            description: None,
            probe: None,
        }
    }

    /// With its line end.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings and finite numbers always have a form in JSON.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// To a thousandth: what a probe takes is not known better.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
