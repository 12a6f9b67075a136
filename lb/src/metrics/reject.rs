//! Why the balancer itself refused something or ended it early: names for metrics and logs.
//!
//! The numbers are places in arrays of counters; a name that is published never changes.

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
