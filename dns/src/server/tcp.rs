//! DNS over TCP: one [`TcpWorker`] on each of the balancer's worker runtimes.
//!
//! Accepts on its own listeners, answers pipelined queries in order (RFC 7766), many answers in
//! one write. Bounded everywhere: connections in all (the longest idle one makes room), one
//! message of input and 16 KiB plus one message of output each, and a client that neither sends a
//! whole query nor reads its answers for the idle time is gone.

mod passing;
mod places;
mod zones;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::order::{Order, is_update};
use crate::answer::Answerer;
use crate::clock::Clock;
use crate::forward::Forward;
use crate::metrics::Counters;
use crate::secondary::Notified;
use crate::snapshot::Snapshot;
use crate::tap::{Kind, Query, Tap};
use crate::transfer::is_transfer;
use crate::wire::Transport;
pub(crate) use places::TcpLimits;
use places::{Idle, Place};

/// Bytes of answers gathered before they are written.
const GATHER: usize = 16 * 1024;
/// Input read at a time.
const READ: usize = 2048;
/// Longest message, and the buffer one is built in.
const MESSAGE_MAX: usize = 65_535;
/// Pause after a failed accept (out of file descriptors, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What the control task tells a worker.
#[derive(Debug)]
pub(crate) enum TcpCommand {
    /// Accept on this listener, known by its configured address.
    Serve(SocketAddr, std::net::TcpListener),
    /// Accept what is waiting, then close the listener.
    Close(SocketAddr),
}

/// Answers DNS over TCP on one worker's runtime. Not `Send` while it runs.
#[derive(Debug)]
pub struct TcpWorker {
    pub(crate) commands: mpsc::UnboundedReceiver<TcpCommand>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Arc<TcpLimits>,
    pub(crate) tap: Tap,
    pub(crate) notified: mpsc::Sender<Notified>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) forwards: mpsc::Sender<Forward>,
}

impl TcpWorker {
    /// Serves until [`Dns::stop`](crate::Dns::stop), then closes every connection. Runs inside a
    /// `LocalSet`.
    pub async fn run(mut self) {
        let (close, closing) = watch::channel(());
        let service = Rc::new(Service {
            snapshot: self.snapshot,
            counters: self.counters,
            limits: self.limits,
            closing,
            orders: self.orders,
            forwards: self.forwards,
            desk: RefCell::new(Desk {
                answerer: Answerer::new(rand::random()).telling(self.notified),
                tap: self.tap,
                message: vec![0; MESSAGE_MAX].into(),
            }),
            idle: RefCell::default(),
            clock: Clock::new(),
        });
        let mut acceptors: HashMap<SocketAddr, oneshot::Sender<()>> = HashMap::new();
        while let Some(command) = self.commands.recv().await {
            match command {
                TcpCommand::Serve(address, listener) => match TcpListener::from_std(listener) {
                    Ok(listener) => {
                        let (stop, stopped) = oneshot::channel();
                        acceptors.insert(address, stop);
                        tokio::task::spawn_local(service.clone().accept(listener, stopped));
                    }
                    Err(error) => {
                        tracing::error!(%address, %error, "cannot accept DNS over TCP");
                    }
                },
                TcpCommand::Close(address) => drop(acceptors.remove(&address)),
            }
        }
        drop(acceptors);
        drop(close);
    }
}

/// What answering needs, shared by the worker's connections and used between awaits only.
struct Desk {
    answerer: Answerer,
    tap: Tap,
    message: Box<[u8]>,
}

struct Service {
    snapshot: Arc<ArcSwap<Snapshot>>,
    counters: Arc<Counters>,
    limits: Arc<TcpLimits>,
    /// Ends when the worker does.
    closing: watch::Receiver<()>,
    /// Where updates go.
    orders: mpsc::Sender<Order>,
    forwards: mpsc::Sender<Forward>,
    desk: RefCell<Desk>,
    /// Connections waiting for a query, longest first.
    idle: RefCell<BTreeMap<(Instant, u64), Rc<Notify>>>,
    clock: Clock,
}

impl Service {
    async fn accept(self: Rc<Self>, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
        let mut next_id = 0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stopped => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    next_id += 1;
                    self.admit(stream, peer.ip(), next_id);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
        // Clients that connected before the address went are still served.
        if let Ok(listener) = listener.into_std() {
            while let Ok((stream, peer)) = listener.accept() {
                let stream = stream.set_nonblocking(true).map(|()| stream);
                if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                    next_id += 1;
                    self.admit(stream, peer.ip(), next_id);
                }
            }
        }
    }

    /// Gives a new connection a place, if need be that of the longest idle one here; without
    /// either it is closed at once.
    fn admit(self: &Rc<Self>, stream: TcpStream, peer: IpAddr, id: u64) {
        if !self.limits.take() {
            let Some((_, evicted)) = self.idle.borrow_mut().pop_first() else {
                return;
            };
            evicted.notify_one();
            // The evicted connection gives its place back when it ends; until then there is one
            // more than the limit.
            self.limits.open.fetch_add(1, Ordering::Relaxed);
        }
        let place = Place(self.limits.clone());
        tokio::task::spawn_local(self.clone().serve(stream, peer, id, place));
    }

    async fn serve(self: Rc<Self>, mut stream: TcpStream, peer: IpAddr, id: u64, place: Place) {
        let mut closing = self.closing.clone();
        tokio::select! {
            // However the connection ends, nobody is left to tell.
            _ = self.exchange(&mut stream, peer, id) => {}
            _ = closing.changed() => {}
        }
        drop(place);
    }

    /// Reads queries and writes answers until the client closes, errs or stays away too long.
    async fn exchange(&self, stream: &mut TcpStream, peer: IpAddr, id: u64) -> io::Result<()> {
        let mut input = BytesMut::new();
        let mut output = Vec::new();
        loop {
            let deadline = Instant::now() + self.limits.idle();
            while first_message(&input).is_none() {
                if !self.read_more(stream, &mut input, deadline, id).await? {
                    return Ok(());
                }
            }
            while let Some(length) = first_message(&input) {
                let query = input.get(2..2 + length).unwrap_or_default();
                if is_transfer(query) {
                    self.write(stream, &mut output).await?;
                    self.transfer(stream, query, peer, &mut output).await?;
                } else if is_update(query) && self.update(query, peer, &mut output).await {
                    // Carried out, or refused.
                } else if self.forward(query, peer, &mut output).await {
                    // Somebody else has answered.
                } else if !self.answer(query, peer, &mut output) {
                    return Ok(());
                }
                input.advance(2 + length);
                if output.len() >= GATHER {
                    self.write(stream, &mut output).await?;
                }
            }
            self.write(stream, &mut output).await?;
        }
    }

    /// Waits for bytes; false at the end of the stream, at the deadline, or when the place is
    /// needed for another. A connection without a byte of a query counts as idle.
    async fn read_more(
        &self,
        stream: &TcpStream,
        input: &mut BytesMut,
        deadline: Instant,
        id: u64,
    ) -> io::Result<bool> {
        if input.is_empty() {
            // Idle connections hold no buffer.
            *input = BytesMut::new();
            let idle = Idle::enter(self, (Instant::now(), id));
            tokio::select! {
                readable = timeout_at(deadline, stream.readable()) => match readable {
                    Ok(result) => result?,
                    Err(_) => return Ok(false),
                },
                () = idle.evicted.notified() => return Ok(false),
            }
        } else if timeout_at(deadline, stream.readable()).await.is_err() {
            return Ok(false);
        }
        input.reserve(READ);
        match stream.try_read_buf(input) {
            Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Appends the answer with its length before it; false when there is none to give, after
    /// which the stream makes no sense any more.
    fn answer(&self, query: &[u8], peer: IpAddr, output: &mut Vec<u8>) -> bool {
        let began = Instant::now();
        let snapshot = self.snapshot.load();
        let desk = &mut *self.desk.borrow_mut();
        let message = &mut desk.message;
        let now = self.clock.at(began);
        desk.answerer.set_now(now);
        let answered = desk
            .answerer
            .answer(&snapshot, query, peer, Transport::Tcp, message);
        let Some(answered) = answered else {
            return false;
        };
        let Ok(length) = u16::try_from(answered.len) else {
            return false;
        };
        self.counters.count(&answered);
        let answer = message.get(..answered.len).unwrap_or_default();
        let asked = tcp_query(Kind::Answered, query, peer);
        desk.tap.record(asked, answer, now.unix_micros);
        output.extend_from_slice(&length.to_be_bytes());
        output.extend(message.iter().take(answered.len));
        self.counters.time(began.elapsed(), 1);
        true
    }

    async fn write(&self, stream: &mut TcpStream, output: &mut Vec<u8>) -> io::Result<()> {
        timeout(self.limits.idle(), stream.write_all(output)).await??;
        output.clear();
        output.shrink_to(GATHER);
        Ok(())
    }
}

/// A query of a connection, for recording.
fn tcp_query(kind: Kind, packet: &[u8], source: IpAddr) -> Query<'_> {
    Query {
        kind,
        packet,
        source,
        transport: Transport::Tcp,
    }
}

/// Appends a message with its length before it.
fn frame(message: &[u8], output: &mut Vec<u8>) {
    // Messages of transfers are kept below that.
    if let Ok(length) = u16::try_from(message.len()) {
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(message);
    }
}

/// Length of the first message's body, once it is there as a whole.
fn first_message(input: &BytesMut) -> Option<usize> {
    let (head, body) = input.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*head));
    (body.len() >= length).then_some(length)
}

#[cfg(test)]
mod tests;
