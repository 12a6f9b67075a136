//! One client connection: requests one after the other, answers, and how it ends.
//!
//! The worker runs [`serve`] as one task per connection of an `http` listener. Requests sent ahead
//! wait in the buffer until the response before them is done. After a refusal or an early response
//! the connection is half-closed, then read and thrown away for a while, so that the client sees
//! the status rather than a reset.
//!
//! Cost while idle: this struct, a timer and the socket; no buffer.

mod answer;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use healthcheck::proxy_header::Transport;
use tokio::time::Instant;

use super::buffer::Buffers;
use super::connection_cache::OwnConnections;
use super::deadline::Deadline;
use super::desync::verdict_of_refused;
use super::dispatch::Relayed;
use super::failure::Failure;
use super::headers::{Edited, ResponseEdits};
use super::http1::{ClientAddress, Forwarding, HeadLimits, Refusal, Version, empty_lines};
use super::http2;
use super::record::{Client, Record};
use super::request::{Request, Routing};
use super::request_body::RequestBody;
use super::upgrade;
use super::warmth::WARM;
use crate::connection_log;
use crate::context::WorkerContext;
use crate::metrics::RetryReason;
use crate::proxy::{Introduced, Tlvs};
use crate::snapshot::Listener;
use crate::sockets::is_nowhere;
use crate::sticky::Asked;
use crate::stream::{Accepted, Side, Stream};

/// The first line of HTTP/2's preface.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Serves an HTTP/1 client's connection to its end. Boxed: whoever wraps and spawns it would
/// otherwise carry its size several times over.
pub(crate) fn serve(
    accepted: Accepted,
    listener: Arc<Listener>,
    context: Rc<WorkerContext>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    connection_log::accepted(&accepted, &listener, &context);
    let agreed = accepted.stream.session().and_then(|s| s.alpn.as_deref());
    if agreed == Some(b"h2") {
        return Box::pin(http2::serve(accepted, Vec::new(), listener, context));
    }
    // Made out here, and HTTP/2 boxed: the future would keep room beside it for what it is made of
    // and for what it may turn into.
    let address = address_of(accepted.peer, &listener);
    let age = http2::jittered(listener.client_keep_alive);
    let mut connection = ClientConnection::new(accepted, address, age, listener, context);
    Box::pin(async move {
        connection.run().await;
        if let Some(ahead) = connection.preface.take() {
            Box::pin(connection.into_http2(*ahead)).await;
        }
    })
}

/// Serves one stream of an HTTP/2 connection, whose client's `address` is shown so: a connection with
/// one request. Boxed, because the runtime moves what it is given several times.
pub(super) fn serve_stream(
    accepted: Accepted,
    address: ClientAddress,
    listener: Arc<Listener>,
    context: Rc<WorkerContext>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    let age = listener.client_keep_alive;
    let mut stream = ClientConnection::new(accepted, address, age, listener, context);
    Box::pin(async move { stream.run().await })
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct ClientConnection {
    pub(super) context: Rc<WorkerContext>,
    pub(super) listener: Arc<Listener>,
    /// The configuration generation `listener` was looked up in.
    generation: u64,
    pub(super) side: Stream,
    pub(super) peer: SocketAddr,
    address: ClientAddress,
    pub(super) local: SocketAddr,
    /// What came with its PROXY header beside addresses.
    tlvs: Option<Tlvs>,
    /// Its number at this worker.
    number: u64,
    /// Connections to targets that were told of it.
    pub(super) own: OwnConnections,
    pub(super) deadline: Deadline,
    /// When the last exchange ended.
    now: Instant,
    /// When it is so old that it takes no more requests.
    old: Instant,
    /// Requests it may still bring.
    requests: u32,
    /// No request has come yet, and what comes may be HTTP/2's preface.
    may_be_http2: bool,
    /// The preface came: what was read of it and after it.
    #[expect(
        clippy::box_collection,
        reason = "rare, and every connection has the room for it"
    )]
    preface: Option<Box<Vec<u8>>>,
    /// Bytes read and not yet counted.
    pub(super) bytes_in: u64,
    /// The client has said that it will send no more.
    pub(super) finished: bool,
    /// Why the last connect failed, as metrics count it.
    pub(super) connect_retry: RetryReason,
}

/// What becomes of the connection after an exchange.
pub(super) enum After {
    Keep,
    Close,
    Linger,
}

/// What a connection that waited for a request got.
enum Next {
    Bytes(Box<Buffers>),
    Silence,
    Close,
}

impl ClientConnection {
    /// One that takes requests until it has this `age`.
    fn new(
        accepted: Accepted,
        address: ClientAddress,
        age: Duration,
        listener: Arc<Listener>,
        context: Rc<WorkerContext>,
    ) -> Self {
        let Accepted {
            stream,
            peer,
            local,
            tlvs,
            number,
        } = accepted;
        let now = Instant::now();
        Self {
            old: now + age,
            requests: listener.max_requests.0,
            may_be_http2: listener.http2 && stream.as_tcp().is_some(),
            preface: None,
            generation: context.with_snapshot(|snapshot| snapshot.config_generation()),
            context,
            address,
            listener,
            side: stream,
            peer,
            local,
            tlvs,
            number,
            own: OwnConnections::default(),
            deadline: Deadline::new(now),
            now,
            bytes_in: 0,
            finished: false,
            connect_retry: RetryReason::Local,
        }
    }

    /// Goes on in HTTP/2, of which `ahead` was read.
    fn into_http2(self, ahead: Vec<u8>) -> Pin<Box<dyn Future<Output = ()>>> {
        let accepted = Accepted {
            stream: self.side,
            peer: self.peer,
            local: self.local,
            tlvs: self.tlvs,
            number: self.number,
        };
        Box::pin(http2::serve(accepted, ahead, self.listener, self.context))
    }

    /// As targets are told of it.
    pub(super) fn introduced(&self) -> Introduced<'_> {
        Introduced {
            client: self.peer,
            local: self.local,
            tlvs: self.tlvs.as_ref(),
            session: self.side.session().map(AsRef::as_ref),
            transport: Transport::Stream,
        }
    }

    async fn run(&mut self) {
        let mut now = self.now;
        loop {
            let patience = self.listener.idle_timeout;
            let Next::Bytes(buffers) = self.next_bytes(patience, now).await else {
                return;
            };
            // Boxed: an idle connection should not carry the room for an exchange.
            if !Box::pin(self.serve_requests(buffers)).await {
                return;
            }
            now = Instant::now();
        }
    }

    /// Serves requests as long as they follow each other closely; false when the connection is to
    /// close.
    async fn serve_requests(&mut self, mut buffers: Box<Buffers>) -> bool {
        loop {
            let after = self.serve_request(&mut buffers).await;
            if let After::Linger = after {
                self.linger(&mut buffers).await;
            }
            let goes_on = matches!(after, After::Keep);
            buffers.finish_exchange();
            if goes_on && !buffers.from_client.filled().is_empty() {
                continue;
            }
            self.context.l7().buffers.give_back(buffers);
            // A stream has one request.
            if !goes_on || self.side.is_http2() {
                return false;
            }
            let Some(_warm) = self.context.l7().warmth.take() else {
                return true;
            };
            buffers = match self.next_bytes(WARM, self.now).await {
                Next::Bytes(buffers) => buffers,
                Next::Silence => return true,
                Next::Close => return false,
            };
        }
    }

    /// Waits for a request's first bytes without keeping a buffer, until `patience` after the last
    /// exchange. `now` is the clock, just read.
    async fn next_bytes(&mut self, patience: Duration, now: Instant) -> Next {
        let due = self.now + patience;
        let mut clock = Some(now);
        poll_fn(|cx| {
            if self.side.poll_readable(cx).is_ready() {
                let stack = &self.context.l7().buffers;
                let mut buffers = stack.take();
                match buffers.from_client.poll_fill(&mut self.side, cx) {
                    Poll::Ready(Ok(count)) if count > 0 => {
                        self.bytes_in += count as u64;
                        return Poll::Ready(Next::Bytes(buffers));
                    }
                    Poll::Ready(_) => {
                        stack.give_back(buffers);
                        return Poll::Ready(Next::Close);
                    }
                    Poll::Pending => stack.give_back(buffers),
                }
            }
            // A request that has come is still served.
            if self.context.is_draining() {
                return Poll::Ready(Next::Close);
            }
            // Read again only once the task has slept.
            let now = clock.take().unwrap_or_else(Instant::now);
            match self.deadline.has_passed(cx, now, due) {
                true => Poll::Ready(Next::Silence),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Follows a reload; false when this listener is no longer configured.
    fn adopt_listener(&mut self) -> bool {
        let newest = self.context.with_snapshot(|snapshot| {
            let generation = snapshot.config_generation();
            (generation != self.generation)
                .then(|| (generation, snapshot.current(&self.listener).cloned()))
        });
        match newest {
            None => true,
            Some((generation, Some(listener))) => {
                self.generation = generation;
                self.address = address_of(self.peer, &listener);
                self.listener = listener;
                true
            }
            Some((_, None)) => false,
        }
    }

    async fn serve_request(&mut self, buffers: &mut Buffers) -> After {
        if !self.adopt_listener() {
            return After::Close;
        }
        let (context, listener) = (self.context.clone(), self.listener.clone());
        let started = Instant::now();
        let client = Client {
            address: self.peer,
            number: self.number,
            generation: self.generation,
            tls: self.side.session(),
        };
        let mut record = Record::new(&context, &listener, client, started);
        if self.side.is_http2() {
            record.protocol = "h2";
            record.is_grpc = self.side.is_grpc();
        }
        let request = match self.read_head(buffers, started).await {
            Ok(Some(mut request)) => {
                self.requests = self.requests.saturating_sub(1);
                request.persists &= started < self.old && self.requests > 0;
                request
            }
            Ok(None) => {
                record.termination = Some(Failure::ClientClosed.as_str());
                record.bytes_in = std::mem::take(&mut self.bytes_in);
                return After::Close;
            }
            Err(failure) if self.is_preface(failure, buffers) => {
                let ahead = buffers.from_client.filled().to_vec();
                self.preface = Some(Box::new(ahead));
                record.forget();
                return After::Close;
            }
            Err(failure) => {
                if let Failure::Request(_) = failure {
                    record.desync = verdict_of_refused(buffers.from_client.filled());
                }
                let after = self.answer(buffers, failure, None, &mut record).await;
                record.bytes_in = std::mem::take(&mut self.bytes_in);
                return after;
            }
        };
        (record.text, record.marks) = (std::mem::take(&mut buffers.log_text), request.log_marks);
        if request.version == Version::Http10 {
            record.protocol = "http/1.0";
        }
        let after = self.act(&listener, buffers, &request, &mut record).await;
        record.bytes_in += std::mem::take(&mut self.bytes_in);
        self.may_be_http2 = false;
        self.now = record.ended.unwrap_or_else(Instant::now);
        buffers.log_text = record.end(self.now);
        after
    }

    /// True when what the codec refused is the start of an HTTP/2 connection (RFC 9113 section 3.4).
    fn is_preface(&self, failure: Failure, buffers: &Buffers) -> bool {
        self.may_be_http2
            && failure == Failure::Request(Refusal::UnsupportedVersion)
            && buffers.from_client.filled().starts_with(PREFACE)
    }

    /// After a response that was relayed to its end.
    pub(super) async fn relayed(
        &mut self,
        relayed: Relayed,
        request: &Request,
        buffers: &mut Buffers,
        body: &RequestBody,
        record: &mut Record<'_>,
    ) -> After {
        record.termination = None;
        if let Some((target, work)) = relayed.upgraded {
            record.ended = None;
            upgrade::tunnel(self, target, &work, buffers, record).await;
            return After::Close;
        }
        if !relayed.close {
            return After::Keep;
        }
        self.side.end();
        // Bytes that were not read would turn the close into a reset, and so do those that come after
        // it from a client that does not know yet (RFC 9112 section 9.6).
        let is_told = request.is_last || self.finished || self.side.is_http2();
        let nothing_left = body.is_complete() && buffers.from_client.filled().is_empty();
        // Over TLS the end is said in words, for which there may be no room at once.
        let needs_word = relayed.is_open_ended && matches!(self.side, Stream::Tls(_));
        match is_told && nothing_left && !needs_word {
            true => After::Close,
            false => After::Linger,
        }
    }

    /// Reads until a head is complete; `None` when the client closed before.
    async fn read_head(
        &mut self,
        buffers: &mut Buffers,
        started: Instant,
    ) -> Result<Option<Request>, Failure> {
        let limits = HeadLimits {
            bytes: self.listener.max_header_bytes,
        };
        let shows_trace = self.listener.error_pages.as_ref();
        let shows_trace = shows_trace.is_some_and(|pages| pages.shows_trace());
        let detail = self.context.detail(shows_trace);
        let session = self.side.session().cloned();
        let forwarding = Forwarding {
            client: &self.address,
            scheme: match session {
                Some(_) => "https",
                None => "http",
            },
            local: self.local,
            identity: session
                .as_ref()
                .map_or(b"", |session| session.identity_fields()),
            edited: self.listener.request_edits.as_ref().map(|edits| Edited {
                edits,
                peer: self.peer,
                tls: self.side.session().map(|tls| (tls.version, tls.cipher)),
            }),
        };
        let routing = Routing {
            listener: &self.listener,
            peer: self.peer.ip(),
            worker: self.context.worker(),
            started,
            cookies: Asked {
                memory: &self.context.l7().cookies,
                counters: self.context.counters(),
                clock: self.context.wall_clock(),
                at: started,
            },
        };
        let due = started + self.listener.header_timeout;
        // Looks again when a line ended or twice as much is there, so that a head sent byte by
        // byte does not cost the square of its length.
        let (mut seen, mut enough) = (0, 0);
        loop {
            let from_client = &mut buffers.from_client;
            from_client.consume(empty_lines(from_client.filled()));
            let filled = from_client.filled();
            let fresh = filled.get(seen..).unwrap_or(filled);
            if filled.len() >= enough || memchr::memchr(b'\n', fresh).is_some() {
                enough = filled.len() * 2;
                let taken = Request::take(buffers, limits, forwarding, routing, detail);
                match taken {
                    Ok(None) => {}
                    Ok(Some(mut request)) => {
                        request.in_pieces = seen > 0;
                        return Ok(Some(request));
                    }
                    Err(refusal) => return Err(Failure::Request(refusal)),
                }
            }
            let from_client = &mut buffers.from_client;
            seen = from_client.filled().len();
            if from_client.is_full() {
                let larger = (from_client.capacity() * 2).min(limits.bytes);
                from_client.grow(larger);
                enough = 0;
            }
            let (side, deadline) = (&mut self.side, &mut self.deadline);
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = from_client.poll_fill(side, cx) {
                    return Poll::Ready(Some(read));
                }
                match deadline.has_passed(cx, Instant::now(), due) {
                    true => Poll::Ready(None),
                    false => Poll::Pending,
                }
            });
            match read.await {
                Some(Ok(count)) if count > 0 => self.bytes_in += count as u64,
                Some(_) => return Ok(None),
                None if from_client.filled().is_empty() => return Ok(None),
                None => return Err(Failure::HeaderTimeout),
            }
        }
    }

    /// What the listener changes in responses.
    pub(super) fn response_edits(&self) -> Option<&ResponseEdits> {
        self.listener.response_edits.as_ref()
    }

    /// How long either side may be silent.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.listener.idle_timeout
    }
}

/// The client's address as X-Forwarded-For has it.
pub(super) fn address_of(peer: SocketAddr, listener: &Listener) -> ClientAddress {
    match &listener.request_edits {
        _ if is_nowhere(peer) => ClientAddress::none(),
        Some(edits) if edits.shows_port() => ClientAddress::with_port(peer),
        _ => ClientAddress::new(peer.ip()),
    }
}

#[cfg(test)]
mod tests;
