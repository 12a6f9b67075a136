//! Health checks: a target group's own, and the standalone ones that record sets name.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Span;

/// Index of a check in [`Config::health_checks`](crate::Config::health_checks).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckIdx(pub usize);

/// Status codes that count as success: inclusive ranges (ELB `Matcher.HttpCode`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// Inclusive ranges, ascending.
    pub ranges: Vec<(u16, u16)>,
}

impl Matcher {
    /// True when `code` counts as success.
    pub fn matches(&self, code: u16) -> bool {
        self.ranges
            .iter()
            .any(|&(low, high)| (low..=high).contains(&code))
    }
}

/// How a group's targets are probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealthCheck {
    /// The protocol and what it needs.
    pub kind: TargetHealthCheckKind,
    /// Port to probe; `None` = the target's own (ELB `traffic-port`).
    pub port: Option<u16>,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// A probe without its answer by then has failed; below `interval`.
    pub timeout: Duration,
    /// Passed probes in a row that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failed probes in a row that make a healthy target unhealthy.
    pub unhealthy_threshold: u32,
}

/// What a probe of a target does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetHealthCheckKind {
    /// Connects, then resets the connection.
    Tcp,
    /// Sends GET and compares the status.
    Http {
        /// Path and query, from `/`.
        path: String,
        /// Host header; `None` = the target's address and port, as ELB sends.
        host: Option<String>,
        /// Statuses that count as success.
        matcher: Matcher,
    },
}

/// A standalone check (Route 53's), named by record sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Unique among health checks.
    pub name: String,
    /// Where `name` stands.
    pub span: Span,
    /// What is probed and how.
    pub kind: HealthCheckKind,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// Results in a row that change the state, either way (Route 53 `FailureThreshold`).
    pub failure_threshold: u32,
}

/// What a standalone check looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheckKind {
    /// A TCP connect within 10 s (Route 53's limit) or `interval`, whichever is shorter.
    Tcp {
        /// Where to connect.
        address: SocketAddr,
    },
    /// GET; connect within 4 s, then a 2xx or 3xx status within 2 s (Route 53's limits).
    Http {
        /// Where to connect.
        address: SocketAddr,
        /// Path and query, from `/`.
        path: String,
        /// Host header; `None` = the address (with its port unless 80).
        host: Option<String>,
    },
}
