//! Health checks: the standalone ones of Route 53, which record sets name.

use std::net::SocketAddr;
use std::time::Duration;

use super::{ControlIdx, GroupIdx, MetricCheck, TlsCheck};
use crate::Span;

/// Index of a check in [`Config::health_checks`](crate::Config::health_checks).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckIdx(pub usize);

/// A standalone check (Route 53's), named by record sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Unique among health checks.
    pub name: String,
    /// Where `name` stands.
    pub span: Span,
    /// What it looks at.
    pub kind: HealthCheckKind,
    /// Not looked at: counts as healthy (Route 53 `Disabled`).
    pub disabled: bool,
    /// Healthy when it would be unhealthy, and the other way round; last of all, so that a disabled
    /// one is unhealthy (Route 53 `Inverted`).
    pub inverted: bool,
}

/// What a standalone check looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheckKind {
    /// An address, by probes of its own.
    Endpoint(Endpoint),
    /// Other checks (Route 53 `CALCULATED`).
    Calculated {
        /// None of them calculated itself, none twice.
        children: Vec<CheckIdx>,
        /// Healthy with at least this many healthy children: 0 = always, more than there are =
        /// never.
        health_threshold: u32,
    },
    /// A target group: healthy when it meets its `dns-failover`.
    TargetGroup(GroupIdx),
    /// A switch: healthy while it is on (Route 53 `RECOVERY_CONTROL`).
    RoutingControl(ControlIdx),
    /// A metric (Route 53 `CLOUDWATCH_METRIC`).
    Metric(MetricCheck),
}

impl HealthCheckKind {
    /// The type's name in config, API and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Endpoint(endpoint) => endpoint.protocol(),
            Self::Calculated { .. } => "calculated",
            Self::TargetGroup(_) => "target-group",
            Self::RoutingControl(_) => "routing-control",
            Self::Metric(_) => "metric",
        }
    }
}

/// Where a check connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// There.
    Address(SocketAddr),
    /// To the first IPv4 address of a name, which is looked up for each probe (as Route 53 does).
    Name {
        /// Without a dot at the end.
        name: String,
        /// Not 0.
        port: u16,
    },
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

/// An address or name that is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub destination: Destination,
    /// What is asked there; `None` = a TCP connect within 10 s (Route 53's limit) or `interval`,
    /// whichever is shorter.
    pub http: Option<EndpointHttp>,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// Results in a row that change the state, either way (Route 53 `FailureThreshold`).
    pub failure_threshold: u32,
    /// Keeps histograms of connecting, TLS and the first byte (Route 53 `MeasureLatency`).
    pub measure_latency: bool,
}

impl Endpoint {
    /// `tcp`, `http` or `https`.
    pub fn protocol(&self) -> &'static str {
        match &self.http {
            None => "tcp",
            Some(http) if http.tls.is_none() => "http",
            Some(_) => "https",
        }
    }
}

/// GET; connect within 4 s, a 2xx or 3xx status within 2 s, the search string within 2 s more
/// (Route 53's limits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointHttp {
    /// Path and query, from `/`.
    pub path: String,
    /// Host header; `None` = the address or name (with its port unless it is the protocol's own).
    pub host: Option<String>,
    /// Must stand in the first 5120 bytes of the body (Route 53 `SearchString`).
    pub search_string: Option<String>,
    /// `None` = clear text.
    pub tls: Option<TlsCheck>,
}
