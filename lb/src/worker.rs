//! A worker: accepts on its own sockets, runs every connection it accepted, adopts snapshots.
//!
//! The root package runs [`Worker::run`] inside a `LocalSet` on a current-thread runtime, one per
//! OS thread. The control plane reaches it through a mailbox (sockets, shutdown) and the
//! publication watch (snapshots). Never blocks.
//!
//! Cost: per connection one accept, one spawned task, no setsockopt (inherited from the listening
//! socket).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use conf::ListenerProtocol;
use healthcheck::Reporter;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::access_log::{FlowEnd, FlowKind, FlowRecord, LogRing};
use crate::acknowledge::Acknowledgements;
use crate::connections::Connections;
use crate::context::WorkerContext;
use crate::l4::{Datagrams, SourcePlace};
use crate::limits::{Admission, Budget};
use crate::metrics::{PerWorker, RejectReason, WorkerCounters};
use crate::past::PastRing;
use crate::proxy;
use crate::round_trips::RoundTrips;
use crate::snapshot::{Listener, Snapshot};
use crate::sockets::{Acceptor, Listening, Ready, SocketKey, is_nowhere};
use crate::stream::Accepted;

/// How long accepting rests when the process has no descriptor to spare.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What the control plane tells a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Close some sockets (after accepting what waits on them) and open others.
    Sockets {
        close: Vec<SocketKey>,
        open: Vec<(SocketKey, Ready)>,
        done: oneshot::Sender<()>,
    },
    /// Close every socket, after accepting what waits on them.
    StopAccepting,
    /// Let running work end until then, end the rest, return.
    Finish(Instant),
}

/// One worker, to be run on a thread of its own.
#[derive(Debug)]
pub struct Worker {
    pub(crate) number: usize,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// Changes with every publication.
    pub(crate) published: watch::Receiver<u64>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) acknowledgements: Arc<Acknowledgements>,
    pub(crate) reporter: Reporter,
    pub(crate) counters: PerWorker<WorkerCounters>,
    pub(crate) log: LogRing,
    pub(crate) past: PastRing,
    pub(crate) budget: Arc<Budget>,
    pub(crate) round_trips: RoundTrips,
}

impl Worker {
    /// Serves until [`Lb::finish`](crate::Lb::finish) or until every handle is gone.
    ///
    /// # Panics
    /// Outside a `LocalSet` on a current-thread tokio runtime with I/O and time enabled.
    pub async fn run(self) {
        let context = Rc::new(WorkerContext::new(
            self.number,
            self.snapshot,
            self.reporter,
            self.counters,
            (self.log, self.past),
        ));
        let acceptance = Acceptance {
            context,
            connections: Connections::default(),
            budget: self.budget,
            round_trips: self.round_trips,
        };
        let mut serving = Serving {
            acceptance: Rc::new(acceptance),
            published: self.published,
            commands: self.commands,
            acknowledgements: self.acknowledgements,
            sockets: HashMap::new(),
            datagrams: HashMap::new(),
        };
        let deadline = serving.serve().await;
        serving.finish(deadline).await;
        serving.acknowledgements.ended(self.number);
    }
}

/// A worker under way.
struct Serving {
    acceptance: Rc<Acceptance>,
    published: watch::Receiver<u64>,
    commands: mpsc::Receiver<Command>,
    acknowledgements: Arc<Acknowledgements>,
    sockets: HashMap<SocketKey, Rc<Socket>>,
    datagrams: HashMap<SocketKey, Datagrams>,
}

impl Serving {
    /// Follows publications and commands until it is told to finish: by when.
    async fn serve(&mut self) -> Instant {
        self.adopt();
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.published.changed() => self.adopt(),
                command = self.commands.recv() => match command {
                    Some(Command::Sockets { close, open, done }) => {
                        self.change_sockets(&close, open).await;
                        // Nobody waits any more when the caller of commit was dropped.
                        let _ = done.send(());
                    }
                    Some(Command::StopAccepting) => self.close_all(),
                    Some(Command::Finish(deadline)) => return deadline,
                    None => return Instant::now(),
                },
            }
        }
    }

    /// Lets connections end until `deadline`, which a further command can move; then ends them.
    async fn finish(&mut self, mut deadline: Instant) {
        self.close_all();
        let connections = self.acceptance.connections.clone();
        self.acceptance.context.start_draining();
        // After this the connections know what the kernel has got by now: who brings a request is not idle.
        tokio::task::yield_now().await;
        connections.wake_all();
        loop {
            tokio::select! {
                biased;
                () = connections.emptied() => break,
                () = tokio::time::sleep_until(deadline) => break,
                Ok(()) = self.published.changed() => self.adopt(),
                Some(command) = self.commands.recv() => {
                    if let Command::Finish(earlier) = command {
                        deadline = earlier;
                    }
                }
            }
        }
        // Who is cut in the middle must not take the end for a whole one: flows end by resets.
        self.acceptance.context.end_work();
        connections.end_all();
        connections.emptied().await;
    }

    fn adopt(&mut self) {
        self.published.mark_unchanged();
        let context = &self.acceptance.context;
        let (config, health) = context.adopt();
        self.acknowledgements
            .adopted(context.worker(), config, health);
    }

    async fn change_sockets(&mut self, close: &[SocketKey], open: Vec<(SocketKey, Ready)>) {
        for key in close {
            if let Some(socket) = self.sockets.remove(key) {
                socket.close(&self.acceptance);
            }
            if let Some(socket) = self.datagrams.remove(key) {
                socket.remove().await;
            }
        }
        for (key, socket) in open {
            let address = key.address;
            let opened = match socket {
                Ready::Streams(listener) => self.accept(key, listener),
                Ready::Datagrams(socket) => self.receive(key, socket),
            };
            if let Err(error) = opened {
                tracing::error!(%error, %address, "cannot accept");
            }
        }
    }

    fn accept(&mut self, key: SocketKey, listener: Listening) -> io::Result<()> {
        let listener = Acceptor::new(listener)?;
        let socket = Rc::new(Socket::new(key.clone(), listener));
        let accepting = socket.clone().accept(self.acceptance.clone());
        tokio::task::spawn_local(accepting);
        self.sockets.insert(key, socket);
        Ok(())
    }

    fn receive(&mut self, key: SocketKey, socket: UdpSocket) -> io::Result<()> {
        let datagrams = Datagrams::new(key.clone());
        let acceptance = &self.acceptance;
        let (context, budget) = (acceptance.context.clone(), acceptance.budget.clone());
        let serving = datagrams.clone().serve(socket, context, budget)?;
        // Counted as a connection, so that the worker waits for its flows when it ends.
        tokio::task::spawn_local(acceptance.connections.run(serving, ()));
        self.datagrams.insert(key, datagrams);
        Ok(())
    }

    /// Accepts nothing any more, over either transport.
    fn close_all(&mut self) {
        for (_, socket) in self.sockets.drain() {
            socket.close(&self.acceptance);
        }
        for socket in self.datagrams.values() {
            socket.refuse();
        }
    }
}

/// What accepting needs beside the socket.
struct Acceptance {
    context: Rc<WorkerContext>,
    connections: Connections,
    budget: Arc<Budget>,
    round_trips: RoundTrips,
}

impl Acceptance {
    /// Starts serving a connection, unless its listener is full.
    fn serve(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, listener: &Arc<Listener>) {
        let counters = listener.counters.of(self.context.worker());
        counters.connections.add(1);
        if !lets_in(listener, &stream, peer) {
            return self.refuse(&stream, peer, listener, RejectReason::Filter);
        }
        let Some(admission) = Admission::take(&listener.load, &self.budget) else {
            return self.refuse(&stream, peer, listener, RejectReason::MaxConnections);
        };
        let (context, listener) = (self.context.clone(), listener.clone());
        if listener.proxy_in.is_some() {
            let proxied = self.clone().proxied(stream, peer, listener);
            return self.spawn(admission, proxied);
        }
        let Ok(place) = source_place(&listener, peer) else {
            let reason = RejectReason::MaxConnectionsPerSource;
            return self.refuse(&stream, peer, &listener, reason);
        };
        let admission = (admission, place, self.round_trips.watch(&stream, peer));
        let local = local_address(&stream, peer, &listener);
        let accepted = Accepted {
            stream: stream.into(),
            peer,
            local,
            tlvs: None,
            number: context.number_connection(),
        };
        match listener.protocol {
            // A socket that accepts is never one of a udp listener.
            ListenerProtocol::Tcp
            | ListenerProtocol::TcpUdp
            | ListenerProtocol::Udp
            | ListenerProtocol::Quic
            | ListenerProtocol::TcpQuic => {
                let flow = crate::l4::serve(accepted, listener, context);
                self.spawn(admission, flow);
            }
            ListenerProtocol::TlsPassthrough => {
                let flow = crate::tls::serve_passthrough(accepted, listener, context);
                self.spawn(admission, flow);
            }
            ListenerProtocol::Https | ListenerProtocol::Tls => {
                let connection = crate::tls::serve(accepted, listener, context);
                self.spawn(admission, connection);
            }
            ListenerProtocol::Http => {
                let connection = crate::l7::serve(accepted, listener, context);
                self.spawn(admission, connection);
            }
        }
    }

    /// Serves a connection whose PROXY header is to be read first.
    async fn proxied(self: Rc<Self>, stream: TcpStream, peer: SocketAddr, listener: Arc<Listener>) {
        let Some(settings) = &listener.proxy_in else {
            return;
        };
        let header = match proxy::receive(&stream, peer.ip(), settings, &self.context).await {
            Ok(header) => header.unwrap_or_default(),
            Err(reason) => return self.refuse(&stream, peer, &listener, reason),
        };
        let own = || (peer, local_address(&stream, peer, &listener));
        // The unspecified address is nobody's, and stands for clients of Unix sockets here.
        let told = header.addresses.filter(|(peer, _)| !is_nowhere(*peer));
        let (peer, local) = told.unwrap_or_else(own);
        let Ok(_place) = source_place(&listener, peer) else {
            let reason = RejectReason::MaxConnectionsPerSource;
            return self.refuse(&stream, peer, &listener, reason);
        };
        let accepted = Accepted {
            stream: stream.into(),
            peer,
            local,
            tlvs: header.tlvs,
            number: self.context.number_connection(),
        };
        let context = self.context.clone();
        // Boxed: waiting for the header should not carry the room for what follows.
        let served: Pin<Box<dyn Future<Output = ()>>> = match listener.protocol {
            ListenerProtocol::Tcp
            | ListenerProtocol::TcpUdp
            | ListenerProtocol::Udp
            | ListenerProtocol::Quic
            | ListenerProtocol::TcpQuic => Box::pin(crate::l4::serve(accepted, listener, context)),
            ListenerProtocol::TlsPassthrough => {
                Box::pin(crate::tls::serve_passthrough(accepted, listener, context))
            }
            ListenerProtocol::Https | ListenerProtocol::Tls => {
                Box::pin(crate::tls::serve(accepted, listener, context))
            }
            ListenerProtocol::Http => crate::l7::serve(accepted, listener, context),
        };
        served.await;
    }

    /// Closes a connection with a reset, so that the client does not take it for an answer; counts
    /// and logs it.
    fn refuse(
        &self,
        stream: &TcpStream,
        peer: SocketAddr,
        listener: &Listener,
        reason: RejectReason,
    ) {
        // Fails on dead sockets only.
        let _ = stream.set_zero_linger();
        let counters = listener.counters.of(self.context.worker());
        counters.reject(reason);
        let kind = match listener.protocol {
            ListenerProtocol::Https | ListenerProtocol::Tls | ListenerProtocol::TlsPassthrough => {
                FlowKind::Tls
            }
            _ => FlowKind::Tcp,
        };
        counters.flows(kind).rejected.add(1);
        if self.context.log().logs_flows() {
            self.context.log().flow(&FlowRecord {
                kind,
                time: SystemTime::now(),
                listener: &listener.name,
                target_group: "",
                client: peer,
                local: local_address(stream, peer, listener),
                target: None,
                bytes_in: 0,
                bytes_out: 0,
                packets: None,
                connect: None,
                duration: Duration::ZERO,
                retries: 0,
                termination: FlowEnd::Refused(reason),
                tls: None,
            });
        }
    }

    /// Runs a connection to its end, holding its places within the limits.
    fn spawn(&self, places: impl Sized + 'static, connection: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(self.connections.run(connection, places));
    }
}

/// True unless the listener's filter refuses the client. A client that is gone has no port to tell; who
/// comes over a Unix socket has been let in by the mode of its file.
fn lets_in(listener: &Listener, stream: &TcpStream, peer: SocketAddr) -> bool {
    let port = || stream.local_addr().map_or(0, |local| local.port());
    let filter = listener.filter.as_ref();
    filter.is_none_or(|filter| is_nowhere(peer) || filter.allows(peer, port))
}

/// A place among the connections of a client address, where the listener limits them.
fn source_place(
    listener: &Listener,
    client: SocketAddr,
) -> Result<Option<Box<SourcePlace>>, AtLimit> {
    let Some(sources) = &listener.connection_sources else {
        return Ok(None);
    };
    if is_nowhere(client) {
        return Ok(None);
    }
    let place = sources.take(client.ip(), listener.max_connections_per_source);
    // Boxed: the connections of most listeners carry none.
    place.map(|place| Some(Box::new(place))).ok_or(AtLimit)
}

/// The client address has as many connections as it may have.
struct AtLimit;

/// The address that the client used; over a Unix socket, which has none, that of a client on this machine
/// that writes no port.
fn local_address(stream: &TcpStream, peer: SocketAddr, listener: &Listener) -> SocketAddr {
    if is_nowhere(peer) {
        return SocketAddr::from(([127, 0, 0, 1], listener.scheme_port()));
    }
    match *listener.bound {
        [bound] if !bound.ip().is_unspecified() => bound,
        // A client that is gone already has no address left.
        _ => stream.local_addr().unwrap_or(peer),
    }
}

/// A listening socket and its accept loop.
struct Socket {
    key: SocketKey,
    /// Taken when the socket is closed: that ends the loop.
    listener: RefCell<Option<Acceptor>>,
    /// The listener it last belonged to: for what waits when it is removed.
    serves: RefCell<Option<Arc<Listener>>>,
    waker: Cell<Option<Waker>>,
}

impl Socket {
    fn new(key: SocketKey, listener: Acceptor) -> Self {
        Self {
            key,
            listener: RefCell::new(Some(listener)),
            serves: RefCell::new(None),
            waker: Cell::new(None),
        }
    }

    /// Accepts until the socket is closed.
    async fn accept(self: Rc<Self>, acceptance: Rc<Acceptance>) {
        poll_fn(|cx| {
            self.waker.set(Some(cx.waker().clone()));
            Poll::Ready(())
        })
        .await;
        loop {
            if !acceptance.budget.has_room() {
                pause(&acceptance).await;
            }
            let accepted = poll_fn(|cx| match &*self.listener.borrow() {
                Some(listener) => listener.poll_accept(cx).map(Some),
                None => Poll::Ready(None),
            });
            match accepted.await {
                None => return,
                Some(Ok((stream, peer))) => self.serve(&acceptance, stream, peer),
                Some(Err(error)) if is_exhausted(&error) => pause(&acceptance).await,
                // The client gave up while it waited: its matter.
                Some(Err(_)) => {}
            }
        }
    }

    /// Accepts what still waits, then closes. Connections whose handshake is under way are lost:
    /// the kernel keeps them with the socket.
    fn close(&self, acceptance: &Rc<Acceptance>) {
        let Some(listener) = self.listener.borrow_mut().take() else {
            return;
        };
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        for (stream, peer) in listener.rest() {
            self.serve(acceptance, stream, peer);
        }
    }

    fn serve(&self, acceptance: &Rc<Acceptance>, stream: TcpStream, peer: SocketAddr) {
        let current = acceptance
            .context
            .with_snapshot(|snapshot| snapshot.listener_of(&self.key).cloned());
        let mut serves = self.serves.borrow_mut();
        if current.is_some() {
            *serves = current;
        }
        if let Some(listener) = &*serves {
            acceptance.serve(stream, peer, listener);
        }
    }
}

async fn pause(acceptance: &Acceptance) {
    acceptance.context.counters().accept_pauses.add(1);
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// True when the process or the system is out of descriptors or memory for sockets.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

#[cfg(test)]
mod tests;
