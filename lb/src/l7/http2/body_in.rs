//! A body that comes over HTTP/2, read as the bytes of an HTTP/1.1 body.
//!
//! Part of [`ClientStream`](super::ClientStream) and of a target's stream. A body with Content-Length
//! passes as it is, any other in chunks with its trailers behind. The peer's window opens only as
//! bytes are taken, so a reader that is slow holds the sender up. Never buffers beyond the window.
//!
//! Cost: one copy of the data; per chunk a size line.

use std::io::{self, Write};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::HeaderMap;

use super::ended::Ended;
use super::grpc;

/// A chunk's size line and the line end after it, at most; the room below which none is begun.
const OVERHEAD: usize = 24;

/// How the reader is to find the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is no body, or its head told the length.
    Counted,
    /// Chunked.
    Chunked,
    /// The bytes alone: a tunnel.
    Raw,
}

/// A body on its way in.
#[derive(Debug)]
pub(super) struct BodyIn {
    recv: RecvStream,
    coding: Coding,
    /// Received and not taken yet.
    data: Bytes,
    /// Framing that is to be taken next, from `at` on.
    text: Vec<u8>,
    at: usize,
    ended: bool,
    /// What the trailers said.
    grpc_status: Option<u16>,
    /// Streams that the peer has ended, where that is noted.
    ended_streams: Option<Rc<Ended>>,
}

impl BodyIn {
    pub(super) fn new(recv: RecvStream, coding: Coding, ended_streams: Option<Rc<Ended>>) -> Self {
        Self {
            ended: coding == Coding::Counted && recv.is_end_stream(),
            recv,
            coding,
            data: Bytes::new(),
            text: Vec::new(),
            at: 0,
            grpc_status: None,
            ended_streams,
        }
    }

    /// Everything has come and been taken.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.at == self.text.len()
    }

    /// The gRPC status in its trailers.
    pub(super) fn grpc_status(&self) -> Option<u16> {
        self.grpc_status
    }

    /// Reads into `room`; 0 is the end.
    ///
    /// # Errors
    /// The stream was reset, or its connection is gone.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        loop {
            let free = room.get_mut(filled..).unwrap_or_default();
            if self.at < self.text.len() {
                filled += self.take_text(free);
                if self.at < self.text.len() {
                    return Poll::Ready(Ok(filled));
                }
                continue;
            }
            if self.ended || free.is_empty() {
                return Poll::Ready(Ok(filled));
            }
            if !self.data.is_empty() {
                let taken = self.take_data(free)?;
                if taken == 0 && filled > 0 {
                    return Poll::Ready(Ok(filled));
                }
                filled += taken;
                continue;
            }
            match self.poll_more(cx) {
                Poll::Ready(Ok(())) => {}
                // What is there first; the error stays.
                _ if filled > 0 => return Poll::Ready(Ok(filled)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn take_text(&mut self, free: &mut [u8]) -> usize {
        let text = self.text.get(self.at..).unwrap_or_default();
        let count = text.len().min(free.len());
        if let (Some(to), Some(from)) = (free.get_mut(..count), text.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
        }
        count
    }

    /// Takes data, in a chunk if need be. In very little room the chunk is written aside: 0 then.
    fn take_data(&mut self, free: &mut [u8]) -> io::Result<usize> {
        if self.coding != Coding::Chunked {
            let count = self.data.len().min(free.len());
            if let Some(to) = free.get_mut(..count) {
                self.data.copy_to_slice(to);
            }
            self.release(count)?;
            return Ok(count);
        }
        if free.len() <= OVERHEAD {
            let count = self.data.len().min(free.len().max(1));
            let data = self.data.split_to(count);
            write_chunk(&mut self.text, &data);
            self.release(count)?;
            return Ok(0);
        }
        let count = self.data.len().min(free.len() - OVERHEAD);
        let data = self.data.split_to(count);
        let room = free.len();
        let mut rest = free;
        // There is room for it.
        let _ = write!(rest, "{count:x}\r\n");
        let _ = rest.write_all(&data);
        let _ = rest.write_all(b"\r\n");
        let written = room - rest.len();
        self.release(count)?;
        Ok(written)
    }

    fn release(&mut self, count: usize) -> io::Result<()> {
        let flow = self.recv.flow_control();
        flow.release_capacity(count).map_err(io::Error::other)
    }

    /// More data, or the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        match std::task::ready!(self.recv.poll_data(cx)) {
            Some(Ok(data)) => self.data = data,
            Some(Err(error)) if !self.had_ended(&error) => return Poll::Ready(Err(error)),
            // Trailers would have been there before the error.
            Some(Err(_)) => {
                if self.coding == Coding::Chunked {
                    write_end(&mut self.text, None);
                }
                self.ended = true;
            }
            None if self.coding == Coding::Chunked => {
                let trailers = std::task::ready!(self.recv.poll_trailers(cx))?;
                self.grpc_status = trailers.as_ref().and_then(grpc::status);
                write_end(&mut self.text, trailers.as_ref());
                self.ended = true;
            }
            None => self.ended = true,
        }
        Poll::Ready(Ok(()))
    }
}

impl BodyIn {
    /// True when the connection failed, and not before the peer had ended a body that has no length.
    fn had_ended(&self, error: &h2::Error) -> bool {
        let of_connection = error.is_io() || (error.is_go_away() && error.is_remote());
        let stream = self.recv.stream_id().as_u32();
        let noted = || self.ended_streams.as_ref().is_some_and(|e| e.has(stream));
        of_connection && self.coding != Coding::Counted && noted()
    }
}

fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{:x}\r\n", data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The last chunk, and trailers. What may not be one is for the reader to refuse.
fn write_end(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}
