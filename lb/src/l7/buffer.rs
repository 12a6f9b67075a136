//! Buffers of running exchanges, and the per-worker stack they come from and go back to.
//!
//! A connection takes a set when its first byte arrives and gives it back when it is idle, so that
//! an idle connection keeps none. Cost: taking and giving back move one pointer; a set is made
//! only when more exchanges run at once than ever before. Never holds data of two connections: a
//! set is emptied before it goes back.

use std::cell::RefCell;
use std::task::{Context, Poll};

use crate::sticky::SetCookies;
use crate::stream::Side;

/// Bytes one buffer begins with: a page-friendly size that holds nearly every head, and with it
/// most bodies that come in one segment.
const SIZE: usize = 16 * 1024;
/// Bytes a buffer may grow to while bulk data passes.
const BULK: usize = 64 * 1024;
/// Sets a worker keeps for later.
const KEPT: usize = 256;

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
#[expect(
    clippy::vec_box,
    reason = "taking and giving back move a pointer, not the set"
)]
pub(super) struct BufferStack(RefCell<Vec<Box<Buffers>>>);

impl BufferStack {
    /// An empty set.
    pub(super) fn take(&self) -> Box<Buffers> {
        let spare = self.0.borrow_mut().pop();
        spare.unwrap_or_else(|| Box::new(Buffers::new()))
    }

    /// Gives a set back.
    pub(super) fn give_back(&self, mut buffers: Box<Buffers>) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < KEPT {
            buffers.reset();
            spare.push(buffers);
        }
    }
}
