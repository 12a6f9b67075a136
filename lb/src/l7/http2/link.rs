//! One HTTP/2 connection to a target: the task that drives it, and the places on it.
//!
//! Made by the [`Pool`](super::Pool). Ends when the target ends it, when a budget is overdrawn, when
//! it has been idle for too long, and after GOAWAY once its streams are done.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::uri::Scheme;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ended::Ended;
use super::target_stream::TargetStream;
use super::wire::Wire;
use crate::l7::deadline::Deadline;
use crate::stream::Stream;
use crate::tls::TargetTls;

/// Data that may be on its way from the target, per stream and in all.
const WINDOW: (u32, u32) = (256 * 1024, 4 * 1024 * 1024);
/// Bytes of a stream that wait for the target's window, at most.
const SEND_BUFFER: usize = 64 * 1024;
/// Largest response head (ELB: 502 beyond it).
const HEAD: u32 = 32 * 1024;
/// How long a connection without streams is kept: as one of HTTP/1.1.
const EXPIRY: Duration = Duration::from_secs(55);

/// A connection to a target.
#[derive(Debug)]
pub(super) struct Link {
    send: SendRequest<Bytes>,
    scheme: Scheme,
    tls: Option<Arc<TargetTls>>,
    state: Rc<State>,
}

/// What the connection's task and its streams share.
#[derive(Debug)]
struct State {
    streams: Cell<usize>,
    used: Cell<Instant>,
    ended: Cell<bool>,
    /// The target's settings are known to the h2 crate.
    settled: Cell<bool>,
    /// Streams that the target has ended.
    ended_streams: Rc<Ended>,
    /// Either of them has become true.
    changed: Notify,
}

impl State {
    fn set(&self, what: &Cell<bool>) {
        what.set(true);
        self.changed.notify_waiters();
    }
}

/// A place on a connection, until dropped.
#[derive(Debug)]
pub(super) struct Occupied(Rc<State>);

impl Occupied {
    /// The streams of its connection that the target has ended.
    pub(super) fn ended_streams(&self) -> Rc<Ended> {
        self.0.ended_streams.clone()
    }

    /// Waits until the target's settings have come, or the connection has ended.
    pub(super) async fn settled(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.settled.get() || self.0.ended.get() {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
        self.0.used.set(Instant::now());
    }
}

impl Link {
    /// Begins HTTP/2 over `stream`.
    ///
    /// # Errors
    /// The connection is gone already.
    pub(super) async fn begin(stream: Stream, tls: Option<Arc<TargetTls>>) -> io::Result<Self> {
        let wire = Wire::new(stream, Vec::new(), 0);
        let ended_streams = Rc::<Ended>::default();
        wire.note_ends(ended_streams.clone());
        let handshake = client::Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW.0)
            .initial_connection_window_size(WINDOW.1)
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(HEAD)
            .handshake::<_, Bytes>(wire.clone())
            .await;
        let (send, connection) = handshake.map_err(io::Error::other)?;
        let state = Rc::new(State {
            streams: Cell::new(0),
            used: Cell::new(Instant::now()),
            ended: Cell::new(false),
            settled: Cell::new(false),
            ended_streams,
            changed: Notify::new(),
        });
        tokio::task::spawn_local(drive(connection, wire, state.clone()));
        Ok(Self {
            send,
            scheme: if tls.is_some() {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
            tls,
            state,
        })
    }

    /// True when it is over the TLS of `tls`, or in clear text when that is `None`.
    pub(super) fn is_over(&self, tls: Option<&Arc<TargetTls>>) -> bool {
        match (&self.tls, tls) {
            (Some(own), Some(tls)) => Arc::ptr_eq(own, tls),
            (own, tls) => own.is_none() && tls.is_none(),
        }
    }

    /// True while it takes streams at all.
    pub(super) fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        // An error is that of a connection that ended, or was told to by GOAWAY.
        !self.state.ended.get() && !matches!(self.send.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// A stream, unless the target has as many as it takes.
    pub(super) fn stream(&self) -> Option<TargetStream> {
        let streams = self.state.streams.get();
        if streams >= self.send.current_max_send_streams() {
            return None;
        }
        self.state.streams.set(streams + 1);
        let occupied = Occupied(self.state.clone());
        let send = self.send.clone();
        Some(TargetStream::new(occupied, send, self.scheme.clone()))
    }
}

/// Drives a connection to its end.
async fn drive(mut connection: client::Connection<Wire, Bytes>, wire: Wire, state: Rc<State>) {
    let mut deadline = Deadline::new(state.used.get());
    poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        if polled.is_ready() || wire.fault().is_some() {
            return Poll::Ready(());
        }
        if let Poll::Ready(Err(_)) = wire.poll_send(cx) {
            // What the target had answered before is still to be read; then the end comes.
            wire.fall_silent();
            state.set(&state.ended);
        }
        if !state.settled.get() && wire.has_settings() {
            state.set(&state.settled);
        }
        let now = Instant::now();
        if state.streams.get() > 0 {
            state.used.set(now);
        }
        match deadline.has_passed(cx, now, state.used.get() + EXPIRY) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    state.set(&state.ended);
}

#[cfg(test)]
mod tests;
