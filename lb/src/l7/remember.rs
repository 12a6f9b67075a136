//! What an exchange notes for those who will ask about it: each choice of a target, and why it was not
//! the last.
//!
//! Called by the dispatcher. Cost where past requests are not kept: one branch per attempt. Where they
//! are, the clock is read only for choices that something was waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::record::Record;
use super::request::Request;
use crate::past::How;
use crate::snapshot::Route;
use crate::sticky::Claim;
use crate::target::Target;

impl Record<'_> {
    /// Notes that `target` was chosen, and what it was chosen from; `again` says that it was tried
    /// before, on a kept connection.
    pub(super) fn chose(&mut self, route: &Route, target: &Target, request: &Request, again: bool) {
        if self.past.is_some() {
            self.note_choice(route, target, request, again);
        }
    }

    #[inline(never)]
    fn note_choice(&mut self, route: &Route, target: &Target, request: &Request, again: bool) {
        let waited = request.in_pieces || self.queued.is_some();
        let Some(past) = self.past.as_mut().and_then(Arc::get_mut) else {
            return;
        };
        let had = request.claim.as_ref().and_then(Claim::target);
        let how = match had {
            _ if again => How::Again,
            Some(had) if had == target.address() => How::Session,
            _ => How::Algorithm,
        };
        let moment = match waited || past.was_tried() {
            true => now_since(self.started),
            // Within the same turn of its task, a few microseconds ago.
            false => (self.started, Duration::ZERO),
        };
        self.context.with_snapshot(|snapshot| {
            if let Some(group) = snapshot.group(route) {
                past.chose(group, target, how, moment);
            }
        });
    }

    /// Notes how the targets were of which none could be used.
    #[cold]
    pub(super) fn chose_none(&mut self, route: &Route) {
        let moment = now_since(self.started);
        let Some(past) = self.past.as_mut().and_then(Arc::get_mut) else {
            return;
        };
        self.context.with_snapshot(|snapshot| {
            if let Some(group) = snapshot.group(route) {
                past.chose_none(group, moment);
            }
        });
    }

    /// Notes why the last attempt was not the last.
    pub(super) fn attempt_failed(&mut self, reason: &'static str) {
        if let Some(past) = self.past.as_mut().and_then(Arc::get_mut) {
            past.failed(reason);
        }
    }

    /// Counts an attempt that made another one necessary.
    pub(super) fn retry(&mut self, reason: &'static str) {
        self.retries += 1;
        self.attempt_failed(reason);
    }
}

/// Now, and how long that is after `started`.
fn now_since(started: Instant) -> (Instant, Duration) {
    let now = Instant::now();
    (now, now.saturating_duration_since(started))
}
