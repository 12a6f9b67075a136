//! How a target was chosen, noted at the moment of choosing: what the algorithm saw, and what became of
//! the attempt.
//!
//! Called by the dispatcher, once per attempt. Targets are noted by their addresses, which are plain
//! numbers: nothing that workers share is counted up or down. Cost: some 50 bytes for each of the first
//! 16 targets, and what its load and its health say now; no allocation once the memory has been used.

use std::time::Duration;

use conf::Address;
use tokio::time::Instant;

use super::PastRequest;
use crate::explain::{TargetReport, chosen_by, condition_word};
use crate::snapshot::{Condition, Group, Member};
use crate::target::Target;

/// Targets of which it is noted how they were when one was chosen: those of most groups.
const CANDIDATES: usize = 16;
/// Attempts that are noted; there are at most 32.
const ATTEMPTS: usize = 32;
/// Attempts that a request whose memory is used again has room for: hardly any has more.
const ATTEMPTS_KEPT: usize = 4;

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
    pub(super) target: Option<Address>,
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
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// The attempt it was looked at for, by its place.
    pub(super) attempt: u8,
    share: u8,
    weight: u16,
    in_flight: u32,
    /// In microseconds, at least 1; 0 = not known, or of no interest.
    latency: u32,
    condition: Condition,
    suspect: bool,
    backup: bool,
    target: Address,
}

impl PastRequest {
    /// Notes that `target` was chosen from `group`, and by what; `moment` is when, and how long that
    /// is after the exchange began.
    pub(crate) fn chose(
        &mut self,
        group: &Group,
        target: &Target,
        how: How,
        moment: (Instant, Duration),
    ) {
        let words = match how {
            How::Algorithm => chosen_by(group),
            How::Session => "the one that the client's session has",
            How::Again => "the same on a new connection: the kept one was closed",
        };
        self.note(group, Some(target.address()), words, moment.1);
        if how != How::Again {
            self.note_candidates(group, moment.0);
        }
    }

    /// Notes that none of `group` could be used.
    pub(crate) fn chose_none(&mut self, group: &Group, moment: (Instant, Duration)) {
        self.note(group, None, "none could be used", moment.1);
        self.note_candidates(group, moment.0);
    }

    fn note(&mut self, group: &Group, target: Option<Address>, how: &'static str, after: Duration) {
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
    fn note_candidates(&mut self, group: &Group, now: Instant) {
        // No more than ATTEMPTS.
        let place = self.attempts.len().saturating_sub(1) as u8;
        let last = self.candidates.last();
        if last.is_some_and(|candidate| candidate.attempt == place) {
            return;
        }
        let by_latency = group.settings.algorithm == conf::Algorithm::PeakEwma;
        let now = by_latency.then_some(now);
        let noted = group.members.iter().take(CANDIDATES);
        self.candidates
            .extend(noted.map(|member| Candidate::of(place, member, now)));
    }

    /// Forgets all attempts, and most of the memory of very many.
    pub(super) fn clear_attempts(&mut self) {
        self.attempts.clear();
        self.attempts.shrink_to(ATTEMPTS_KEPT);
        self.candidates.clear();
        self.candidates.shrink_to(CANDIDATES);
    }

    /// True once an attempt was noted.
    pub(crate) fn was_tried(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// Notes why the last attempt was not the last.
    pub(crate) fn failed(&mut self, reason: &'static str) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.failed = Some(reason);
        }
    }
}

impl Candidate {
    fn of(attempt: u8, member: &Member, now: Option<Instant>) -> Self {
        let target = &member.target;
        let latency = now.and_then(|now| target.latency().micros(now));
        Self {
            attempt,
            target: target.address(),
            condition: member.condition,
            weight: member.weight,
            share: member.share,
            in_flight: target.in_flight(),
            suspect: target.is_suspect(),
            backup: member.backup,
            latency: latency.map_or(0, |micros| (micros as u32).max(1)),
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
            latency: (self.latency > 0).then(|| f64::from(self.latency) / 1e6),
        }
    }
}
