//! Probes: what is asked of a target or a standalone check, and the I/O that asks it.
//!
//! Called by the board, which runs each probe as a local task. A probe never decides a state: it
//! returns an [`Observation`]. Connections are closed by RST, so that no TIME_WAIT stays on
//! either side however many targets are probed.

mod connection;
mod http;
mod tcp;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use conf::{HealthCheck, HealthCheckKind, Matcher, TargetHealthCheck, TargetHealthCheckKind};

use crate::Observation;

/// Route 53: a TCP check's connect limit.
const STANDALONE_TCP: Duration = Duration::from_secs(10);
/// Route 53: an HTTP check's connect limit.
const STANDALONE_CONNECT: Duration = Duration::from_secs(4);
/// Route 53: an HTTP check's limit from connection to status.
const STANDALONE_RESPONSE: Duration = Duration::from_secs(2);

/// A running probe.
pub(crate) type RunningProbe = Pin<Box<dyn Future<Output = Observation>>>;

/// Makes probes. The board is given the network; its tests give a script.
pub(crate) trait Probe: Send + Sync {
    /// Begins the probe that `plan` describes.
    fn probe(&self, plan: Arc<ProbePlan>) -> RunningProbe;
}

/// Probes over real sockets.
#[derive(Debug)]
pub(crate) struct Network;

impl Probe for Network {
    fn probe(&self, plan: Arc<ProbePlan>) -> RunningProbe {
        Box::pin(async move {
            match &plan.kind {
                ProbeKind::Tcp => tcp::probe(&plan).await,
                ProbeKind::Http { request, matcher } => http::probe(&plan, request, matcher).await,
            }
        })
    }
}

/// How long the phases of a probe may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// From the start until the connection stands.
    pub(crate) connect: Duration,
    /// From the connection until the response head is complete.
    pub(crate) response: Duration,
    /// From the start to the end.
    pub(crate) total: Duration,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    /// Connects.
    Tcp,
    /// Sends `request` and compares the status.
    Http {
        request: Box<[u8]>,
        matcher: Matcher,
    },
}

/// Everything one probe needs, made once per configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbePlan {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// What to do there.
    pub(crate) kind: ProbeKind,
    /// How long it may take.
    pub(crate) limits: Limits,
}

impl ProbePlan {
    /// The plan for a group's target.
    pub(crate) fn for_target(check: &TargetHealthCheck, target: SocketAddr) -> Self {
        let mut address = target;
        address.set_port(check.port.unwrap_or(target.port()));
        let kind = match &check.kind {
            TargetHealthCheckKind::Tcp => ProbeKind::Tcp,
            TargetHealthCheckKind::Http {
                path,
                host,
                matcher,
            } => {
                let own = address.to_string();
                ProbeKind::Http {
                    request: http::request(path, host.as_deref().unwrap_or(&own)),
                    matcher: matcher.clone(),
                }
            }
        };
        let limits = Limits {
            connect: check.timeout,
            response: check.timeout,
            total: check.timeout,
        };
        Self {
            address,
            kind,
            limits,
        }
    }

    /// The plan for a standalone check.
    pub(crate) fn for_check(check: &HealthCheck) -> Self {
        match &check.kind {
            HealthCheckKind::Tcp { address } => {
                let limit = STANDALONE_TCP.min(check.interval);
                Self {
                    address: *address,
                    kind: ProbeKind::Tcp,
                    limits: Limits {
                        connect: limit,
                        response: limit,
                        total: limit,
                    },
                }
            }
            HealthCheckKind::Http {
                address,
                path,
                host,
            } => Self {
                address: *address,
                kind: ProbeKind::Http {
                    request: http::request(path, &standalone_host(host.as_deref(), *address)),
                    matcher: Matcher {
                        ranges: vec![(200, 399)],
                    },
                },
                limits: Limits {
                    connect: STANDALONE_CONNECT,
                    response: STANDALONE_RESPONSE,
                    total: STANDALONE_CONNECT + STANDALONE_RESPONSE,
                },
            },
        }
    }

    /// `tcp` or `http`, for metrics.
    pub(crate) fn protocol(&self) -> &'static str {
        match self.kind {
            ProbeKind::Tcp => "tcp",
            ProbeKind::Http { .. } => "http",
        }
    }
}

/// Route 53: the address, with its port unless it is 80.
fn standalone_host(host: Option<&str>, address: SocketAddr) -> String {
    match host {
        Some(host) => host.to_owned(),
        None if address.port() == 80 && address.is_ipv4() => address.ip().to_string(),
        None if address.port() == 80 => format!("[{}]", address.ip()),
        None => address.to_string(),
    }
}

#[cfg(test)]
mod tests;
