//! How a target was chosen, noted at the moment of choosing: what the algorithm saw, and what became of
//! the attempt.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::PastRequest;
use crate::explain::{TargetReport, chosen_by, condition_word};
use crate::snapshot::{Condition, Group, Member};
use crate::target::Target;

/// Targets of which it is noted how they were when one was chosen: those of most groups.
const CANDIDATES: usize = 16;
/// Attempts that are noted; there are at most 32.
const ATTEMPTS: usize = 32;

/// What led to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The group's algorithm.
    Algorithm,
    /// The target that the client's session has.
    Session,
    /// The same target as before, on a new connection.
    Again,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct PastAttempt {
    /// `None` when none could be used.
    pub(super) target: Option<Arc<str>>,
    /// Since the exchange began.
    pub(super) after: Duration,
    pub(super) algorithm: &'static str,
    pub(super) how: &'static str,
    pub(super) fail_open: bool,
    /// Registered targets, of which not all need be noted.
    pub(super) registered: usize,
    /// Why another one was necessary.
    pub(super) failed: Option<&'static str>,
}

/// A target as it was when one was chosen.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    target: Arc<str>,
    condition: Condition,
    weight: u16,
    share: u8,
    in_flight: u32,
    suspect: bool,
    backup: bool,
    latency: Option<f64>,
}

impl PastRequest {
    /// Notes that `target` was chosen from `group`, and by what.
    pub(crate) fn chose(&mut self, group: &Group, target: &Target, how: How, after: Duration) {
        let words = match how {
            How::Algorithm => chosen_by(group),
            How::Session => "the one that the client's session has",
            How::Again => "the same on a new connection: the kept one was closed",
        };
        self.note(group, Some(target.name().clone()), words, after);
        if how != How::Again {
            self.note_candidates(group);
        }
    }

    /// Notes that none of `group` could be used.
    pub(crate) fn chose_none(&mut self, group: &Group, after: Duration) {
        self.note(group, None, "none could be used", after);
        self.note_candidates(group);
    }

    fn note(
        &mut self,
        group: &Group,
        target: Option<Arc<str>>,
        how: &'static str,
        after: Duration,
    ) {
        if self.attempts.len() < ATTEMPTS {
            self.attempts.push(PastAttempt {
                target,
                after,
                algorithm: group.settings.algorithm.as_str(),
                how,
                fail_open: group.fail_open,
                registered: group.members.len(),
                failed: None,
            });
        }
    }

    /// Notes how the targets are for the attempt that was noted last.
    fn note_candidates(&mut self, group: &Group) {
        let place = self.attempts.len().saturating_sub(1);
        if self.candidates.iter().any(|(of, _)| *of == place) {
            return;
        }
        let by_latency = group.settings.algorithm == conf::Algorithm::PeakEwma;
        let now = by_latency.then(Instant::now);
        let noted = group.members.iter().take(CANDIDATES);
        self.candidates
            .extend(noted.map(|member| (place, Candidate::of(member, now))));
    }

    /// Notes why the last attempt was not the last.
    pub(crate) fn failed(&mut self, reason: &'static str) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.failed = Some(reason);
        }
    }
}

impl Candidate {
    fn of(member: &Member, now: Option<Instant>) -> Self {
        let target = &member.target;
        Self {
            target: target.name().clone(),
            condition: member.condition,
            weight: member.weight,
            share: member.share,
            in_flight: target.in_flight(),
            suspect: target.is_suspect(),
            backup: member.backup,
            latency: now.and_then(|now| target.latency().micros(now)),
        }
    }

    pub(super) fn report(&self) -> TargetReport {
        TargetReport {
            target: self.target.to_string(),
            condition: condition_word(self.condition).to_owned(),
            weight: self.weight,
            share: self.share,
            in_flight: self.in_flight,
            suspect: self.suspect,
            backup: self.backup,
            latency: self.latency.map(|micros| micros / 1e6),
        }
    }
}
