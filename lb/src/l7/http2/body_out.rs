//! A body written as the bytes of an HTTP/1.1 body, sent over HTTP/2.
//!
//! Part of [`ClientStream`](super::ClientStream) and of a target's stream. Chunks are taken apart by
//! the one decoder there is, trailers become a HEADERS frame. No byte is taken that the peer's window,
//! and the room before it, does not let go, so a peer that reads slowly holds the writer up.
//!
//! Cost: one copy and one allocation per write of data.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::l7::http1::{BodyLength, ChunkedDecoder, MAX_FIELDS, Step};

/// Bytes one frame is filled with at most: what every peer takes (RFC 9113 section 4.2).
const FRAME: usize = 16 * 1024;

/// Where in its body a message is.
#[derive(Debug)]
enum State {
    Counted(u64),
    /// With the framing since the last data.
    Chunked(Box<ChunkedDecoder>, Vec<u8>),
    /// Until the writer finishes.
    Open,
    Done,
}

/// A body on its way out.
#[derive(Debug)]
pub(super) struct BodyOut {
    send: SendStream<Bytes>,
    state: State,
}

/// True when `rest`, all there is of a body, is its end and nothing else.
pub(super) fn is_end(length: BodyLength, rest: &[u8]) -> bool {
    match length {
        BodyLength::Empty | BodyLength::Counted(0) => true,
        BodyLength::Chunked => rest == b"0\r\n\r\n",
        BodyLength::Counted(_) | BodyLength::UntilClose => false,
    }
}

impl BodyOut {
    /// A body of which nothing was written; `ended`: nor will be.
    pub(super) fn new(send: SendStream<Bytes>, length: BodyLength, ended: bool) -> Self {
        let state = match length {
            _ if ended => State::Done,
            BodyLength::Empty | BodyLength::Counted(0) => State::Done,
            BodyLength::Counted(bytes) => State::Counted(bytes),
            BodyLength::Chunked => State::Chunked(Box::default(), Vec::new()),
            BodyLength::UntilClose => State::Open,
        };
        Self { send, state }
    }

    /// All of it was written.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Only the writer knows where it ends.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Ready when the peer has reset the stream, or its connection is gone.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.send.poll_reset(cx).map(drop)
    }

    /// Ends it here.
    pub(super) fn finish(&mut self) {
        if !std::mem::replace(&mut self.state, State::Done).is_done() {
            // Fails only when the stream is gone.
            let _ = self.send.send_data(Bytes::new(), true);
        }
    }

    /// Gives the stream up.
    pub(super) fn reset(&mut self, reason: h2::Reason) {
        self.send.send_reset(reason);
    }

    /// Gives the stream up when its connection's task, which has been woken for what was written, has had
    /// its turn: a reset takes back what is still queued, a side's last words.
    pub(super) fn reset_behind(mut self, reason: h2::Reason) {
        tokio::task::spawn_local(async move {
            tokio::task::yield_now().await;
            self.reset(reason);
        });
    }

    /// Writes some of `bytes`: how many were taken.
    ///
    /// # Errors
    /// The stream was reset, its connection is gone, or the bytes are no such body.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.state, State::Chunked(..)) {
            return self.poll_write_chunks(cx, bytes);
        }
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let left = match &self.state {
                State::Counted(left) => usize::try_from(*left).unwrap_or(usize::MAX),
                State::Open => usize::MAX,
                // More than was announced.
                _ => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            };
            let count = match self.poll_room(cx, rest.len().min(left)) {
                Poll::Ready(count) => count?,
                Poll::Pending if written > 0 => break,
                Poll::Pending => return Poll::Pending,
            };
            let part = rest.get(..count).unwrap_or_default();
            self.send_data(part, count == left)?;
            match &mut self.state {
                State::Counted(_) if count == left => self.state = State::Done,
                State::Counted(left) => *left -= count as u64,
                _ => {}
            }
            written += count;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_write_chunks(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let State::Chunked(decoder, framing) = &mut self.state else {
                break;
            };
            if !decoder.is_in_data() {
                match decoder.step(rest) {
                    Ok(Step::Framing(count) | Step::Data(count)) => {
                        framing.extend_from_slice(rest.get(..count).unwrap_or_default());
                        written += count;
                    }
                    Err(_) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                }
                if decoder.is_done() {
                    let framing = std::mem::take(framing);
                    self.state = State::Done;
                    self.end(&framing)?;
                }
                continue;
            }
            let room = match self.poll_room(cx, rest.len()) {
                Poll::Ready(room) => room?,
                Poll::Pending if written > 0 => break,
                Poll::Pending => return Poll::Pending,
            };
            written += self.data_of_chunk(rest, room)?;
        }
        Poll::Ready(Ok(written))
    }

    /// Sends data of the chunk that `rest` is within, as far as there is room; with it the end, if
    /// that is all that follows. How many bytes were taken.
    fn data_of_chunk(&mut self, rest: &[u8], room: usize) -> io::Result<usize> {
        let State::Chunked(decoder, framing) = &mut self.state else {
            return Ok(0);
        };
        framing.clear();
        let limited = rest.get(..room).unwrap_or(rest);
        let Ok(Step::Data(count)) = decoder.step(limited) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let (data, after) = rest.split_at(count.min(rest.len()));
        let ends = !decoder.is_in_data() && after == b"\r\n0\r\n\r\n";
        if ends {
            self.state = State::Done;
        }
        self.send_data(data, ends)?;
        Ok(if ends { rest.len() } else { count })
    }

    /// How many of `wanted` bytes may be sent now, at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let wanted = wanted.min(FRAME);
        self.send.reserve_capacity(wanted);
        loop {
            let room = self.send.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    fn send_data(&mut self, data: &[u8], ends: bool) -> io::Result<()> {
        let data = Bytes::copy_from_slice(data);
        self.send.send_data(data, ends).map_err(io::Error::other)
    }

    /// Ends the body with the trailers in `framing`, the last of the framing there was.
    fn end(&mut self, framing: &[u8]) -> io::Result<()> {
        let trailers = trailers(framing)?;
        if trailers.is_empty() {
            return self.send_data(&[], true);
        }
        let sent = self.send.send_trailers(trailers);
        sent.map_err(io::Error::other)
    }
}

impl State {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// The trailers in framing that ends a body: the end of the last data, the last size line, and what
/// follows it.
fn trailers(framing: &[u8]) -> io::Result<HeaderMap> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let framing = framing.strip_prefix(b"\r\n").unwrap_or(framing);
    let line = memchr::memchr(b'\n', framing).ok_or_else(invalid)?;
    let text = framing.get(line + 1..).unwrap_or_default();
    let mut map = HeaderMap::new();
    if text == b"\r\n" {
        return Ok(map);
    }
    let mut slots = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let parsed = httparse::parse_headers(text, &mut slots).map_err(|_| invalid())?;
    let httparse::Status::Complete((_, fields)) = parsed else {
        return Err(invalid());
    };
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| invalid())?;
        map.append(name, value);
    }
    Ok(map)
}
