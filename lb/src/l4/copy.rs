//! Copies bytes both ways between two streams until both have said everything.
//!
//! Driven by `tcp` and by HTTP's tunnels inside one task. Passes half-closes on as they come; a reset
//! is told to the caller, who resets the other side. A side that takes no more may have spoken
//! before: what it sent still goes across before the flow ends. Never buffers more than one read
//! per direction, and that only while the other side's send queue is full.
//!
//! Cost: per message one read and one write. The read clears the readiness when it was short, so
//! no second read finds the socket empty. No allocation unless the other side is slow; no timer.

use std::io::ErrorKind;
use std::task::{Context, Poll, ready};

use super::buffer::CopyBuffer;
use super::splice::{Pipe, PipePool};
use crate::stream::{Side as _, Stream};

/// Reads of at least this many bytes count as bulk.
const BULK_READ: usize = 16 * 1024;

/// Bulk bytes in a row after which a direction is spliced: fewer do not repay the pipe.
const BULK_BYTES: usize = 256 * 1024;

/// Small rounds in a row after which a spliced direction is copied again: splicing small messages
/// costs two syscalls more than copying them.
const SMALL_ROUNDS: u32 = 8;

/// Where bytes are on their way across; a worker's, for all its flows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    /// For bytes that are copied.
    pub(crate) buffer: &'a CopyBuffer,
    /// For bulk that is spliced.
    pub(crate) pipes: &'a PipePool,
}

/// Which stream failed: reading from it or writing to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The client's.
    Client,
    /// The target's.
    Target,
}

/// What is between a client's stream and a target's.
#[derive(Debug)]
pub(crate) struct Copy {
    inward: Direction,
    outward: Direction,
}

impl Copy {
    /// Nothing copied yet but what was read ahead, which goes first: the client's bytes to the
    /// target and the target's to the client.
    pub(crate) fn new(of_client: Vec<u8>, of_target: Vec<u8>) -> Self {
        Self {
            inward: Direction::new(of_client),
            outward: Direction::new(of_target),
        }
    }

    /// Bytes from client to target and from target to client so far, handed to the kernel.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.inward.bytes, self.outward.bytes)
    }

    /// Copies what can be copied now; ready when both directions have ended, or one side is gone and
    /// what it had sent is across.
    pub(crate) fn poll(
        &mut self,
        client: &mut Stream,
        target: &mut Stream,
        cx: &mut Context<'_>,
        room: Room<'_>,
    ) -> Poll<Result<(), Fault>> {
        let inward = self.inward.poll(client, target, cx, room);
        if let Poll::Ready(Err(Side::Sink { cut })) = inward {
            self.outward.cut = cut;
        }
        let outward = self.outward.poll(target, client, cx, room);
        if let Poll::Ready(Err(Side::Sink { cut })) = outward {
            self.inward.cut = cut;
        }
        match (inward, outward) {
            (Poll::Ready(Err(Side::Source)), _) => Poll::Ready(Err(Fault::Client)),
            (_, Poll::Ready(Err(Side::Source))) => Poll::Ready(Err(Fault::Target)),
            (Poll::Ready(inward), Poll::Ready(outward)) => Poll::Ready(
                inward
                    .map_err(|_| Fault::Target)
                    .and(outward.map_err(|_| Fault::Client)),
            ),
            _ => Poll::Pending,
        }
    }

    /// Makes the streams close with a reset, so that nobody takes the end for a whole one; but for
    /// those that have been told the end already.
    pub(crate) fn reset(&self, client: &mut Stream, target: &mut Stream) {
        if self.outward.phase != Phase::Closed {
            client.reset();
        }
        if self.inward.phase != Phase::Closed {
            target.reset();
        }
    }
}

/// Which side of a direction failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    /// `cut`: by a reset that no end came before, though reading may find an end from now on.
    Sink {
        cut: bool,
    },
}

impl Side {
    fn sink(error: &std::io::Error) -> Self {
        // Linux tells with EPIPE that the reset came after a FIN, and tells it only once.
        let cut = error.raw_os_error().is_some() && error.kind() != ErrorKind::BrokenPipe;
        Self::Sink { cut }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The source has ended; what is left must go out before the sink is shut down.
    Ending,
    Closed,
    /// The sink takes no more.
    Failed(Side),
}

/// One direction.
#[derive(Debug, Default)]
struct Direction {
    phase: Phase,
    /// What the sink would not take at once, from `written` on. Its memory goes back when empty.
    leftover: Vec<u8>,
    written: usize,
    bytes: u64,
    bulk: usize,
    small_rounds: u32,
    pipe: Option<Pipe>,
    /// The source is gone: an end that is read is none that it sent.
    cut: bool,
}

impl Direction {
    fn new(ahead: Vec<u8>) -> Self {
        Self {
            bytes: ahead.len() as u64,
            leftover: ahead,
            ..Self::default()
        }
    }

    /// Ready when it has ended or one of its sides failed; what was read is with the kernel before
    /// the source's failure is told.
    fn poll(
        &mut self,
        source: &mut Stream,
        sink: &mut Stream,
        cx: &mut Context<'_>,
        room: Room<'_>,
    ) -> Poll<Result<(), Side>> {
        let polled = self.poll_open(source, sink, cx, room);
        if let Poll::Ready(Err(side @ Side::Sink { .. })) = polled {
            self.phase = Phase::Failed(side);
            (self.leftover, self.written, self.pipe) = (Vec::new(), 0, None);
        }
        polled
    }

    fn poll_open(
        &mut self,
        source: &mut Stream,
        sink: &mut Stream,
        cx: &mut Context<'_>,
        room: Room<'_>,
    ) -> Poll<Result<(), Side>> {
        loop {
            ready!(self.poll_flush(sink, cx)).map_err(|error| Side::sink(&error))?;
            match self.phase {
                Phase::Closed => return Poll::Ready(Ok(())),
                Phase::Failed(side) => return Poll::Ready(Err(side)),
                Phase::Ending if self.cut => return Poll::Ready(Err(Side::Source)),
                Phase::Ending => {
                    ready!(sink.poll_finish(cx)).map_err(|error| Side::sink(&error))?;
                    self.phase = Phase::Closed;
                    self.pipe = None;
                }
                Phase::Open if self.pipe.is_some() => {
                    ready!(self.poll_splice(source, cx)).map_err(|_| Side::Source)?;
                }
                Phase::Open => ready!(self.poll_copy(source, sink, cx, room))?,
            }
        }
    }

    /// Sends what is left from before.
    fn poll_flush(&mut self, sink: &mut Stream, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while self.written < self.leftover.len() {
            let rest = self.leftover.get(self.written..).unwrap_or_default();
            self.written += ready!(sink.poll_write(cx, rest, &[]))?;
        }
        if self.written > 0 {
            (self.leftover, self.written) = (Vec::new(), 0);
        }
        match (&mut self.pipe, sink.as_tcp()) {
            (Some(pipe), Some(sink)) if pipe.held() > 0 => pipe.poll_empty(sink, cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// One read and the write that follows.
    fn poll_copy(
        &mut self,
        source: &mut Stream,
        sink: &mut Stream,
        cx: &mut Context<'_>,
        room: Room<'_>,
    ) -> Poll<Result<(), Side>> {
        room.buffer.with(|buffer| {
            let read = ready!(source.poll_read(cx, buffer)).map_err(|_| Side::Source)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                self.phase = Phase::Ending;
                return Poll::Ready(Ok(()));
            }
            self.count_copied(bytes.len());
            if self.bulk >= BULK_BYTES && source.as_tcp().is_some() && sink.as_tcp().is_some() {
                // What was read goes out first: the pipe is filled only after the flush.
                self.pipe = room.pipes.take();
                (self.bulk, self.small_rounds) = (0, 0);
            }
            let sent = match sink.poll_write(cx, bytes, &[]) {
                Poll::Ready(sent) => sent.map_err(|error| Side::sink(&error))?,
                Poll::Pending => 0,
            };
            if let Some(rest @ [_, ..]) = bytes.get(sent..) {
                self.leftover = rest.to_vec();
            }
            Poll::Ready(Ok(()))
        })
    }

    fn count_copied(&mut self, moved: usize) {
        self.bytes += moved as u64;
        if moved < BULK_READ {
            self.bulk = 0;
            return;
        }
        self.bulk += moved;
    }

    /// Fills the pipe once; the flush that comes next empties it.
    fn poll_splice(&mut self, source: &Stream, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.small_rounds >= SMALL_ROUNDS {
            self.pipe = None;
            return Poll::Ready(Ok(()));
        }
        let (Some(pipe), Some(source)) = (&mut self.pipe, source.as_tcp()) else {
            return Poll::Ready(Ok(()));
        };
        let moved = ready!(pipe.poll_fill(source, cx))?;
        self.bytes += moved as u64;
        self.small_rounds = if moved < BULK_READ {
            self.small_rounds + 1
        } else {
            0
        };
        if moved == 0 {
            self.phase = Phase::Ending;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
