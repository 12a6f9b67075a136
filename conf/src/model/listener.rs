//! Listeners: where traffic is accepted and what is done with it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{
    Action, Desync, ErrorPage, FilterRule, Gate, GroupIdx, HeaderEdits, ListenerTls, ProxyIn,
    RequestLimit, Rule, Scheme, UnixBinds,
};
use crate::{Span, Spanned};

/// Index of a listener in [`Config::listeners`](crate::Config::listeners).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerIdx(pub usize);

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerProtocol {
    /// HTTP/2, HTTP/1.1 and HTTP/1.0 in clear text.
    Http,
    /// The same over TLS, which ends here.
    Https,
    /// Any byte stream.
    Tcp,
    /// Any byte stream over TLS, which ends here.
    Tls,
    /// Any byte stream over TLS, which passes through: what clients ask for chooses.
    TlsPassthrough,
    /// Any datagrams.
    Udp,
    /// Byte streams and datagrams on the same port.
    TcpUdp,
    /// QUIC, not terminated: connections keep their target by connection ID.
    Quic,
    /// Byte streams and QUIC on the same port (NLB's TCP_QUIC): HTTP/1 and 2 beside HTTP/3.
    TcpQuic,
}

impl ListenerProtocol {
    /// The name in config, API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::TlsPassthrough => "tls-passthrough",
            Self::Udp => "udp",
            Self::TcpUdp => "tcp-udp",
            Self::Quic => "quic",
            Self::TcpQuic => "tcp-quic",
        }
    }

    /// True when it accepts TCP connections.
    pub fn takes_streams(self) -> bool {
        !matches!(self, Self::Udp | Self::Quic)
    }

    /// True when it receives UDP datagrams.
    pub fn takes_datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp | Self::Quic | Self::TcpQuic)
    }

    /// True when its datagrams are QUIC's.
    pub fn is_quic(self) -> bool {
        matches!(self, Self::Quic | Self::TcpQuic)
    }

    /// True when it reads requests: rules, redirects and header limits mean something to it.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// True when its connections, not requests, are told apart by rules.
    pub fn routes_by_tls(self) -> bool {
        matches!(self, Self::Tls | Self::TlsPassthrough)
    }

    /// True when TLS ends at it: it has certificates.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// What its clients' URLs begin with.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Https => Scheme::Https,
            _ => Scheme::Http,
        }
    }
}

/// What a listener does with UDP flows; means nothing to one that receives no datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSettings {
    /// A flow that the target has answered ends after so long without a datagram (NLB: 120 s).
    pub idle_timeout: Duration,
    /// A flow that the target has not answered yet ends after so long without a datagram.
    pub unreplied_timeout: Duration,
    /// A flow ends after so many datagrams from the target; 0 = it does not.
    pub responses: u32,
    /// Flows of one client address at most; 0 = only `max_connections` limits them.
    pub max_flows_per_source: u32,
}

/// Accepts traffic.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Unique among listeners.
    pub name: String,
    /// Where `name` stands.
    pub span: Span,
    /// Addresses to accept on; no two listeners overlap. At least one of them, or of `unix`.
    pub binds: Vec<Spanned<SocketAddr>>,
    /// Unix sockets to accept on.
    pub unix: UnixBinds,
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// Addresses for DNS aliases: as given, else the non-wildcard binds' own.
    pub advertise: Vec<IpAddr>,
    /// Who may use it, lowest number first; empty = everybody.
    pub filter: Vec<FilterRule>,
    /// By priority, lowest first; of `http` and `https` listeners only.
    pub rules: Vec<Rule>,
    /// What happens when no rule matches; a forward unless it reads requests.
    pub default_action: Action,
    /// How often all its requests may come, whatever rule claims them.
    pub limits: Vec<RequestLimit>,
    /// What requests pass that no rule claims; means nothing unless it reads requests.
    pub gate: Gate,
    /// Open client connections and UDP flows at most; 0 = only the file-descriptor budget limits
    /// them.
    pub max_connections: usize,
    /// Connections that may wait to be accepted, for each worker.
    pub backlog: u32,
    /// Open connections of one client address at most; 0 = no limit of its own.
    pub max_connections_per_source: u32,
    /// Whose connections they are.
    pub proxy_in: ProxyIn,
    /// A client connection without a byte for this long is closed (ELB
    /// `idle_timeout.timeout_seconds`, default 60 s; for tcp `tcp.idle_timeout.seconds`, 350 s).
    pub idle_timeout: Duration,
    /// A request head must be complete this long after its first byte (http and https); a
    /// ClientHello this long after the connection was accepted (tls-passthrough).
    pub header_timeout: Duration,
    /// Request heads over this are refused with 431 (http only), in bytes.
    pub max_header_bytes: usize,
    /// Clients may speak HTTP/2 (http and https only; ELB `routing.http2.enabled`).
    pub http2: bool,
    /// A client connection that is as old as this takes no more requests (http and https only; ELB
    /// `client_keep_alive.seconds`).
    pub client_keep_alive: Duration,
    /// Requests that a client's HTTP/1 connection may bring (http and https only); `u32::MAX` = any number.
    pub http1_requests: u32,
    /// Requests that a client's HTTP/2 connection may bring (http and https only).
    pub http2_requests: u32,
    /// Request bodies over this are refused with 413 (http only), in bytes; 0 = none is.
    pub max_request_body: u64,
    /// What is done about requests that readers could take in different ways (http only).
    pub desync: Desync,
    /// What it changes in heads (http only).
    pub header_edits: HeaderEdits,
    /// Bytes a second that a client must move while it is waited for; 0 = any number (http and https only).
    pub min_rate: u64,
    /// The time over which that is looked at.
    pub min_rate_window: Duration,
    /// An exchange may last so long; zero = any time (http and https only).
    pub request_timeout: Duration,
    /// What clients get in place of the balancer's own sentences (http and https only).
    pub error_pages: Vec<ErrorPage>,
    /// How TLS is agreed on (https and tls only).
    pub tls: Option<ListenerTls>,
    /// What becomes of UDP flows (udp and tcp-udp only).
    pub udp: UdpSettings,
}

impl Listener {
    /// Its actions: the rules' by priority, then the default one.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        let rules = self.rules.iter().map(|rule| &rule.action);
        rules.chain(std::iter::once(&self.default_action))
    }

    /// The groups of its actions, each once.
    pub fn groups(&self) -> Vec<GroupIdx> {
        let mut found = Vec::new();
        for group in self.actions().flat_map(Action::groups) {
            if !found.contains(&group) {
                found.push(group);
            }
        }
        found
    }
}
