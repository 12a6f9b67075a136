//! The request body on its way from client to target, and what of it is held for replay.
//!
//! Driven by the relay. Body bytes stay in the client's buffer until the target has taken them,
//! and beyond that while the exchange may still have to be sent to another target: 64 KiB per
//! exchange, 16 MiB per worker over the buffers' own size. Never reads or writes by itself.

use std::cell::Cell;
use std::rc::Rc;

use super::buffer::Buffer;
use super::http1::{BodyLength, BodyProgress, ChunkFault};

/// Body bytes one exchange holds for replay at most.
const HELD: usize = 64 * 1024;
/// Bytes one worker's exchanges may hold beyond the buffers' own size.
const HELD_BY_WORKER: usize = 16 * 1024 * 1024;

/// One worker's count of bytes held beyond the buffers' own size.
#[derive(Debug, Default, Clone)]
pub(super) struct HeldBytes(Rc<Cell<usize>>);

/// How far a request body has come.
#[derive(Debug)]
pub(super) struct RequestBody {
    progress: BodyProgress,
    /// Bytes at the start of the buffer that the target has taken.
    sent: usize,
    /// Bytes at the start of the buffer that belong to the body; never less than `sent`.
    ready: usize,
    /// Whether bytes stay after the target has taken them.
    keeps: bool,
    /// True once bytes that the target has taken are gone.
    lost: bool,
    /// What this exchange added to the worker's count.
    grown: usize,
    held: HeldBytes,
}

impl RequestBody {
    /// A body of which nothing has been seen yet, of at most `limit` bytes. `keeps`: hold it for
    /// replay as far as possible.
    pub(super) fn new(length: BodyLength, limit: u64, keeps: bool, held: &HeldBytes) -> Self {
        Self {
            progress: BodyProgress::limited(length, limit),
            sent: 0,
            ready: 0,
            keeps,
            lost: false,
            grown: 0,
            held: held.clone(),
        }
    }

    /// Takes in what was read since.
    pub(super) fn scan(&mut self, buffer: &Buffer) -> Result<(), ChunkFault> {
        if !self.progress.is_done() {
            let fresh = buffer.filled().get(self.ready..).unwrap_or_default();
            self.ready += self.progress.accept(fresh)?;
        }
        Ok(())
    }

    /// What the target has not taken yet.
    pub(super) fn unsent<'b>(&self, buffer: &'b Buffer) -> &'b [u8] {
        buffer
            .filled()
            .get(self.sent..self.ready)
            .unwrap_or_default()
    }

    /// Counts bytes the target took.
    pub(super) fn advance(&mut self, buffer: &mut Buffer, taken: usize) {
        self.sent += taken;
        if !self.keeps {
            self.drop_sent(buffer);
        }
    }

    /// True when the client has sent all of it.
    pub(super) fn is_complete(&self) -> bool {
        self.progress.is_done()
    }

    /// True when the target has taken all of it.
    pub(super) fn is_sent(&self) -> bool {
        self.progress.is_done() && self.sent == self.ready
    }

    /// True when more should be read and there is room, made by growing if the body is held.
    pub(super) fn wants_more(&mut self, buffer: &mut Buffer) -> bool {
        if self.progress.is_done() {
            return false;
        }
        if buffer.is_full() && self.sent > 0 {
            if self.may_grow(buffer) {
                return true;
            }
            self.stop_holding(buffer);
        }
        !buffer.is_full()
    }

    fn may_grow(&mut self, buffer: &mut Buffer) -> bool {
        let size = (buffer.capacity() * 2).min(HELD);
        let more = size.saturating_sub(buffer.capacity());
        if !self.keeps || more == 0 || self.held.0.get() + more > HELD_BY_WORKER {
            return false;
        }
        self.held.0.set(self.held.0.get() + more);
        self.grown += more;
        buffer.grow(size);
        true
    }

    /// True when the whole of what was read can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        !self.lost
    }

    /// Starts over for another target.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Holds no longer: a response has begun, or there is too much.
    pub(super) fn stop_holding(&mut self, buffer: &mut Buffer) {
        self.keeps = false;
        self.drop_sent(buffer);
    }

    fn drop_sent(&mut self, buffer: &mut Buffer) {
        self.lost |= self.sent > 0;
        buffer.consume(self.sent);
        self.ready -= self.sent;
        self.sent = 0;
    }

    /// Takes the whole body out of the buffer; what remains was sent ahead.
    pub(super) fn finish(&mut self, buffer: &mut Buffer) {
        buffer.consume(self.ready);
        (self.ready, self.sent) = (0, 0);
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.held.0.set(self.held.0.get() - self.grown);
    }
}
