//! Target groups and targets.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{
    ConnectionId, CookieStickiness, PassiveHealth, ProxyOut, RequestHash, Retries,
    TargetHealthCheck, TargetSources, TlsCheck,
};
use crate::{Address, Span};

/// Index of a group in [`Config::target_groups`](crate::Config::target_groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupIdx(pub usize);

/// What a group's targets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupProtocol {
    /// HTTP/1.1 in clear text; for `http` and `https` listeners.
    Http,
    /// The same over TLS; for `http` and `https` listeners.
    Https,
    /// HTTP/2 over TLS; for `http` and `https` listeners.
    H2,
    /// HTTP/2 in clear text, by prior knowledge; for `http` and `https` listeners.
    H2c,
    /// gRPC in clear text; for `http` and `https` listeners.
    Grpc,
    /// gRPC over TLS; for `http` and `https` listeners.
    Grpcs,
    /// Any byte stream; for `tcp` and `tls` listeners.
    Tcp,
    /// Any byte stream over TLS; for `tcp` and `tls` listeners.
    Tls,
    /// Any datagrams; for `udp` listeners.
    Udp,
    /// Byte streams and datagrams on the same port; for `tcp-udp` listeners.
    TcpUdp,
    /// QUIC; for `quic` listeners.
    Quic,
    /// Byte streams and QUIC at the same address.
    TcpQuic,
}

impl GroupProtocol {
    /// The name in config, API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2 => "h2",
            Self::H2c => "h2c",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::TcpUdp => "tcp-udp",
            Self::Quic => "quic",
            Self::TcpQuic => "tcp-quic",
        }
    }

    /// True when its targets take requests: an answer can be due.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https) || self.is_http2()
    }

    /// True when its targets are spoken to in HTTP/2.
    pub fn is_http2(self) -> bool {
        matches!(self, Self::H2 | Self::H2c | Self::Grpc | Self::Grpcs)
    }

    /// True when its targets take gRPC calls.
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }

    /// True when its targets speak TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls | Self::H2 | Self::Grpcs)
    }

    /// True when its targets receive UDP datagrams.
    pub fn takes_datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp | Self::Quic | Self::TcpQuic)
    }

    /// True when its datagrams are QUIC's.
    pub fn is_quic(self) -> bool {
        matches!(self, Self::Quic | Self::TcpQuic)
    }

    /// True when its targets accept TCP connections.
    pub fn takes_streams(self) -> bool {
        !matches!(self, Self::Udp | Self::Quic)
    }
}

/// How a target is chosen among the eligible ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Smooth weighted round robin.
    RoundRobin,
    /// Fewest connections (or requests in flight) per weight.
    LeastConnections,
    /// The same, by ELB's name: fewest requests in flight.
    LeastOutstandingRequests,
    /// The target whose answers will begin soonest: latency times work in hand.
    PeakEwma,
    /// The less loaded of two drawn at random, per weight.
    PowerOfTwoChoices,
    /// At random, by weight.
    WeightedRandom,
    /// The same client address, the same target.
    SourceIpHash,
    /// The same 5-tuple, the same target (as NLB).
    FlowHash,
    /// The same part of requests, the same target, within bounds of load.
    RequestHash,
    /// The same QUIC connection ID, the same target (Huawei).
    ConnectionIdHash,
    /// What the Maglev paper hashes: 5-tuples; for http groups client addresses.
    Maglev,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 11] = [
        Self::RoundRobin,
        Self::LeastConnections,
        Self::LeastOutstandingRequests,
        Self::PeakEwma,
        Self::PowerOfTwoChoices,
        Self::WeightedRandom,
        Self::SourceIpHash,
        Self::FlowHash,
        Self::RequestHash,
        Self::ConnectionIdHash,
        Self::Maglev,
    ];

    /// True when it is the origin of work that decides where it goes.
    pub fn is_hashing(self) -> bool {
        match self {
            Self::SourceIpHash
            | Self::FlowHash
            | Self::RequestHash
            | Self::ConnectionIdHash
            | Self::Maglev => true,
            Self::RoundRobin
            | Self::LeastConnections
            | Self::LeastOutstandingRequests
            | Self::PeakEwma
            | Self::PowerOfTwoChoices
            | Self::WeightedRandom => false,
        }
    }

    /// True when it looks at requests, which groups below HTTP do not know.
    pub fn is_of_requests(self) -> bool {
        matches!(
            self,
            Self::LeastOutstandingRequests | Self::PeakEwma | Self::RequestHash
        )
    }

    /// True when it is the load that decides.
    pub fn is_by_load(self) -> bool {
        matches!(
            self,
            Self::LeastConnections
                | Self::LeastOutstandingRequests
                | Self::PeakEwma
                | Self::PowerOfTwoChoices
        )
    }

    /// The name in config, API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::LeastOutstandingRequests => "least-outstanding-requests",
            Self::PeakEwma => "peak-ewma",
            Self::PowerOfTwoChoices => "power-of-two-choices",
            Self::WeightedRandom => "weighted-random",
            Self::SourceIpHash => "source-ip-hash",
            Self::FlowHash => "flow-hash",
            Self::RequestHash => "request-hash",
            Self::ConnectionIdHash => "connection-id-hash",
            Self::Maglev => "maglev",
        }
    }
}

/// A floor under the number of healthy targets; breached when either limit is (ELB
/// `target_group_health.*.minimum_healthy_targets`). Percentages are of registered targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumHealthy {
    /// At least this many; 0 = off.
    pub count: u32,
    /// At least this share in percent, 1-100; 0 = off.
    pub percentage: u8,
}

impl MinimumHealthy {
    /// True when `healthy` of `registered` targets satisfy both limits.
    pub fn is_met(self, healthy: usize, registered: usize) -> bool {
        healthy >= self.count as usize && healthy * 100 >= usize::from(self.percentage) * registered
    }
}

/// One service address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// Where the target stands in the file.
    pub span: Span,
    /// Share of new work, 0-1000; 0 = no new work.
    pub weight: u16,
    /// Availability zone, or empty.
    pub availability_zone: String,
    /// Used only when no target that is not a backup can be.
    pub backup: bool,
    /// Exchanges and flows it may have at a time; 0 = as many as the group says.
    pub max_in_flight: u32,
    /// What its connection IDs carry (`server-id`; AWS `QuicServerId`); empty = none.
    pub server_id: Box<[u8]>,
}

impl Target {
    /// A target with nothing special about it.
    pub fn at(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            span: Span::default(),
            weight: 1,
            availability_zone: String::new(),
            backup: false,
            max_in_flight: 0,
            server_id: Box::default(),
        }
    }

    /// Why no target can be at an address; every Unix socket may be one.
    pub fn unusable(address: impl Into<Address>) -> Option<&'static str> {
        let address = address.into().socket_addr()?;
        match address.ip() {
            _ if address.port() == 0 => Some("0 is not a port of anything"),
            ip if ip.is_unspecified() => Some("it stands for all addresses, not for one"),
            ip if ip.is_multicast() || ip == Ipv4Addr::BROADCAST => {
                Some("it is no machine's address")
            }
            _ => None,
        }
    }
}

/// What becomes of flows of a target that probes find unhealthy; nothing while its group fails open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnhealthyFlows {
    /// They end at once (NLB `target_health_state.unhealthy.connection_termination.enabled`).
    End,
    /// They end so long after it (NLB `target_health_state.unhealthy.draining_interval_seconds`).
    EndAfter(Duration),
    /// They go on.
    Keep,
}

/// Targets with one algorithm, health check and attributes.
#[derive(Debug, Clone)]
pub struct TargetGroup {
    /// Unique among groups.
    pub name: String,
    /// Where `name` stands.
    pub span: Span,
    /// What its targets speak.
    pub protocol: GroupProtocol,
    /// How a target is chosen.
    pub algorithm: Algorithm,
    /// A client address keeps its target, whatever the algorithm (NLB `source_ip`).
    pub sticky_by_source: bool,
    /// Clients keep their target by cookie; in HTTP groups only.
    pub cookie: Option<CookieStickiness>,
    /// How QUIC connections keep their target; of `quic` groups only.
    pub connection_id: Option<ConnectionId>,
    /// In the order of the file, with those of other sources after them once it is served; no
    /// address twice.
    pub targets: Vec<Target>,
    /// Where others come from.
    pub sources: TargetSources,
    /// How long a deregistered target may finish its work (ELB `deregistration_delay`).
    pub deregistration_delay: Duration,
    /// How long a request waits for a target to recover before 503.
    pub hold: Duration,
    /// How long a connect to a target may take.
    pub connect_timeout: Duration,
    /// How long an http target may be silent while an answer is due: 504 after it (ELB: the idle
    /// timeout).
    pub response_timeout: Duration,
    /// Whom connections over TLS believe; `None` in clear text.
    pub tls: Option<TlsCheck>,
    /// Exchanges and flows a target may have at a time unless it says otherwise; 0 = any number.
    pub max_in_flight: u32,
    /// What `request-hash` goes by.
    pub request_hash: Option<RequestHash>,
    /// How often failed requests are tried again.
    pub retries: Retries,
    /// How long work waits for a place while every target has `max_in_flight`.
    pub queue_timeout: Duration,
    /// Connections to its targets come from their clients' addresses (ELB
    /// `preserve_client_ip.enabled`).
    pub preserve_client_ip: bool,
    /// What connections to its targets begin with.
    pub proxy_out: ProxyOut,
    /// Ends flows of a target when its deregistration delay has passed, and when probes found it
    /// unhealthy.
    pub connection_termination: bool,
    /// What becomes of flows of a target that probes find unhealthy.
    pub unhealthy_flows: UnhealthyFlows,
    /// Below this, all registered targets are used (fail-open).
    pub unhealthy_state_routing: MinimumHealthy,
    /// Below this, DNS treats the group as unhealthy. Never below `unhealthy_state_routing`.
    pub dns_failover: MinimumHealthy,
    /// What real traffic may do to its targets' health; `None` = nothing but the mark.
    pub passive_health: Option<PassiveHealth>,
    /// How long the share of a target that becomes healthy takes to grow to its whole (ELB
    /// `slow_start`); 0 = off.
    pub slow_start: Duration,
    /// Targets whose traffic fails more often than the others' get less of it (ELB
    /// `anomaly_mitigation`).
    pub anomaly_mitigation: bool,
    /// With `cross-zone = false` the availability zone of this process: targets of other zones are
    /// other processes' to use. `None` = all targets are used.
    pub only_zone: Option<String>,
    /// How its targets are probed.
    pub health_check: TargetHealthCheck,
}

impl TargetGroup {
    /// True when this process gives the target work and counts it: with `cross-zone = false` only
    /// those of its own availability zone, and those of none (ELB: `all`).
    pub fn uses(&self, target: &Target) -> bool {
        let zone = &target.availability_zone;
        zone.is_empty() || self.only_zone.as_ref().is_none_or(|only| only == zone)
    }

    /// Work the target may have at a time by the configuration; 0 = any.
    pub fn max_in_flight_of(&self, target: &Target) -> u32 {
        match target.max_in_flight {
            0 => self.max_in_flight,
            own => own,
        }
    }
}
