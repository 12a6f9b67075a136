//! One flow: its connected socket, what it counts as, and its line in the log.
//!
//! Kept in the flow table, made by `opening`. Dropping it closes the socket, gives its places back
//! and logs it. Cost: one descriptor and about 400 bytes.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use conf::ListenerProtocol;
use healthcheck::proxy_header::Transport;
use rustix::net::{SendFlags, send};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::Instant;

use super::batch::{Arrival, receive_segments};
use super::sources::SourcePlace;
use crate::access_log::{FlowEnd, FlowKind, FlowRecord};
use crate::context::WorkerContext;
use crate::l4::quic::{ConnectionIds, Learned};
use crate::limits::Admission;
use crate::proxy::Introduced;
use crate::rules::Action;
use crate::snapshot::{Listener, Route};
use crate::target::Target;
use crate::work::Work;

/// The route that a listener's forward gave at `place`.
pub(super) fn route(listener: &Listener, place: usize) -> Option<&Route> {
    match &listener.default.action {
        Action::Forward(forward) => forward.route(place),
        Action::Redirect(_) | Action::FixedResponse(_) => None,
    }
}

/// What the flows of a listener for datagrams are counted as.
pub(super) fn kind(listener: &Listener) -> FlowKind {
    match listener.protocol {
        ListenerProtocol::Quic | ListenerProtocol::TcpQuic => FlowKind::Quic,
        _ => FlowKind::Udp,
    }
}

/// A socket connected to `target`, non-blocking: only the target's datagrams come in, and what
/// ICMP says of it is told to this socket alone.
pub(super) fn connect(target: SocketAddr) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(target), kind, Some(Protocol::UDP))?;
    socket.connect(&target.into())?;
    Ok(socket.into())
}

/// The places a flow has within the limits.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) _admission: Admission,
    pub(super) _source: Option<SourcePlace>,
}

/// A flow.
pub(super) struct Flow {
    /// Connected to the target.
    pub(super) socket: UdpSocket,
    /// Where answers go, and from which address.
    pub(super) client: Arrival,
    /// The address that the client used.
    local: SocketAddr,
    pub(super) work: Work,
    /// The PROXY header that the first datagram is to begin with, while it is owed.
    greeting: Option<Box<[u8]>>,
    /// Where the connection IDs that its target chooses are learned.
    pub(super) learned: Option<Arc<Learned>>,
    context: Rc<WorkerContext>,
    listener: Arc<Listener>,
    /// The place of the route whose turn it was.
    route: usize,
    _places: Places,
    /// The pass in which its target last spoke.
    pass: Option<u32>,
    /// True once its socket receives segments.
    gathers: bool,
    opened: Instant,
    datagrams: (u64, u64),
    bytes: (u64, u64),
    retries: u32,
    end: FlowEnd,
}

impl Flow {
    /// A flow that begins now; counts it.
    pub(super) fn new(
        socket: UdpSocket,
        (client, local): (Arrival, SocketAddr),
        work: Work,
        context: Rc<WorkerContext>,
        (listener, route): (Arc<Listener>, usize),
        places: Places,
        (opened, retries): (Instant, u32),
    ) -> Self {
        let counters = listener.counters.of(context.worker());
        counters.udp.flows.add(1);
        counters.flows(kind(&listener)).opened.add(1);
        let (learned, proxy_out) = context.with_snapshot(|snapshot| {
            let group = self::route(&listener, route).and_then(|route| snapshot.group(route));
            let learned = match group.and_then(|group| group.connection_ids.as_ref()) {
                Some(ConnectionIds::Learned(table)) => Some(table.clone()),
                _ => None,
            };
            (learned, group.map(|group| group.settings.proxy_out))
        });
        let proxy_out = proxy_out.filter(|out| out.is_on());
        let greeting = proxy_out.map(|out| {
            let introduced = Introduced {
                client: client.client,
                local,
                tlvs: None,
                session: None,
                transport: Transport::Datagram,
            };
            context.introduction(out, &introduced).into()
        });
        Self {
            socket,
            client,
            local,
            work,
            greeting,
            learned,
            context,
            listener,
            route,
            _places: places,
            pass: None,
            gathers: false,
            opened,
            datagrams: (0, 0),
            bytes: (0, 0),
            retries,
            // What a flow dropped before its end was ended by.
            end: FlowEnd::Shutdown,
        }
    }

    /// Notes that its target has spoken in the pass of this number; true once it is worth receiving
    /// many datagrams at a time, and segments as one: when it speaks twice in one pass.
    pub(super) fn speaks_much(&mut self, pass: u32) -> bool {
        if !self.gathers && self.pass == Some(pass) {
            self.gathers = true;
            // Kernels before 5.0 know no such thing, and all works without.
            let _ = receive_segments(&self.socket);
        }
        self.pass = Some(pass);
        self.gathers
    }

    /// Sends the first datagram with the header before it, once per flow; `None` when there is none to
    /// send.
    pub(super) fn greet(&mut self, payload: &[u8]) -> Option<io::Result<usize>> {
        let greeting = self.greeting.as_ref()?;
        let datagram = [greeting, payload].concat();
        let sent = send(&self.socket, &datagram, SendFlags::DONTWAIT);
        if sent.is_ok() {
            self.greeting = None;
        }
        // The kernel takes a datagram whole: one is sent.
        Some(sent.map(|_| 1).map_err(io::Error::from))
    }

    /// The target.
    pub(super) fn target(&self) -> &Arc<Target> {
        self.work.target()
    }

    /// The listener it came through.
    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// The place of its route.
    pub(super) fn route(&self) -> Option<&Route> {
        route(&self.listener, self.route)
    }

    /// Counts a datagram that the target was sent.
    pub(super) fn count_in(&mut self, bytes: usize) {
        self.datagrams.0 += 1;
        self.bytes.0 += bytes as u64;
        let counters = self.listener.counters.of(self.context.worker());
        counters.udp.datagrams_in.add(1);
        counters.bytes_in.add(bytes as u64);
    }

    /// Counts a datagram that came from the target.
    pub(super) fn count_out(&mut self, bytes: usize) {
        self.datagrams.1 += 1;
        self.bytes.1 += bytes as u64;
        let counters = self.listener.counters.of(self.context.worker());
        counters.udp.datagrams_out.add(1);
        counters.bytes_out.add(bytes as u64);
    }

    /// Ends it.
    pub(super) fn end(mut self, end: FlowEnd) {
        self.end = end;
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let counters = self.listener.counters.of(self.context.worker());
        counters.udp.end(self.end);
        counters.flows(kind(&self.listener)).ended.add(1);
        if !self.context.log().logs_flows() {
            return;
        }
        let duration = self.opened.elapsed();
        let time = SystemTime::now();
        let tally = self.route().map_or(&self.listener.unrouted, |r| &r.tally);
        self.context.log().flow(&FlowRecord {
            kind: kind(&self.listener),
            time: time.checked_sub(duration).unwrap_or(time),
            listener: &self.listener.name,
            target_group: &tally.group_name,
            client: self.client.client,
            local: self.local,
            target: Some(self.target().name()),
            bytes_in: self.bytes.0,
            bytes_out: self.bytes.1,
            packets: Some(self.datagrams),
            connect: None,
            duration,
            retries: self.retries,
            termination: self.end,
            tls: None,
        });
    }
}
