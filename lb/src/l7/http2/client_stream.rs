//! One stream of a client's HTTP/2 connection, in the form of an HTTP/1.1 connection with one
//! request.
//!
//! A variant of [`Stream`](crate::stream::Stream), so that an exchange never asks what its client
//! speaks. Reading yields the head and the body; what is written, heads and bodies of HTTP/1.1, is
//! parsed by the same codec and leaves as HEADERS, DATA and trailers. After the response reading
//! finds the end. A stream that is dropped before is reset.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, Request, StatusCode, header};

use super::body_in::{BodyIn, Coding};
use super::body_out::{BodyOut, is_end};
use super::grpc;
use super::request_head::write_request;
use super::response_head::response;
use super::wire::Wire;
use crate::l7::http1::{BodyLength, HeadLimits, MAX_FIELDS, parse_response};
use crate::stream::Side;
use crate::tls::Session;

/// Largest response head: what the relay takes from a target, and what it adds.
const HEAD: HeadLimits = HeadLimits { bytes: 64 * 1024 };

/// What a connection's streams share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Streams that have a task.
    pub(super) open: Cell<usize>,
    pub(super) wire: Wire,
    pub(super) session: Option<Rc<Session>>,
}

/// A client's stream.
#[derive(Debug)]
pub(crate) struct ClientStream {
    shared: Rc<Shared>,
    /// The request head as text, from `taken` on.
    head: Vec<u8>,
    taken: usize,
    body: BodyIn,
    respond: SendResponse<Bytes>,
    to_head: bool,
    is_grpc: bool,
    /// It asks for a tunnel: a WebSocket.
    tunnels: bool,
    out: Out,
}

/// How far the response has come.
#[derive(Debug)]
enum Out {
    /// A part of its head.
    Head(Vec<u8>),
    Body(BodyOut),
    /// Ended, in one way or the other.
    Done,
}

impl ClientStream {
    pub(super) fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        shared: Rc<Shared>,
    ) -> Self {
        let (parts, recv) = request.into_parts();
        let mut head = Vec::with_capacity(512);
        let coding = write_request(&mut head, &parts, recv.is_end_stream());
        shared.open.set(shared.open.get() + 1);
        Self {
            shared,
            head,
            taken: 0,
            tunnels: coding == Coding::Raw,
            body: BodyIn::new(recv, coding, None),
            respond,
            to_head: parts.method == Method::HEAD,
            is_grpc: grpc::is_call(parts.headers.get(header::CONTENT_TYPE)),
            out: Out::Head(Vec::new()),
        }
    }

    /// What was agreed on in its connection's handshake.
    pub(crate) fn session(&self) -> Option<&Rc<Session>> {
        self.shared.session.as_ref()
    }

    /// True when the request is a gRPC call.
    pub(crate) fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// True when the request asks for a tunnel.
    pub(crate) fn tunnels(&self) -> bool {
        self.tunnels
    }

    /// Ends a response whose end only its writer knows.
    pub(crate) fn finish(&mut self) {
        if let Out::Body(body) = &mut self.out
            && body.is_open()
        {
            body.finish();
            self.done();
        }
    }

    /// Gives the stream up, once what was written is on its way.
    pub(crate) fn reset(&mut self) {
        match std::mem::replace(&mut self.out, Out::Done) {
            Out::Body(body) => body.reset_behind(Reason::CANCEL),
            Out::Head(_) => self.respond.send_reset(Reason::CANCEL),
            Out::Done => {}
        }
    }

    fn give_up(&mut self, reason: Reason) {
        match std::mem::replace(&mut self.out, Out::Done) {
            Out::Head(_) => self.respond.send_reset(reason),
            Out::Body(mut body) => body.reset(reason),
            Out::Done => {}
        }
    }

    fn done(&mut self) {
        self.out = Out::Done;
        self.shared.wire.answered();
    }

    /// Takes a part of what is written: how many bytes.
    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let count = match &mut self.out {
                Out::Head(_) => self.take_head(rest)?,
                Out::Body(body) => match body.poll_write(cx, rest) {
                    Poll::Ready(count) => {
                        let count = count?;
                        if body.is_done() {
                            self.done();
                        }
                        count
                    }
                    Poll::Pending if taken > 0 => break,
                    Poll::Pending => return Poll::Pending,
                },
                Out::Done => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
            taken += count;
        }
        Poll::Ready(Ok(taken))
    }

    /// Takes a head, or a part of one, from the start of `bytes`: how many of them.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Out::Head(held) = &mut self.out else {
            return Ok(0);
        };
        let before = held.len();
        if before > 0 {
            held.extend_from_slice(bytes);
        }
        let held = std::mem::take(held);
        let all = if before > 0 { &held[..] } else { bytes };
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let parsed = parse_response(all, &mut slots, HEAD, self.to_head);
        let Some(head) = parsed.map_err(|_| io::ErrorKind::InvalidData)? else {
            let part = if before > 0 { held } else { bytes.to_vec() };
            self.out = Out::Head(part);
            return Ok(bytes.len());
        };
        let length = head.bytes.len();
        let mut answer = response(&head)?;
        if head.is_interim() {
            // Refused only by a stream that is over, which reading finds out.
            let _ = self.respond.send_informational(answer);
            return Ok(length - before);
        }
        let rest = all.get(length..).unwrap_or_default();
        let (mut body, mut ended) = (head.body, is_end(head.body, rest));
        self.tunnels &= head.status == 101;
        if self.tunnels {
            // RFC 8441 section 5.
            *answer.status_mut() = StatusCode::OK;
            answer.headers_mut().remove(header::SEC_WEBSOCKET_ACCEPT);
            (body, ended) = (BodyLength::UntilClose, false);
        }
        let send = self.respond.send_response(answer, ended);
        self.out = Out::Body(BodyOut::new(send.map_err(io::Error::other)?, body, ended));
        if ended {
            self.done();
        }
        // An end that was sent with the head is taken with it.
        let with_it = if ended && body == BodyLength::Chunked {
            rest.len()
        } else {
            0
        };
        Ok(length - before + with_it)
    }
}

impl Side for ClientStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let head = self.head.get(self.taken..).unwrap_or_default();
        let count = head.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), head.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken += count;
        let room = room.get_mut(count..).unwrap_or_default();
        if room.is_empty() || self.taken < self.head.len() {
            return Poll::Ready(Ok(count));
        }
        // Of a tunnel either way may end first (RFC 8441 section 5).
        if count == 0 && matches!(self.out, Out::Done) && !self.tunnels {
            return Poll::Ready(Ok(0));
        }
        if self.body.is_done() && !self.tunnels {
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            ready!(self.poll_readable(cx));
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match self.body.poll_read(cx, room) {
            Poll::Ready(Ok(more)) if count + more > 0 => Poll::Ready(Ok(count + more)),
            _ if count > 0 => Poll::Ready(Ok(count)),
            // The request is over, which its last bytes have told.
            Poll::Ready(Ok(_)) if !self.tunnels => Poll::Pending,
            other => other,
        }
    }

    /// Once the whole request was read: ready when the client has reset the stream, or the response
    /// is done.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.taken < self.head.len() || !self.body.is_done() {
            return Poll::Ready(());
        }
        match &mut self.out {
            Out::Head(_) => self.respond.poll_reset(cx).map(drop),
            Out::Body(body) => body.poll_reset(cx),
            Out::Done => Poll::Ready(()),
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(self.poll_take(cx, first))?;
        if taken < first.len() || second.is_empty() {
            return Poll::Ready(Ok(taken));
        }
        match self.poll_take(cx, second) {
            Poll::Ready(Ok(more)) => Poll::Ready(Ok(taken + more)),
            // Bytes that were taken are told of first; the next write fails again.
            _ if taken > 0 => Poll::Ready(Ok(taken)),
            other => other,
        }
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.give_up(Reason::INTERNAL_ERROR);
        self.shared.open.set(self.shared.open.get() - 1);
    }
}
