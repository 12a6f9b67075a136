//! UDP threads: receive a batch, answer it in place, send it.
//!
//! One OS thread for each socket, spawned when a configuration with the address is committed. Each
//! adopts the newest snapshot with every batch, and twice a second when idle, so that old ones are
//! not kept alive.
//! Cost per query: a share of two syscalls and three clock reads; no allocation, no lock.

use std::io;
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use socket2::SockRef;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::Batch;
use super::order::{self, Noted, Order, ReplyTo, Taken, is_update};
use crate::answer::Answerer;
use crate::clock::Clock;
use crate::forward::Forward;
use crate::metrics::Counters;
use crate::secondary::Notified;
use crate::snapshot::Snapshot;
use crate::tap::{Kind, Query, Tap};
use crate::wire::Transport;

/// How long an idle thread keeps a replaced snapshot alive at most, and how soon it sees that it
/// should end if the wake-up is lost.
const IDLE_WAKE: Duration = Duration::from_millis(500);

/// Where a thread puts what others do.
pub(crate) type Passing = (
    mpsc::Sender<Notified>,
    mpsc::Sender<Order>,
    mpsc::Sender<Forward>,
);

/// A running thread.
#[derive(Debug)]
pub(crate) struct UdpThread {
    stop: Arc<AtomicBool>,
    /// A second handle to the thread's socket, to wake it with.
    socket: UdpSocket,
    ended: oneshot::Receiver<()>,
}

impl UdpThread {
    /// Starts a thread that answers on `socket`, bound to `address`.
    ///
    /// # Errors
    /// When the socket cannot be prepared or the thread not be started.
    pub(crate) fn start(
        socket: UdpSocket,
        address: SocketAddr,
        snapshot: Arc<ArcSwap<Snapshot>>,
        counters: Arc<Counters>,
        tap: Tap,
        (notified, orders, forwards): Passing,
    ) -> io::Result<Self> {
        socket.set_read_timeout(Some(IDLE_WAKE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (tell_end, ended) = oneshot::channel();
        let handle = socket.try_clone()?;
        let socket_later = socket.try_clone()?;
        let server = Server {
            socket,
            batch_info: address.ip().is_unspecified(),
            snapshot,
            counters,
            tap,
            notified,
            orders,
            forwards,
            later: Arc::new(socket_later),
            stop: stop.clone(),
        };
        std::thread::Builder::new()
            .name(format!("dns-udp-{}", address.port()))
            .spawn(move || {
                server.run();
                // The receiver may be gone: nobody waits then.
                let _ = tell_end.send(());
            })?;
        Ok(Self {
            stop,
            socket: handle,
            ended,
        })
    }

    /// Tells the thread to end. Answers in hand are sent.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        // Linux wakes a receiver on an unconnected socket and still says ENOTCONN; should it not
        // wake, the read timeout does.
        let _ = SockRef::from(&self.socket).shutdown(Shutdown::Both);
    }

    /// Waits for the end after [`UdpThread::stop`].
    pub(crate) async fn ended(self) {
        // An error means that the thread is gone without a word, which is an end too.
        let _ = self.ended.await;
    }
}

struct Server {
    socket: UdpSocket,
    batch_info: bool,
    snapshot: Arc<ArcSwap<Snapshot>>,
    counters: Arc<Counters>,
    tap: Tap,
    notified: mpsc::Sender<Notified>,
    orders: mpsc::Sender<Order>,
    forwards: mpsc::Sender<Forward>,
    /// For answers that come later.
    later: Arc<UdpSocket>,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn run(mut self) {
        let mut batch = Batch::new(self.batch_info);
        let mut answerer = Answerer::new(rand::random()).telling(self.notified);
        let mut snapshots = Cache::new(self.snapshot);
        let clock = Clock::new();
        while !self.stop.load(Ordering::Acquire) {
            let received = batch.receive(&self.socket);
            // After the wait, never before: an answer must not come from a snapshot that was
            // replaced before the query came.
            let snapshot = snapshots.load();
            if received.is_err() {
                // A timeout, or an ICMP error of an earlier answer: nothing was received.
                continue;
            }
            let began = Instant::now();
            let now = clock.at(began);
            answerer.set_now(now);
            let mut answers = 0;
            answerer.foresee(snapshot, |see| batch.look(see));
            batch.each(|(place, query), source, out, origin| {
                if is_update(query) {
                    let noted = || Noted::new(self.tap.hub(), Kind::Update, query, source);
                    let to = || ReplyTo::Datagram(self.later.clone(), Box::new(origin()), noted());
                    let transfers = &snapshot.transfers;
                    match order::take(&self.orders, transfers, query, (source, now.unix), to) {
                        Some(Taken::Queued) => return None,
                        Some(Taken::Reply(message)) => {
                            out.get_mut(..message.len())?.copy_from_slice(&message);
                            let asked = Query {
                                kind: Kind::Update,
                                packet: query,
                                source,
                                transport: Transport::Udp,
                            };
                            self.tap.record(asked, &message, now.unix_micros);
                            return Some(message.len());
                        }
                        None => {}
                    }
                }
                if !snapshot.rules.is_empty()
                    && let Some((rule, asked)) = answerer.forwarded(snapshot, query, source)
                {
                    // Full: dropped, and asked again.
                    let _ = self.forwards.try_send(Forward {
                        rule,
                        asked,
                        transport: Transport::Udp,
                        to: ReplyTo::Datagram(
                            self.later.clone(),
                            Box::new(origin()),
                            Noted::new(self.tap.hub(), Kind::Forwarded, query, source),
                        ),
                    });
                    return None;
                }
                let answered = answerer.answer_foreseen(place, snapshot, query, source, out)?;
                self.counters.count(&answered);
                let answer = out.get(..answered.len).unwrap_or_default();
                let asked = Query {
                    kind: Kind::Answered,
                    packet: query,
                    source,
                    transport: Transport::Udp,
                };
                self.tap.record(asked, answer, now.unix_micros);
                answers += 1;
                Some(answered.len)
            });
            batch.send(&self.socket);
            if answers > 0 {
                self.counters.time(began.elapsed(), answers);
            }
        }
    }
}
