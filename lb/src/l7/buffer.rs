//! Buffers of running exchanges, and the per-worker stack they come from and go back to.
//!
//! A connection takes a set when its first byte arrives and gives it back when it is idle, so that
//! an idle connection keeps none. Cost: taking and giving back move one pointer; a set is made
//! only when more exchanges run at once than lately; what a burst left over goes within seconds.
//! Never holds data of two connections: a set is emptied before it goes back.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::sticky::SetCookies;
use crate::stream::Side;

/// Bytes one buffer begins with: a page-friendly size that holds nearly every head, and with it
/// most bodies that come in one segment.
const SIZE: usize = 16 * 1024;
/// Bytes a buffer may grow to while bulk data passes.
const BULK: usize = 64 * 1024;
/// Sets a worker keeps for later.
const KEPT: usize = 256;
/// Sets that stay when nothing runs: what a few busy clients need.
const RESTING: usize = 8;
/// How often it is looked for sets that nobody needed meanwhile.
const SWEEP: Duration = Duration::from_secs(1);

/// Bytes that were read and not used yet.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self {
            bytes: vec![0; SIZE],
            start: 0,
            end: 0,
        }
    }

    /// What was read and not used yet.
    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks the first `count` filled bytes as used.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// True when nothing more can be read before something is used or the buffer grows.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }

    /// How many bytes it can hold now.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for `capacity` bytes altogether.
    pub(super) fn grow(&mut self, capacity: usize) {
        if capacity > self.bytes.len() {
            self.bytes.resize(capacity, 0);
        }
    }

    /// Reads once into the free room, which there must be. `Ready(Ok(0))` is the end of the stream.
    /// A read that fills a buffer completely lets it grow for bulk data.
    pub(super) fn poll_fill(
        &mut self,
        side: &mut impl Side,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        let whole = room.len();
        let read = std::task::ready!(side.poll_read(cx, room))?;
        self.end += read;
        if read == whole && whole >= SIZE {
            self.grow(BULK);
        }
        Poll::Ready(Ok(read))
    }
}

/// Everything one exchange needs that is too large for an idle connection.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Head, body and pipelined bytes from the client.
    pub(super) from_client: Buffer,
    /// The request head for the target, kept for replay.
    pub(super) to_target: Vec<u8>,
    /// Head and body from the target.
    pub(super) from_target: Buffer,
    /// Heads, and small bodies with them, for the client.
    pub(super) to_client: Vec<u8>,
    /// Method, host and path for the access log, one after the other.
    pub(super) log_text: Vec<u8>,
    /// What the answer tells the client of its session.
    pub(super) set_cookies: SetCookies,
}

impl Buffers {
    fn new() -> Self {
        Self {
            from_client: Buffer::new(),
            to_target: Vec::with_capacity(1024),
            from_target: Buffer::new(),
            to_client: Vec::with_capacity(1024),
            log_text: Vec::new(),
            set_cookies: SetCookies::default(),
        }
    }

    /// Forgets everything but what the client sent ahead.
    pub(super) fn finish_exchange(&mut self) {
        self.to_target.clear();
        self.from_target.clear();
        self.to_client.clear();
        if !self.set_cookies.is_empty() {
            self.set_cookies.clear();
        }
    }

    /// Gives the memory back while the set is kept but not used.
    pub(super) fn release(&mut self) {
        for buffer in [&mut self.from_client, &mut self.from_target] {
            buffer.clear();
            buffer.bytes = Vec::new();
        }
    }

    /// Back to the size it was made with.
    fn reset(&mut self) {
        for buffer in [&mut self.from_client, &mut self.from_target] {
            buffer.clear();
            if buffer.bytes.len() != SIZE {
                buffer.bytes.resize(SIZE, 0);
                buffer.bytes.shrink_to_fit();
            }
        }
        for text in [&mut self.to_target, &mut self.to_client, &mut self.log_text] {
            text.clear();
            text.shrink_to(SIZE);
        }
    }
}

/// One worker's spare sets.
#[derive(Debug, Default)]
pub(super) struct BufferStack(Rc<RefCell<Spare>>);

#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "taking and giving back move a pointer, not the set"
)]
struct Spare {
    sets: Vec<Box<Buffers>>,
    /// So many were there at every moment since the last look: nobody needed them.
    surplus: usize,
    is_swept: bool,
}

impl BufferStack {
    /// An empty set.
    pub(super) fn take(&self) -> Box<Buffers> {
        let mut spare = self.0.borrow_mut();
        let set = spare.sets.pop();
        spare.surplus = spare.surplus.min(spare.sets.len());
        set.unwrap_or_else(|| Box::new(Buffers::new()))
    }

    /// Gives a set back.
    pub(super) fn give_back(&self, mut buffers: Box<Buffers>) {
        let mut spare = self.0.borrow_mut();
        if spare.sets.len() < KEPT {
            buffers.reset();
            spare.sets.push(buffers);
        }
        if spare.sets.len() > RESTING && !spare.is_swept {
            spare.is_swept = true;
            tokio::task::spawn_local(sweep(Rc::downgrade(&self.0)));
        }
    }
}

/// Gives up sets that nobody needed for a while, until few are left.
async fn sweep(spare: Weak<RefCell<Spare>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(spare) = spare.upgrade() else {
            return;
        };
        let mut spare = spare.borrow_mut();
        let kept = spare.sets.len().saturating_sub(spare.surplus);
        spare.sets.truncate(kept.max(RESTING));
        spare.surplus = spare.sets.len();
        if spare.sets.len() <= RESTING {
            spare.sets.shrink_to_fit();
            spare.is_swept = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_burst_left_over_goes_while_what_is_in_use_stays() {
        let local = tokio::task::LocalSet::new();
        let stack = BufferStack::default();
        let spare = || stack.0.borrow().sets.len();
        let busy = |count| {
            let taken: Vec<_> = (0..count).map(|_| stack.take()).collect();
            taken.into_iter().for_each(|set| stack.give_back(set));
        };
        local
            .run_until(async {
                busy(RESTING);
                assert!(
                    !stack.0.borrow().is_swept,
                    "few stay without a look at them"
                );
                busy(KEPT + 10);
                assert_eq!(spare(), KEPT);
                for _ in 0..5 {
                    busy(100);
                    tokio::time::sleep(SWEEP).await;
                }
                assert_eq!(spare(), 100);
                tokio::time::sleep(SWEEP * 3).await;
                assert_eq!(spare(), RESTING);
                assert!(!stack.0.borrow().is_swept);
                busy(50);
                assert_eq!(spare(), 50);
                tokio::time::sleep(SWEEP * 3).await;
                assert_eq!(spare(), RESTING);
            })
            .await;
    }
}
