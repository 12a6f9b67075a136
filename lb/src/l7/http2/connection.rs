//! A client's HTTP/2 connection: accepts streams, and knows when it is over.
//!
//! Called for connections that agreed on HTTP/2 by ALPN, or began with its preface. One task drives
//! the connection, each stream has a task of its own that runs an ordinary
//! [`ClientConnection`](crate::l7::client_connection::ClientConnection). Ends gracefully (GOAWAY,
//! RFC 9113 section 6.8) when idle for too long, too old, much used, no longer configured, or when
//! the process stops; at once when the client overdraws a budget of the [`Meter`](super::meter).
//!
//! Bounded: 128 streams, 1 MiB of received data, per stream 64 KiB to be sent.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::time::Instant;

use super::client_stream::{ClientStream, Shared};
use super::meter::Fault;
use super::parting::linger;
use super::wire::Wire;
use crate::context::WorkerContext;
use crate::l7::client_connection;
use crate::l7::deadline::Deadline;
use crate::l7::http1::ClientAddress;
use crate::metrics::Http2End;
use crate::proxy::Tlvs;
use crate::snapshot::Listener;
use crate::stream::{Accepted, Stream};

/// Length of a client's preface (RFC 9113 section 3.4).
const PREFACE: usize = 24;
/// Streams at a time (ELB).
const STREAMS: u32 = 128;
/// Data that may be on its way to us, per stream and in all: enough for 1 Gbit/s over 8 ms.
const WINDOW: (u32, u32) = (128 * 1024, 1024 * 1024);
/// Bytes of a stream that wait for the client's window, at most.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that we reset ourselves for the client's errors, in the life of a connection, before it is
/// ended (MadeYouReset).
const LOCAL_RESETS: usize = 256;
/// How long the client may take to let a connection end that has no streams any more.
const PARTING: Duration = Duration::from_secs(2);

/// Serves a client's HTTP/2 connection, of which `ahead` has been read, to its end.
pub(crate) async fn serve(
    accepted: Accepted,
    ahead: Vec<u8>,
    listener: Arc<Listener>,
    context: Rc<WorkerContext>,
) {
    let Accepted {
        stream,
        peer,
        local,
        tlvs,
        number,
    } = accepted;
    let session = stream.session().cloned();
    let wire = Wire::new(stream, ahead, PREFACE);
    let patience = listener.header_timeout;
    let Some(inner) = handshake(&wire, &listener, patience).await else {
        return;
    };
    let now = Instant::now();
    let mut connection = Connection {
        generation: context.with_snapshot(|snapshot| snapshot.config_generation()),
        shared: Rc::new(Shared {
            open: Cell::new(0),
            wire,
            session,
        }),
        ends: Ends {
            address: client_connection::address_of(peer, &listener),
            peer,
            local,
            tlvs,
            number,
        },
        deadline: Deadline::new(now),
        used: now,
        written: 0,
        old: now + jittered(listener.client_keep_alive),
        requests: listener.max_requests.1,
        parting: None,
        inner,
        listener,
        context,
    };
    let parts = poll_fn(|cx| connection.poll(cx)).await;
    if parts && !connection.shared.wire.has_ended() {
        let patience = connection.listener.idle_timeout;
        linger(&connection.shared.wire, patience).await;
    }
}

type Inner = server::Connection<Wire, Bytes>;

async fn handshake(wire: &Wire, listener: &Listener, patience: Duration) -> Option<Inner> {
    let head = u32::try_from(listener.max_header_bytes).unwrap_or(u32::MAX);
    let mut builder = server::Builder::new();
    builder
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS)
        .initial_window_size(WINDOW.0)
        .initial_connection_window_size(WINDOW.1)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(head)
        .max_local_error_reset_streams(Some(LOCAL_RESETS));
    let mut handshake = std::pin::pin!(builder.handshake::<_, Bytes>(wire.clone()));
    let agreed = poll_fn(|cx| {
        let polled = handshake.as_mut().poll(cx);
        // What is to be written first, the settings, waits for nothing.
        match wire.poll_send(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            _ => polled.map(Result::ok),
        }
    });
    tokio::time::timeout(patience, agreed).await.ok().flatten()
}

/// Up to a tenth less, so that connections that began together do not end together.
pub(crate) fn jittered(age: Duration) -> Duration {
    age.mul_f64(1.0 - 0.1 * rand::random::<f64>())
}

/// Whose connection it is.
#[derive(Debug)]
struct Ends {
    peer: SocketAddr,
    /// The peer as targets are shown it.
    address: ClientAddress,
    local: SocketAddr,
    tlvs: Option<Tlvs>,
    number: u64,
}

struct Connection {
    inner: Inner,
    shared: Rc<Shared>,
    context: Rc<WorkerContext>,
    listener: Arc<Listener>,
    /// The configuration generation `listener` was looked up in.
    generation: u64,
    ends: Ends,
    deadline: Deadline,
    /// When it last had a stream, or the client last took something.
    used: Instant,
    /// Bytes that the client had taken then.
    written: u64,
    /// When it has lived long enough.
    old: Instant,
    /// Requests it may still bring.
    requests: u32,
    /// It was told to end; when it last had a stream since.
    parting: Option<Instant>,
}

impl Connection {
    /// Ready when nothing more is to be done with it; true when the client may be waited for.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match self.inner.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond),
                Poll::Ready(Some(Err(error))) => {
                    self.broken(&error);
                    return Poll::Ready(true);
                }
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Pending => {
                    match self.verdict(cx) {
                        Verdict::Wait => {}
                        Verdict::Again => continue,
                        Verdict::Part => return Poll::Ready(true),
                        Verdict::Close => return Poll::Ready(false),
                    }
                    match self.shared.wire.poll_send(cx) {
                        Poll::Ready(Err(_)) => return Poll::Ready(false),
                        _ => return Poll::Pending,
                    }
                }
            }
        }
    }

    fn accept(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let counters = self.listener.counters.of(self.context.worker());
        counters.http2.streams.add(1);
        if !self.adopt_listener() {
            respond.send_reset(Reason::REFUSED_STREAM);
            return self.part();
        }
        self.requests = self.requests.saturating_sub(1);
        let stream = ClientStream::new(request, respond, self.shared.clone());
        let accepted = Accepted {
            stream: Stream::Http2Client(Box::new(stream)),
            peer: self.ends.peer,
            local: self.ends.local,
            tlvs: self.ends.tlvs.clone(),
            number: self.ends.number,
        };
        let (listener, context) = (self.listener.clone(), self.context.clone());
        let address = self.ends.address;
        let stream = client_connection::serve_stream(accepted, address, listener, context);
        tokio::task::spawn_local(stream);
    }

    /// Follows a reload; false when this listener is no longer configured.
    fn adopt_listener(&mut self) -> bool {
        let newest = self.context.with_snapshot(|snapshot| {
            let generation = snapshot.config_generation();
            (generation != self.generation)
                .then(|| (generation, snapshot.current(&self.listener).cloned()))
        });
        let Some((generation, current)) = newest else {
            return true;
        };
        let Some(listener) = current else {
            return false;
        };
        self.ends.address = client_connection::address_of(self.ends.peer, &listener);
        (self.generation, self.listener) = (generation, listener);
        true
    }

    /// Tells the client to open no more streams.
    fn part(&mut self) {
        if self.parting.is_none() {
            self.parting = Some(Instant::now());
            self.inner.graceful_shutdown();
        }
    }

    /// Looks whether the connection is to end, and sets the timer.
    fn verdict(&mut self, cx: &mut Context<'_>) -> Verdict {
        if let Some(fault) = self.shared.wire.fault() {
            let (end, reason) = match fault {
                Fault::Excess(excess) => (Http2End::Excess(excess), Reason::ENHANCE_YOUR_CALM),
                Fault::FrameSize => (Http2End::Protocol, Reason::FRAME_SIZE_ERROR),
                Fault::Push => (Http2End::Protocol, Reason::PROTOCOL_ERROR),
            };
            self.ended(end);
            self.inner.abrupt_shutdown(reason);
            // The client may not read what it is told: nobody waits for it.
            let _ = self.inner.poll_closed(cx);
            let _ = self.shared.wire.poll_send(cx);
            return Verdict::Close;
        }
        let now = Instant::now();
        let (written, is_sending) = self.shared.wire.progress();
        if self.shared.open.get() > 0 || written != self.written {
            (self.used, self.written) = (now, written);
        }
        let due = match self.parting {
            // The h2 crate may have more than has been gathered.
            Some(parting) if is_sending => parting.max(self.used) + self.listener.idle_timeout,
            Some(parting) => parting.max(self.used) + PARTING,
            None => self.old.min(self.used + self.listener.idle_timeout),
        };
        let is_due = self.deadline.has_passed(cx, now, due);
        let wants_end = self.context.is_draining() || self.requests == 0;
        match self.parting {
            Some(_) if is_due => Verdict::Part,
            None if is_due || wants_end => {
                self.part();
                Verdict::Again
            }
            _ => Verdict::Wait,
        }
    }

    /// The h2 crate found the client to break the protocol, or the connection is gone.
    fn broken(&self, error: &h2::Error) {
        if !error.is_library() {
            return;
        }
        self.ended(match error.reason() {
            Some(Reason::ENHANCE_YOUR_CALM) => Http2End::Calm,
            _ => Http2End::Protocol,
        });
    }

    fn ended(&self, end: Http2End) {
        let counters = self.listener.counters.of(self.context.worker());
        counters.http2.end(end);
    }
}

/// What becomes of a connection of which all that came was taken in.
enum Verdict {
    Wait,
    /// The h2 crate was told something.
    Again,
    /// It has had its time to end.
    Part,
    Close,
}
