//! Counters of the data path: one set per worker, merged when somebody scrapes.
//!
//! Workers write through [`PerWorker::of`] (single writer, relaxed, no hashing); `collect` sums.
//! Sets are kept by name in the [`Registry`], so that they survive reloads. Nothing here decides
//! anything.
//!
//! Cost: a count is one relaxed load and one relaxed store on a line of this worker's own.

mod collect;
mod histogram;
mod http2;
mod names;
mod retries;
mod sticky;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use histogram::Histogram;
pub(crate) use http2::{Http2Counters, Http2End};
use retries::RefusedRetries;
pub use retries::RetryRefusal;
use sticky::StickyCounters;
pub use sticky::StickyOutcome;

use crate::access_log::{FlowEnd, FlowKind};
use crate::l7::desync::Tier;
use crate::target::Padded;
use crate::tls::{HandshakeReason, Refreshes, Session};
pub(crate) use collect::collect;

/// A number that one worker adds to and anybody reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. For the one worker that owns the counter.
    pub fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One `T` per worker, each on cache lines of its own.
#[derive(Debug)]
pub struct PerWorker<T>(Arc<[Padded<T>]>);

impl<T> Clone for PerWorker<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> PerWorker<T> {
    /// A set for `workers` workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Padded::default()).collect())
    }
}

impl<T> PerWorker<T> {
    /// The part of worker number `worker`. Only that worker may write to it.
    ///
    /// # Panics
    /// On a worker number that was never given out.
    pub fn of(&self, worker: usize) -> &T {
        &self.0[worker].0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }

    /// The sum over the workers of what `pick` reads.
    pub(crate) fn sum(&self, pick: impl Fn(&T) -> u64) -> u64 {
        self.iter().map(pick).sum()
    }
}

/// Why something was refused or ended early by the balancer itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectReason {
    /// The listener has `max-connections` open.
    MaxConnections,
    /// The group has no registered target.
    NoTarget,
    /// No target recovered within `hold`.
    HoldExpired,
    /// Every attempt to connect failed and waiting was not possible.
    ConnectFailed,
    /// The request broke HTTP's rules.
    BadRequest,
    /// The request head is over `max-header-bytes`.
    HeaderTooLarge,
    /// The request head was not complete within `header-timeout`.
    HeaderTimeout,
    /// The process is shutting down.
    Shutdown,
    /// The client address has `max-flows-per-source` of them.
    MaxFlowsPerSource,
    /// No local port or descriptor was left for the flow.
    PortExhaustion,
    /// A datagram that cannot be answered: cut off, from port 0, or no QUIC where that is spoken.
    BadDatagram,
    /// A QUIC connection ID that no target has, from an address without a flow.
    UnknownConnectionId,
    /// The listener's filter does not let the client in.
    Filter,
    /// The client address has `max-connections-per-source` of them.
    MaxConnectionsPerSource,
    /// No place on a target became free within `queue-timeout`.
    QueueTimeout,
    /// No PROXY header came, and one is required.
    ProxyHeaderMissing,
    /// A sender of a PROXY header is none of `trusted-proxies`.
    ProxyHeaderUntrusted,
    /// The PROXY header was not complete within `proxy-protocol-timeout`.
    ProxyHeaderTimeout,
    /// The PROXY header breaks the protocol's rules, or was cut off.
    ProxyHeaderMalformed,
    /// The PROXY header is longer than what is read.
    ProxyHeaderTooLarge,
    /// The PROXY header's checksum is not that of its bytes.
    ProxyHeaderChecksum,
    /// The request is over a rate limit.
    RateLimited,
    /// The request carries no good token.
    Token,
    /// The request body is over `max-request-body`.
    BodyTooLarge,
}

impl RejectReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 24] = [
        Self::MaxConnections,
        Self::NoTarget,
        Self::HoldExpired,
        Self::ConnectFailed,
        Self::BadRequest,
        Self::HeaderTooLarge,
        Self::HeaderTimeout,
        Self::Shutdown,
        Self::MaxFlowsPerSource,
        Self::PortExhaustion,
        Self::BadDatagram,
        Self::UnknownConnectionId,
        Self::Filter,
        Self::MaxConnectionsPerSource,
        Self::QueueTimeout,
        Self::ProxyHeaderMissing,
        Self::ProxyHeaderUntrusted,
        Self::ProxyHeaderTimeout,
        Self::ProxyHeaderMalformed,
        Self::ProxyHeaderTooLarge,
        Self::ProxyHeaderChecksum,
        Self::RateLimited,
        Self::Token,
        Self::BodyTooLarge,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxConnections => "max-connections",
            Self::NoTarget => "no-target",
            Self::HoldExpired => "hold-expired",
            Self::ConnectFailed => "connect-failed",
            Self::BadRequest => "bad-request",
            Self::HeaderTooLarge => "header-too-large",
            Self::HeaderTimeout => "header-timeout",
            Self::Shutdown => "shutdown",
            Self::MaxFlowsPerSource => "max-flows-per-source",
            Self::PortExhaustion => "port-exhaustion",
            Self::BadDatagram => "bad-datagram",
            Self::UnknownConnectionId => "unknown-connection-id",
            Self::Filter => "filter",
            Self::MaxConnectionsPerSource => "max-connections-per-source",
            Self::QueueTimeout => "queue-timeout",
            Self::ProxyHeaderMissing => "proxy-header-missing",
            Self::ProxyHeaderUntrusted => "proxy-header-untrusted",
            Self::ProxyHeaderTimeout => "proxy-header-timeout",
            Self::ProxyHeaderMalformed => "proxy-header-malformed",
            Self::ProxyHeaderTooLarge => "proxy-header-too-large",
            Self::ProxyHeaderChecksum => "proxy-header-checksum",
            Self::RateLimited => "rate-limited",
            Self::Token => "jwt",
            Self::BodyTooLarge => "body-too-large",
        }
    }
}

/// Why another target was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RetryReason {
    /// The connection was refused.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// The connect timed out.
    ConnectTimeout,
    /// A kept connection was closed before the request was on it.
    StaleConnection,
    /// The target closed a new connection before it answered.
    TargetClosed,
    /// Something local (no port, no descriptor).
    Local,
    /// No TLS could be agreed on with the target.
    TlsHandshake,
}

impl RetryReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::StaleConnection,
        Self::TargetClosed,
        Self::Local,
        Self::TlsHandshake,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect-timeout",
            Self::StaleConnection => "stale-connection",
            Self::TargetClosed => "target-closed",
            Self::Local => "local",
            Self::TlsHandshake => "tls-handshake",
        }
    }
}

/// What one worker counts for one listener.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub connections: Counter,
    /// Bytes received from clients.
    pub bytes_in: Counter,
    /// Bytes sent to clients.
    pub bytes_out: Counter,
    rejected: [Counter; RejectReason::ALL.len()],
    /// By tier, compliant ones left out.
    desync: [Counter; 3],
    flows: [FlowCounters; FlowKind::ALL.len()],
    /// UDP.
    pub udp: UdpCounters,
    /// TLS.
    pub tls: TlsCounters,
    /// HTTP/2.
    pub(crate) http2: Http2Counters,
}

/// What one worker counts for one listener at which TLS ends.
#[derive(Debug, Default)]
pub struct TlsCounters {
    /// Handshakes done: in full over TLS 1.2, resumed; the same over TLS 1.3.
    handshakes: [Counter; 4],
    failed: [Counter; HandshakeReason::ALL.len()],
}

impl TlsCounters {
    /// Labels of `handshakes`: protocol, and whether an earlier session went on.
    pub(crate) const KINDS: [(&'static str, &'static str); 4] = [
        ("TLSv1.2", "full"),
        ("TLSv1.2", "resumed"),
        ("TLSv1.3", "full"),
        ("TLSv1.3", "resumed"),
    ];

    /// Counts a handshake that is done.
    pub(crate) fn done(&self, session: &Session) {
        let kind = (
            session.version,
            if session.resumed { "resumed" } else { "full" },
        );
        let place = Self::KINDS.iter().position(|known| *known == kind);
        if let Some(counter) = place.and_then(|place| self.handshakes.get(place)) {
            counter.add(1);
        }
    }

    /// Counts a handshake that failed.
    pub(crate) fn fail(&self, reason: HandshakeReason) {
        self.failed[reason as usize].add(1);
    }

    /// Handshakes of the kind at this place of [`TlsCounters::KINDS`].
    pub(crate) fn handshakes(&self, place: usize) -> u64 {
        self.handshakes.get(place).map_or(0, Counter::value)
    }

    /// Failures for `reason`.
    pub(crate) fn failed(&self, reason: HandshakeReason) -> u64 {
        self.failed[reason as usize].value()
    }
}

/// What one worker counts of one listener's flows of one kind.
#[derive(Debug, Default)]
pub struct FlowCounters {
    /// Flows that began.
    pub opened: Counter,
    /// Flows that ended.
    pub ended: Counter,
    resets: [Counter; FlowSide::ALL.len()],
    /// Connections refused when accepted, and datagrams that would have begun a flow.
    pub rejected: Counter,
    /// Times no local port was left for the way to a target.
    pub port_exhaustion: Counter,
}

/// Who ended a flow before it was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowSide {
    /// The client reset it.
    Client,
    /// The target did.
    Target,
    /// The balancer did: silence, the target's fate, no target, shutdown.
    Balancer,
}

impl FlowSide {
    /// Every side, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Client, Self::Target, Self::Balancer];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Target => "target",
            Self::Balancer => "balancer",
        }
    }

    /// Who ended a TCP flow that ended so; `None` when it was finished.
    fn of(end: FlowEnd) -> Option<Self> {
        match end {
            FlowEnd::Finished => None,
            FlowEnd::ClientReset => Some(Self::Client),
            FlowEnd::TargetReset => Some(Self::Target),
            _ => Some(Self::Balancer),
        }
    }
}

impl FlowCounters {
    /// Counts a flow that ended; resets are those of TCP.
    pub(crate) fn end(&self, end: FlowEnd) {
        self.ended.add(1);
        if let Some(side) = FlowSide::of(end) {
            self.resets[side as usize].add(1);
        }
    }

    /// Flows that `side` reset.
    pub(crate) fn resets(&self, side: FlowSide) -> u64 {
        self.resets[side as usize].value()
    }
}

/// What one worker counts for one listener that receives datagrams.
#[derive(Debug, Default)]
pub struct UdpCounters {
    /// Flows opened.
    pub flows: Counter,
    /// Datagrams from clients handed to targets.
    pub datagrams_in: Counter,
    /// Datagrams from targets handed to clients.
    pub datagrams_out: Counter,
    /// Datagrams the kernel would not take on either side: full queues, no route, too large.
    pub dropped: Counter,
    ended: [Counter; FlowEnd::OF_UDP.len()],
}

impl UdpCounters {
    /// Counts a flow that ended.
    pub(crate) fn end(&self, end: FlowEnd) {
        if let Some(counter) = end.place().and_then(|place| self.ended.get(place)) {
            counter.add(1);
        }
    }

    /// Flows that ended, by the order of [`FlowEnd::OF_UDP`].
    pub(crate) fn ended(&self, place: usize) -> u64 {
        self.ended.get(place).map_or(0, Counter::value)
    }
}

impl ListenerCounters {
    /// The counters of one kind of flows.
    pub fn flows(&self, kind: FlowKind) -> &FlowCounters {
        &self.flows[kind as usize]
    }

    /// Counts a refusal.
    pub fn reject(&self, reason: RejectReason) {
        self.rejected[reason as usize].add(1);
    }

    /// Refusals for `reason`.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected[reason as usize].value()
    }

    /// Tiers that are counted.
    pub(crate) const TIERS: [Tier; 3] = [Tier::Acceptable, Tier::Ambiguous, Tier::Severe];

    /// Counts a request in which something is odd.
    pub(crate) fn desync(&self, tier: Tier) {
        let place = Self::TIERS.iter().position(|known| *known == tier);
        if let Some(counter) = place.and_then(|place| self.desync.get(place)) {
            counter.add(1);
        }
    }

    /// How many requests were of a tier, by its place in `TIERS`.
    pub(crate) fn odd_requests(&self, place: usize) -> u64 {
        self.desync.get(place).map_or(0, Counter::value)
    }
}

/// Labels of `requests_total{code_class}`; the last one for exchanges the client never got an
/// answer to (ELB logs them as 000).
pub const CODE_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// What one worker counts for one (listener, group).
#[derive(Debug, Default)]
pub struct ExchangeCounters {
    /// Requests and flows that targets got because their group fails open.
    pub unhealthy_routing: Counter,
    requests: [Counter; CODE_CLASSES.len()],
    /// Time from a request's first byte to its end, in seconds.
    pub duration: Histogram,
}

impl ExchangeCounters {
    /// Counts an exchange answered with `status` (0 = not answered) after `duration`.
    pub fn exchange(&self, status: u16, duration: std::time::Duration) {
        let class = match status / 100 {
            class @ 1..=5 => usize::from(class) - 1,
            _ => CODE_CLASSES.len() - 1,
        };
        self.requests[class].add(1);
        self.duration.observe(duration);
    }

    /// Exchanges of the class at this place of [`CODE_CLASSES`].
    pub(crate) fn requests(&self, class: usize) -> u64 {
        self.requests.get(class).map_or(0, Counter::value)
    }
}

/// What one worker counts for itself.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    retries: [Counter; RetryReason::ALL.len()],
    sticky: StickyCounters,
    refused_retries: RefusedRetries,
    /// Times accepting paused because the process had no descriptor to spare.
    pub accept_pauses: Counter,
    /// Access-log records dropped because the ring was full.
    pub log_dropped: Counter,
    /// Pipes open for spliced flows, as a level: opened.
    pub pipes_opened: Counter,
    /// Pipes closed again.
    pub pipes_closed: Counter,
}

impl WorkerCounters {
    /// Counts an attempt that made another target necessary.
    pub fn retry(&self, reason: RetryReason) {
        self.retries[reason as usize].add(1);
    }

    /// Retries for `reason`.
    pub fn retries(&self, reason: RetryReason) -> u64 {
        self.retries[reason as usize].value()
    }
}

/// Every set of counters, by name. Owned by the control plane; grows by one entry for each
/// listener name and (listener, group) pair the process has ever served.
#[derive(Debug)]
pub(crate) struct Registry {
    workers: usize,
    pub(crate) by_worker: PerWorker<WorkerCounters>,
    pub(crate) refreshes: Arc<Refreshes>,
    pub(crate) listeners: HashMap<Arc<str>, PerWorker<ListenerCounters>>,
    pub(crate) exchanges: HashMap<(Arc<str>, Arc<str>), PerWorker<ExchangeCounters>>,
}

impl Registry {
    /// An empty registry for `workers` workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            by_worker: PerWorker::new(workers),
            refreshes: Arc::default(),
            listeners: HashMap::new(),
            exchanges: HashMap::new(),
        }
    }

    /// How many workers write to each set.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// The counters of a listener.
    pub(crate) fn listener(&mut self, name: &Arc<str>) -> PerWorker<ListenerCounters> {
        let workers = self.workers;
        let entry = self.listeners.entry(name.clone());
        entry.or_insert_with(|| PerWorker::new(workers)).clone()
    }

    /// The counters of a (listener, group) pair.
    pub(crate) fn exchange(
        &mut self,
        listener: &Arc<str>,
        group: &Arc<str>,
    ) -> PerWorker<ExchangeCounters> {
        let workers = self.workers;
        let entry = self.exchanges.entry((listener.clone(), group.clone()));
        entry.or_insert_with(|| PerWorker::new(workers)).clone()
    }
}
