//! One timer per connection, re-armed only when it fires or must fire sooner.
//!
//! Whoever waits says at every poll until when; nearly always that is later than the armed moment,
//! and nothing is done. Cost: two comparisons per poll; a timer operation at most about once per
//! shortest timeout, however many requests pass.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use tokio::time::{Instant, Sleep, sleep_until};

/// A connection's timer.
#[derive(Debug)]
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    armed: bool,
}

impl Deadline {
    /// A timer that is not armed yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sleep: Box::pin(sleep_until(now)),
            armed: false,
        }
    }

    /// True when `due` has come at `now`; else the task is woken no later than `due`. `now` must
    /// have been read since the task was last woken.
    pub(super) fn has_passed(&mut self, cx: &mut Context<'_>, now: Instant, due: Instant) -> bool {
        if now >= due {
            return true;
        }
        let at = self.sleep.deadline();
        if !self.armed || due < at || now >= at {
            self.sleep.as_mut().reset(due);
            // Registers the waker; a moment that passed meanwhile counts as passed.
            self.armed = self.sleep.as_mut().poll(cx).is_pending();
            return !self.armed;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fires_at_the_latest_due_moment_and_not_before() {
        let start = Instant::now();
        let mut deadline = Deadline::new(start);
        let mut polls = 0;
        // The due moment moves from 60 s to 5 s, and once those are nearly over to 70 s.
        poll_fn(|cx| {
            polls += 1;
            let now = Instant::now();
            let due = match polls {
                1 => start + Duration::from_secs(60),
                2 => start + Duration::from_secs(5),
                _ => start + Duration::from_secs(70),
            };
            if polls == 1 {
                cx.waker().wake_by_ref();
            }
            match deadline.has_passed(cx, now, due) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        assert_eq!(start.elapsed().as_secs(), 70);
        assert_eq!(polls, 4);
    }
}
