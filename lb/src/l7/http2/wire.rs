//! The byte stream under an HTTP/2 connection, as the h2 crate wants it.
//!
//! What the crate writes is gathered and leaves in one go when the connection's task has done all it
//! can ([`Wire::poll_send`]), so that many streams share a write, and over TLS a record. What is read
//! passes the [`Meter`]; once that finds fault nothing more is read.
//!
//! Cost: one copy of what is written; a read and a write per wake of the connection's task.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::ended::Ended;
use super::meter::{Fault, Meter};
use crate::stream::{Side, Stream};

/// Bytes that are gathered before a write is tried all the same: four full TLS records.
const GATHERED: usize = 64 * 1024;
/// Room for them that is kept from one wake to the next.
const KEPT: usize = 16 * 1024;

/// A connection's bytes. Clones are the same connection.
#[derive(Debug, Clone)]
pub(super) struct Wire(Rc<RefCell<Socket>>);

#[derive(Debug)]
struct Socket {
    stream: Stream,
    /// What was read before the connection was known to be HTTP/2.
    ahead: Vec<u8>,
    /// What is to be written, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    meter: Meter,
    fault: Option<Fault>,
    /// Bytes written.
    written: u64,
    /// The peer has ended its side.
    ended: bool,
    /// Nothing can be written any more.
    silent: bool,
}

impl Wire {
    /// Over `stream`, of which `ahead` has been read. A client's begins with a preface.
    pub(super) fn new(stream: Stream, ahead: Vec<u8>, preface: usize) -> Self {
        Self(Rc::new(RefCell::new(Socket {
            stream,
            ahead,
            out: Vec::new(),
            sent: 0,
            meter: Meter::new(preface),
            fault: None,
            written: 0,
            ended: false,
            silent: false,
        })))
    }

    /// Writes what has been gathered. To be called whenever the connection's task is about to wait.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(cx)
    }

    /// Notes in `ended` which streams the peer ends.
    pub(super) fn note_ends(&self, ended: Rc<Ended>) {
        self.0.borrow_mut().meter.note_ends(ended);
    }

    /// Nothing is written any more, and what is handed over is forgotten: for reading on alone.
    pub(super) fn fall_silent(&self) {
        self.0.borrow_mut().silent = true;
    }

    /// What ends the connection.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.0.borrow().fault
    }

    /// The peer's settings have come.
    pub(super) fn has_settings(&self) -> bool {
        self.0.borrow().meter.has_settings()
    }

    /// Bytes written so far, and whether more wait.
    pub(super) fn progress(&self) -> (u64, bool) {
        let socket = self.0.borrow();
        (socket.written, socket.sent < socket.out.len())
    }

    /// The peer has ended its side.
    pub(super) fn has_ended(&self) -> bool {
        self.0.borrow().ended
    }

    /// What has been written and not been received yet, if the kernel tells.
    pub(super) fn undelivered(&self) -> (u32, u32) {
        self.0.borrow().stream.undelivered()
    }

    /// Writes what has been gathered, then says that this is all.
    pub(super) fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = self.0.borrow_mut();
        ready!(socket.poll_send(cx))?;
        socket.stream.poll_finish(cx)
    }

    /// Reads once and throws it away: how much; 0 at the end.
    pub(super) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [0; 4096];
        self.0.borrow_mut().stream.poll_read(cx, &mut room)
    }

    /// A stream was answered to its end.
    pub(super) fn answered(&self) {
        self.0.borrow_mut().meter.answered();
    }
}

impl Socket {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.silent {
            self.out.clear();
            self.sent = 0;
        }
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let count = ready!(self.stream.poll_write(cx, rest, &[]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
            self.written += count as u64;
            self.meter.wrote(count);
        }
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.fault.is_some() {
            return Poll::Pending;
        }
        let before = room.filled().len();
        if self.ahead.is_empty() {
            if let Stream::Tcp(stream) = &mut self.stream {
                // Without clearing the room first.
                ready!(AsyncRead::poll_read(Pin::new(stream), cx, room))?;
            } else {
                let free = room.initialize_unfilled();
                let count = ready!(self.stream.poll_read(cx, free))?;
                room.advance(count);
            }
        } else {
            let count = self.ahead.len().min(room.remaining());
            room.put_slice(self.ahead.get(..count).unwrap_or_default());
            self.ahead.drain(..count);
        }
        let bytes = room.filled().get(before..).unwrap_or_default();
        self.ended = bytes.is_empty();
        self.fault = self.meter.read(bytes, Instant::now).err();
        if matches!(self.fault, Some(Fault::FrameSize | Fault::Push)) {
            // Not for the crate, which would end the connection for another reason. The connection's
            // task looks for faults before it waits.
            room.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_read(cx, room)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = self.0.borrow_mut();
        if socket.out.len() - socket.sent >= GATHERED {
            ready!(socket.poll_send(cx))?;
        }
        socket.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Only gathers: the connection's task sends.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx)
    }
}
