//! One stream of an HTTP/2 connection to a target, in the form of an HTTP/1.1 connection.
//!
//! A variant of [`Stream`](crate::stream::Stream), handed out by the [`Pool`](super::Pool). What the
//! exchange writes, a head and a body of HTTP/1.1, leaves as HEADERS, DATA and trailers; reading
//! yields the response in the same form, after which the stream is of no more use. Dropped before, it
//! is reset. A WebSocket is an extended CONNECT (RFC 8441), its 2xx a 101. Knows whether the target can have begun on the request ([`TargetStream::is_untouched`]),
//! which decides whether another may be asked (RFC 9113 section 8.7).

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};

use super::body_in::{BodyIn, Coding};
use super::body_out::{BodyOut, is_end};
use super::grpc;
use super::link::Occupied;
use super::request_head::write_field;
use super::response_head::fields;
use crate::l7::http1::{BodyLength, HeadLimits, MAX_FIELDS, RequestHead, parse_request};
use crate::stream::Side;

/// Largest request head: what a listener takes at most, and what is added.
const HEAD: HeadLimits = HeadLimits {
    bytes: 2 * 1024 * 1024,
};

/// What a response says of an upgrade in HTTP/1.1.
const UPGRADE: &[(&[u8], &[u8])] = &[(b"connection", b"upgrade"), (b"upgrade", b"websocket")];

/// A stream to a target.
#[derive(Debug)]
pub(crate) struct TargetStream {
    /// Its place on the connection, given back with it.
    place: Occupied,
    send: SendRequest<Bytes>,
    scheme: Scheme,
    /// Of the request; `None` until its head was written.
    out: Option<BodyOut>,
    incoming: Incoming,
    /// The response head as text, from `taken` on.
    head: Vec<u8>,
    taken: usize,
    to_head: bool,
    /// The request is for a WebSocket.
    tunnels: bool,
    /// The target has done nothing with the request, and says so.
    is_untouched: bool,
    /// The gRPC status that came with the head.
    grpc_status: Option<u16>,
}

/// How far the response has come.
enum Incoming {
    Nothing,
    Head(ResponseFuture),
    Body(BodyIn),
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Head(_) => "Head",
            Self::Body(_) => "Body",
        })
    }
}

impl TargetStream {
    pub(super) fn new(place: Occupied, send: SendRequest<Bytes>, scheme: Scheme) -> Self {
        Self {
            place,
            send,
            scheme,
            out: None,
            incoming: Incoming::Nothing,
            head: Vec::new(),
            taken: 0,
            to_head: false,
            tunnels: false,
            is_untouched: false,
            grpc_status: None,
        }
    }

    /// True when the request failed before the target can have begun on it.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    /// The gRPC status of the response, once it is whole.
    pub(crate) fn grpc_status(&self) -> Option<u16> {
        match &self.incoming {
            Incoming::Body(body) => body.grpc_status().or(self.grpc_status),
            _ => None,
        }
    }

    /// Makes the request one for a WebSocket; false when the target does not take those, which its
    /// settings tell, for which this waits (RFC 8441 section 3).
    pub(super) async fn tunnel(&mut self) -> bool {
        self.place.settled().await;
        self.tunnels = self.send.is_extended_connect_protocol_enabled();
        self.tunnels
    }

    /// Gives the stream up, once what was written is on its way.
    pub(crate) fn reset(&mut self) {
        if let Some(out) = self.out.take() {
            out.reset_behind(Reason::CANCEL);
        }
    }

    /// Opens the stream with the head at the start of `bytes`: how many of them.
    fn open(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        // Whole: it is the exchange's own.
        let parsed = parse_request(bytes, &mut slots, HEAD);
        let head = parsed.map_err(|_| invalid())?.ok_or_else(invalid)?;
        let mut request = request(&head, &self.scheme).ok_or_else(invalid)?;
        self.to_head = request.method() == Method::HEAD;
        let (mut body, mut ended) = (head.body, is_end(head.body, &[]));
        if self.tunnels {
            connect(&mut request);
            (body, ended) = (BodyLength::UntilClose, false);
        }
        // Fails when the connection has ended meanwhile.
        let sent = self.send.send_request(request, ended);
        let (response, send) = sent.map_err(|error| {
            self.is_untouched = true;
            io::Error::other(error)
        })?;
        self.incoming = Incoming::Head(response);
        self.out = Some(BodyOut::new(send, body, ended));
        Ok(head.bytes.len())
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Incoming::Head(future) = &mut self.incoming else {
            return Poll::Pending;
        };
        if let Poll::Ready(Some(Ok(interim))) = future.poll_informational(cx) {
            write_head(&mut self.head, &interim, &[]);
            return Poll::Ready(Ok(()));
        }
        let response = match ready!(std::pin::Pin::new(future).poll(cx)) {
            Ok(response) => response,
            Err(error) => {
                let refused = error.reason() == Some(Reason::REFUSED_STREAM);
                // Of streams above the last one that GOAWAY names.
                let beyond = error.is_go_away();
                self.is_untouched = error.is_remote() && (beyond || refused);
                return Poll::Ready(Err(io::Error::other(error)));
            }
        };
        let (mut parts, recv) = response.into_parts();
        if self.tunnels && parts.status.is_success() {
            parts.status = StatusCode::SWITCHING_PROTOCOLS;
            // A tunnel has none (RFC 9110 section 9.3.6).
            parts.headers.remove(header::CONTENT_LENGTH);
            write_head(&mut self.head, &Response::from_parts(parts, ()), UPGRADE);
            self.incoming = self.body(recv, Coding::Raw);
            return Poll::Ready(Ok(()));
        }
        self.grpc_status = grpc::status(&parts.headers);
        let coding = self.coding(&parts.headers, &recv);
        let response = Response::from_parts(parts, ());
        // The stream is not to be kept for another request.
        let own: &[(&[u8], &[u8])] = match coding {
            Coding::Chunked => &[
                (b"connection", b"close"),
                (b"transfer-encoding", b"chunked"),
            ],
            _ => &[(b"connection", b"close")],
        };
        write_head(&mut self.head, &response, own);
        self.incoming = self.body(recv, coding);
        Poll::Ready(Ok(()))
    }

    fn body(&self, recv: RecvStream, coding: Coding) -> Incoming {
        let ended_streams = self.place.ended_streams();
        Incoming::Body(BodyIn::new(recv, coding, Some(ended_streams)))
    }

    fn coding(&self, headers: &HeaderMap, recv: &RecvStream) -> Coding {
        let bodiless = self.to_head && recv.is_end_stream();
        match bodiless || headers.contains_key(header::CONTENT_LENGTH) {
            true => Coding::Counted,
            false => Coding::Chunked,
        }
    }
}

/// The request as the h2 crate wants it.
fn request(head: &RequestHead<'_, '_>, scheme: &Scheme) -> Option<Request<()>> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(scheme.clone());
    uri.authority = Some(Authority::try_from(head.host?).ok()?);
    uri.path_and_query = Some(PathAndQuery::try_from(head.target).ok()?);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method.as_bytes()).ok()?;
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    *request.version_mut() = http::Version::HTTP_2;
    let mut fields = fields(head.bytes, head.fields).ok()?;
    fields.remove(header::HOST);
    *request.headers_mut() = fields;
    Some(request)
}

/// Makes a request for a WebSocket of HTTP/1.1 one of HTTP/2 (RFC 8441 section 5).
fn connect(request: &mut Request<()>) {
    *request.method_mut() = Method::CONNECT;
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    request.headers_mut().remove(header::SEC_WEBSOCKET_KEY);
}

fn write_head(out: &mut Vec<u8>, response: &Response<()>, own: &[(&[u8], &[u8])]) {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    // Writing to a vector cannot fail.
    let _ = write!(out, "HTTP/1.1 {} {reason}\r\n", status.as_u16());
    for (name, value) in response.headers() {
        write_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    for (name, value) in own {
        write_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

impl Side for TargetStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.taken == self.head.len() {
            self.head.clear();
            self.taken = 0;
            match self.incoming {
                Incoming::Body(_) => {}
                Incoming::Head(_) => ready!(self.poll_head(cx))?,
                // It could not be opened: nothing will ever come.
                Incoming::Nothing => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
        let head = self.head.get(self.taken..).unwrap_or_default();
        let count = head.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), head.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken += count;
        let room = room.get_mut(count..).unwrap_or_default();
        let Incoming::Body(body) = &mut self.incoming else {
            return Poll::Ready(Ok(count));
        };
        if room.is_empty() {
            return Poll::Ready(Ok(count));
        }
        match body.poll_read(cx, room) {
            Poll::Ready(Ok(more)) => Poll::Ready(Ok(count + more)),
            _ if count > 0 => Poll::Ready(Ok(count)),
            other => other,
        }
    }

    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(out) = &mut self.out else {
            return Poll::Ready(self.open(first));
        };
        let bytes = if first.is_empty() { second } else { first };
        out.poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(out) = &mut self.out {
            out.finish();
        }
        Poll::Ready(Ok(()))
    }
}
