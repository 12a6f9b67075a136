//! The end of a client's HTTP/2 connection: what was written last must arrive.
//!
//! A client of HTTP/2 never falls silent while it reads: it opens windows, acknowledges settings, answers
//! pings. Such a frame that finds the socket closed is answered by the kernel with a reset, which throws
//! away what the client has not received yet, the end of its last responses. So this half-closes, then
//! reads and throws away until the client has everything. Called once per connection that did not end by
//! its client's closing.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::wire::Wire;
use crate::l7::deadline::Deadline;

/// How long a client that has everything may be silent before the connection is closed, and how often it is
/// looked whether it has.
const SILENCE: Duration = Duration::from_secs(2);
/// Bytes that are thrown away at most: all that a client may have on its way (the connection's window),
/// and as much in frames that no window counts.
const DISCARDED: usize = 2 * 1024 * 1024;

/// Waits until the client has closed, or has everything and is silent, or has taken nothing for `patience`.
pub(super) async fn linger(wire: &Wire, patience: Duration) {
    let now = Instant::now();
    let mut parting = Parting {
        deadline: Deadline::new(now),
        patience,
        finished: false,
        discarded: 0,
        discarded_before: 0,
        looked: now,
        took: now,
        undelivered: (u32::MAX, u32::MAX),
    };
    poll_fn(|cx| parting.poll(cx, wire)).await;
}

struct Parting {
    deadline: Deadline,
    patience: Duration,
    /// We have said that there is no more.
    finished: bool,
    discarded: usize,
    /// What it was when it was last looked what the client has not received, and when that was.
    discarded_before: usize,
    looked: Instant,
    /// When it last was seen to have received something.
    took: Instant,
    undelivered: (u32, u32),
}

impl Parting {
    fn poll(&mut self, cx: &mut Context<'_>, wire: &Wire) -> Poll<()> {
        if !self.finished {
            self.finished = match wire.poll_finish(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => false,
            };
        }
        loop {
            match wire.poll_discard(cx) {
                Poll::Ready(Ok(count)) if count > 0 && self.discarded < DISCARDED => {
                    self.discarded += count;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        let now = Instant::now();
        while self.deadline.has_passed(cx, now, self.looked + SILENCE) {
            if self.is_over(wire, now) {
                return Poll::Ready(());
            }
            self.looked = now;
        }
        Poll::Pending
    }

    /// True when the client has everything and is silent, or has taken nothing for too long.
    fn is_over(&mut self, wire: &Wire, now: Instant) -> bool {
        let undelivered = wire.undelivered();
        if undelivered != self.undelivered {
            (self.undelivered, self.took) = (undelivered, now);
        }
        let is_silent = self.discarded == self.discarded_before;
        self.discarded_before = self.discarded;
        let has_all = self.finished && undelivered == (0, 0);
        (has_all && is_silent) || now >= self.took + self.patience
    }
}
