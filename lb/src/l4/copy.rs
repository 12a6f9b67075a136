//! Copies bytes both ways between two streams until both have said everything.
//!
//! Driven by `tcp` (and by upgraded HTTP connections) inside one task. Passes half-closes on as
//! they come; a reset is told to the caller, who resets the other side. Never buffers more than
//! one read per direction, and that only while the other side's send queue is full.
//!
//! Cost: per message one read and one write. The read clears the readiness when it was short, so
//! no second read finds the socket empty. No allocation unless the other side is slow; no timer.

use std::task::{Context, Poll, ready};

use super::splice::Pipe;
use crate::context::WorkerContext;
use crate::stream::{Side as _, Stream};

/// Reads of at least this many bytes count as bulk.
const BULK_READ: usize = 16 * 1024;

/// Bulk bytes in a row after which a direction is spliced: fewer do not repay the pipe.
const BULK_BYTES: usize = 256 * 1024;

/// Small rounds in a row after which a spliced direction is copied again: splicing small messages
/// costs two syscalls more than copying them.
const SMALL_ROUNDS: u32 = 8;

/// Which stream failed: reading from it or writing to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The client's.
    Client,
    /// The target's.
    Target,
}

/// Two streams and what is between them.
#[derive(Debug)]
pub(crate) struct Copy {
    client: Stream,
    target: Stream,
    inward: Direction,
    outward: Direction,
}

impl Copy {
    /// Nothing copied yet but `ahead`, which was read of the client and goes to the target first.
    pub(crate) fn new(client: Stream, target: Stream, ahead: Vec<u8>) -> Self {
        let inward = Direction {
            bytes: ahead.len() as u64,
            leftover: ahead,
            ..Direction::default()
        };
        Self {
            client,
            target,
            inward,
            outward: Direction::default(),
        }
    }

    /// Bytes from client to target and from target to client so far, handed to the kernel.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.inward.bytes, self.outward.bytes)
    }

    /// TCP segments that the client sent and was sent, if the kernel tells.
    pub(crate) fn segments(&self) -> Option<(u64, u64)> {
        self.client.segments()
    }

    /// Copies what can be copied now; ready when both directions have ended.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        context: &WorkerContext,
    ) -> Poll<Result<(), Fault>> {
        let inward = self
            .inward
            .poll(&mut self.client, &mut self.target, cx, context);
        let inward = inward.map_err(|side| match side {
            Side::Source => Fault::Client,
            Side::Sink => Fault::Target,
        })?;
        let outward = self
            .outward
            .poll(&mut self.target, &mut self.client, cx, context);
        let outward = outward.map_err(|side| match side {
            Side::Source => Fault::Target,
            Side::Sink => Fault::Client,
        })?;
        ready!(inward);
        ready!(outward);
        Poll::Ready(Ok(()))
    }

    /// Makes both streams close with a reset, so that neither side takes the end for a whole one.
    pub(crate) fn reset(&mut self) {
        self.client.reset();
        self.target.reset();
    }
}

enum Side {
    Source,
    Sink,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The source has ended; what is left must go out before the sink is shut down.
    Ending,
    Closed,
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
}

impl Direction {
    fn poll(
        &mut self,
        source: &mut Stream,
        sink: &mut Stream,
        cx: &mut Context<'_>,
        context: &WorkerContext,
    ) -> Poll<Result<(), Side>> {
        loop {
            ready!(self.poll_flush(sink, cx)).map_err(|_| Side::Sink)?;
            match self.phase {
                Phase::Closed => return Poll::Ready(Ok(())),
                Phase::Ending => {
                    ready!(sink.poll_finish(cx)).map_err(|_| Side::Sink)?;
                    self.phase = Phase::Closed;
                    self.pipe = None;
                }
                Phase::Open if self.pipe.is_some() => {
                    ready!(self.poll_splice(source, cx)).map_err(|_| Side::Source)?;
                }
                Phase::Open => ready!(self.poll_copy(source, sink, cx, context))?,
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
        context: &WorkerContext,
    ) -> Poll<Result<(), Side>> {
        context.copy_buffer().with(|buffer| {
            let read = ready!(source.poll_read(cx, buffer)).map_err(|_| Side::Source)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                self.phase = Phase::Ending;
                return Poll::Ready(Ok(()));
            }
            self.count_copied(bytes.len());
            if self.bulk >= BULK_BYTES && source.as_tcp().is_some() && sink.as_tcp().is_some() {
                // What was read goes out first: the pipe is filled only after the flush.
                self.pipe = context.pipes().take();
                (self.bulk, self.small_rounds) = (0, 0);
            }
            let sent = match sink.poll_write(cx, bytes, &[]) {
                Poll::Ready(sent) => sent.map_err(|_| Side::Sink)?,
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
