//! How many failed attempts of a group may be followed by another one.
//!
//! One per group, shared by all workers and asked after an attempt failed, never before a first one.
//! Attempts that the target hardly noticed (refused connections and the like) are limited by number
//! alone; those it may have worked on come out of a budget, a share of the group's requests, so that
//! targets which break under load are not given more of it.
//!
//! Cost: nothing until an attempt fails; then a lock and a walk along the group's targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
#[expect(
    clippy::disallowed_types,
    reason = "taken after failures only, for some arithmetic"
)]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{RetryReason, RetryRefusal};

/// Budgets count in hundredths of a retry: a request adds the percentage.
const RETRY: u64 = 100;
/// What a group begins with: all connections of a busy client may find one dead target.
const AT_FIRST: u64 = 250 * RETRY;
/// What it gains without any requests: groups with hardly any need not fail theirs.
const PER_SECOND: u64 = 10 * RETRY;
/// The largest burst.
const MOST: u64 = 1000 * RETRY;

/// One group's retries.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    active: AtomicU32,
    #[expect(clippy::disallowed_types, reason = "taken after failures only")]
    budget: Mutex<Budget>,
}

/// A request that is being tried again. Counted until dropped.
#[derive(Debug)]
pub(crate) struct Retrying(Arc<Retries>);

impl Drop for Retrying {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Retries {
    /// Lets a request that has failed on `failed` targets be tried again, or says why not.
    /// `requests` are all that the group ever got; `held` is what an earlier call gave.
    pub(crate) fn allow(
        self: &Arc<Self>,
        limits: conf::Retries,
        failed: usize,
        reason: RetryReason,
        held: &mut Option<Retrying>,
        (now, requests): (Instant, u64),
    ) -> Result<(), RetryRefusal> {
        if u32::try_from(failed).unwrap_or(u32::MAX) > limits.each {
            return Err(RetryRefusal::Limit);
        }
        if held.is_none() {
            let add = |active: u32| match limits.at_a_time {
                0 => Some(active + 1),
                most => (active < most).then_some(active + 1),
            };
            let order = Ordering::Relaxed;
            if self.active.fetch_update(order, order, add).is_err() {
                return Err(RetryRefusal::AtATime);
            }
            *held = Some(Retrying(self.clone()));
        }
        if reason != RetryReason::TargetClosed {
            return Ok(());
        }
        // Every change is one addition or subtraction: a panic elsewhere leaves nothing half done.
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        match budget.take(now, requests, limits.budget) {
            true => Ok(()),
            false => Err(RetryRefusal::Budget),
        }
    }
}

/// What may be spent.
#[derive(Debug, Default)]
struct Budget {
    left: u64,
    /// Requests and time up to which it was filled; `None` = not yet.
    filled: Option<(Instant, u64)>,
}

impl Budget {
    /// Spends one retry, if there is one; `percent` of requests are put in.
    fn take(&mut self, now: Instant, requests: u64, percent: u32) -> bool {
        if percent == 0 {
            return false;
        }
        let gained = match self.filled {
            None => AT_FIRST,
            Some((then, before)) => {
                let passed = now
                    .saturating_duration_since(then)
                    .min(Duration::from_secs(600));
                let by_time = passed.as_millis() as u64 * PER_SECOND / 1000;
                // Targets that leave take their requests with them.
                by_time + requests.saturating_sub(before).min(MOST) * u64::from(percent)
            }
        };
        self.filled = Some((now, requests));
        self.left = (self.left + gained).min(MOST);
        let enough = self.left >= RETRY;
        if enough {
            self.left -= RETRY;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &mut Budget, now: Instant, requests: u64, percent: u32) -> u64 {
        (0..5000)
            .take_while(|_| budget.take(now, requests, percent))
            .count() as u64
    }

    #[test]
    fn a_share_of_requests_may_be_tried_again() {
        let now = Instant::now();
        let mut budget = Budget::default();
        assert_eq!(taken(&mut budget, now, 0, 20), 250, "at first");
        assert_eq!(taken(&mut budget, now, 1000, 20), 200);
        assert_eq!(taken(&mut budget, now, 1004, 20), 0);
        assert_eq!(taken(&mut budget, now, 1005, 20), 1);
        let second = now + Duration::from_secs(1);
        assert_eq!(
            taken(&mut budget, second, 1005, 20),
            10,
            "a few without requests"
        );
        assert_eq!(
            taken(&mut budget, second, 1_000_000, 20),
            1000,
            "the largest burst"
        );
        let hours = now + Duration::from_secs(10_000);
        assert_eq!(
            taken(&mut budget, hours, 1_000_000, 20),
            1000,
            "the largest burst"
        );
        assert_eq!(taken(&mut budget, hours, 500, 20), 0, "targets left");
        assert_eq!(taken(&mut budget, hours, 600, 100), 100);
        assert_eq!(taken(&mut Budget::default(), now, 1000, 0), 0);
    }

    #[test]
    fn limits_hold_for_each_request_and_at_a_time() {
        let retries = Arc::new(Retries::default());
        let limits = conf::Retries {
            each: 2,
            budget: 0,
            at_a_time: 1,
        };
        let allow = |failed, reason, held: &mut Option<Retrying>| {
            let now = (Instant::now(), 0);
            retries.allow(limits, failed, reason, held, now)
        };
        let (mut one, mut other) = (None, None);
        assert_eq!(allow(1, RetryReason::Refused, &mut one), Ok(()));
        let refused = allow(1, RetryReason::Refused, &mut other);
        assert_eq!(refused, Err(RetryRefusal::AtATime));
        assert_eq!(allow(2, RetryReason::Refused, &mut one), Ok(()));
        let third = allow(3, RetryReason::Refused, &mut one);
        assert_eq!(third, Err(RetryRefusal::Limit));
        let closed = allow(2, RetryReason::TargetClosed, &mut one);
        assert_eq!(closed, Err(RetryRefusal::Budget));
        drop(one);
        assert_eq!(allow(1, RetryReason::Refused, &mut other), Ok(()));
    }
}
