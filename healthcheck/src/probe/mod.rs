//! Probes: what is asked of a target or a standalone check, and the I/O that asks it.
//!
//! Called by the board, which runs each probe as a local task. A probe never decides a state: it
//! returns an [`Observation`]. Connections are closed by RST, so that no TIME_WAIT stays on
//! either side however many targets are probed.

mod agent;
pub mod answers;
mod body;
mod connection;
mod exec;
mod fault;
mod grpc;
mod http;
mod http2;
mod metric;
mod resolve;
mod tcp;
mod tls;
mod udp;

pub use fault::sentence as tls_fault;
pub use tls::{tls_client, tls_name};

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use conf::{
    Address, AgentCheck, Destination, Endpoint, EndpointHttp, ExecCheck, HttpCheck, HttpVersion,
    Matcher, MetricCheck, ProxyProtocol,
};
use conf::{TargetHealthCheck, TargetHealthCheckKind, TcpCheck, UdpCheck};

use crate::{Observation, proxy_header};
use grpc::GrpcPlan;
use http::HttpPlan;
use http2::Http2Plan;
use metric::MetricPlan;
use tls::TlsPlan;

/// Route 53: a TCP check's connect limit.
const STANDALONE_TCP: Duration = Duration::from_secs(10);
/// Route 53: an HTTP check's connect limit.
const STANDALONE_CONNECT: Duration = Duration::from_secs(4);
/// Route 53: an HTTP check's limit from connection to status, and from there to the search string.
const STANDALONE_RESPONSE: Duration = Duration::from_secs(2);

/// Characters of a line that are kept.
const MAX_LINE: usize = 160;

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
            let plan = match &plan.name {
                None => plan,
                Some(name) => match resolve::resolve(&plan, name).await {
                    Ok(plan) => plan,
                    Err(observation) => return unresolved(&plan, observation),
                },
            };
            match &plan.kind {
                ProbeKind::Tcp(tcp) => tcp::probe(&plan, tcp).await,
                ProbeKind::Tls(tls) => tls::probe(&plan, tls).await,
                ProbeKind::Http(http) => http::probe(&plan, http).await,
                ProbeKind::Http2(http) => http2::probe(&plan, http).await,
                ProbeKind::Udp(udp) => udp::probe(&plan, udp).await,
                ProbeKind::Grpc(grpc) => grpc::probe(&plan, grpc).await,
                ProbeKind::Agent(agent) => agent::probe(&plan, agent).await,
                ProbeKind::Exec(exec) => exec::probe(&plan, exec).await,
                ProbeKind::Metric(metric) => metric::probe(&plan, metric).await,
            }
        })
    }
}

/// What it means that there is no address to ask.
fn unresolved(plan: &ProbePlan, observation: Observation) -> Observation {
    match &plan.kind {
        ProbeKind::Metric(metric) => metric::unasked(metric, observation),
        _ => observation,
    }
}

/// How long the phases of a probe may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// From the start until the connection stands, TLS on it included.
    pub(crate) connect: Duration,
    /// From the connection until the response head is complete.
    pub(crate) response: Duration,
    /// From the response head until the body holds what it must.
    pub(crate) body: Duration,
    /// From the start to the end.
    pub(crate) total: Duration,
}

impl Limits {
    /// One limit for the whole.
    fn of(total: Duration) -> Self {
        Self {
            connect: total,
            response: total,
            body: total,
            total,
        }
    }

    /// Route 53's for HTTP checks.
    const STANDALONE: Self = Self {
        connect: STANDALONE_CONNECT,
        response: STANDALONE_RESPONSE,
        body: STANDALONE_RESPONSE,
        total: Duration::from_secs(8),
    };
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    /// Connects, and perhaps compares an answer.
    Tcp(TcpCheck),
    /// Connects and agrees on TLS.
    Tls(TlsPlan),
    /// Sends a request and compares the answer.
    Http(HttpPlan),
    /// The same over HTTP/2.
    Http2(Box<Http2Plan>),
    /// Sends a datagram.
    Udp(UdpCheck),
    /// Calls a method.
    Grpc(Box<GrpcPlan>),
    /// Reads an agent's line.
    Agent(AgentCheck),
    /// Runs a program.
    Exec(ExecCheck),
    /// Has an expression evaluated.
    Metric(Box<MetricPlan>),
}

/// Everything one probe needs, made once per configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbePlan {
    /// Where to connect; of a name only the port.
    pub(crate) address: Address,
    /// Looked up for each probe.
    name: Option<Box<str>>,
    /// What the connection begins with; empty as a rule.
    preface: Box<[u8]>,
    /// What to do there.
    pub(crate) kind: ProbeKind,
    /// How long it may take.
    pub(crate) limits: Limits,
    /// The protocol's name, for metrics.
    pub(crate) protocol: &'static str,
}

impl ProbePlan {
    /// The plan for a group's target.
    pub(crate) fn for_target(check: &TargetHealthCheck, target: Address) -> Self {
        let mut address = target;
        // A group that overrides the port has no target at a Unix socket.
        if let (Address::Ip(address), Some(port)) = (&mut address, check.port) {
            address.set_port(port);
        }
        let kind = match &check.kind {
            TargetHealthCheckKind::Tcp(tcp) => ProbeKind::Tcp(tcp.clone()),
            TargetHealthCheckKind::Tls(tls) => ProbeKind::Tls(TlsPlan::new(tls, b"", address)),
            TargetHealthCheckKind::Http(http) => match http.version {
                HttpVersion::Http1 => ProbeKind::Http(http_plan(http, address)),
                HttpVersion::Http2 => ProbeKind::Http2(Http2Plan::new(http, address).into()),
            },
            TargetHealthCheckKind::Udp(udp) => ProbeKind::Udp(udp.clone()),
            TargetHealthCheckKind::Grpc(grpc) => {
                ProbeKind::Grpc(GrpcPlan::new(grpc, address).into())
            }
            TargetHealthCheckKind::Agent(agent) => ProbeKind::Agent(agent.clone()),
            TargetHealthCheckKind::Exec(exec) => ProbeKind::Exec(exec.clone()),
        };
        Self {
            address,
            name: None,
            preface: preface(check.proxy_protocol_out),
            kind,
            limits: Limits::of(check.timeout),
            protocol: check.kind.as_str(),
        }
    }

    /// The plan for a standalone check's endpoint.
    pub(crate) fn for_endpoint(endpoint: &Endpoint) -> Self {
        let (address, name) = place(&endpoint.destination);
        let (kind, limits) = match &endpoint.http {
            None => {
                let limit = STANDALONE_TCP.min(endpoint.interval);
                (ProbeKind::Tcp(TcpCheck::default()), Limits::of(limit))
            }
            Some(http) => {
                let http = ProbeKind::Http(standalone_plan(http, address, name));
                (http, Limits::STANDALONE)
            }
        };
        Self {
            address: address.into(),
            name: name.map(Into::into),
            preface: Box::default(),
            kind,
            limits,
            protocol: endpoint.protocol(),
        }
    }

    /// The plan for a metric's server.
    pub(crate) fn for_metric(check: &MetricCheck) -> Self {
        let (address, name) = place(&check.server);
        let tls = check.tls.as_ref();
        let tls = tls.map(|tls| TlsPlan::new(tls, b"http/1.1", address.into()));
        Self {
            address: address.into(),
            name: name.map(Into::into),
            preface: Box::default(),
            kind: ProbeKind::Metric(MetricPlan::new(check, tls).into()),
            limits: Limits::of(check.timeout),
            protocol: "metric",
        }
    }

    /// Where it connects, for people.
    pub(crate) fn destination(&self) -> String {
        match &self.name {
            None => self.address.to_string(),
            Some(name) => format!("{name}:{}", self.address.port().unwrap_or_default()),
        }
    }
}

/// The header of a connection that is nobody's but the sender's own: targets that demand a header
/// take it, and use the connection's addresses (proxy-protocol.txt sections 2.1 and 2.2).
fn preface(version: ProxyProtocol) -> Box<[u8]> {
    let mut header = Vec::new();
    proxy_header::write(&mut header, version, None, [], false);
    header.into()
}

fn standalone_plan(http: &EndpointHttp, address: SocketAddr, name: Option<&str>) -> HttpPlan {
    let tls = http.tls.as_ref();
    let host = match &http.host {
        Some(host) => host.clone(),
        None => standalone_host(address, name, tls.is_some()),
    };
    HttpPlan {
        request: http::request("GET", &http.path, &host, &[]),
        matcher: Matcher {
            ranges: vec![(200, 399)],
        },
        search: http.search_string.as_deref().map(Into::into),
        tls: tls.map(|tls| TlsPlan::new(tls, b"http/1.1", address.into())),
    }
}

fn http_plan(check: &HttpCheck, address: Address) -> HttpPlan {
    let own = authority(address);
    let host = check.host.as_deref().unwrap_or(&own);
    let tls = check.tls.as_ref();
    HttpPlan {
        request: http::request(check.method, &check.path, host, &check.headers),
        matcher: check.matcher.clone(),
        search: check.search_string.as_deref().map(Into::into),
        tls: tls.map(|tls| TlsPlan::new(tls, b"http/1.1", address)),
    }
}

/// The first line as sent, made safe to show: no control characters, bounded.
fn shown_line(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    // Bounded before it is decoded: a character has at most four bytes.
    let line = line.get(..line.len().min(MAX_LINE * 4)).unwrap_or_default();
    shown(&String::from_utf8_lossy(line))
}

/// Text of a target, made safe to show.
fn shown(text: &str) -> String {
    let safe = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(safe).take(MAX_LINE).collect()
}

/// An answer that breaks its protocol.
fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The address, or a place for it, and the name.
fn place(destination: &Destination) -> (SocketAddr, Option<&str>) {
    match destination {
        Destination::Address(address) => (*address, None),
        Destination::Name { name, port } => {
            let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
            (nowhere, Some(name))
        }
    }
}

/// What a request to an address is for when nobody says: the address, and for a Unix socket, which
/// has no name of a host, this machine.
fn authority(address: Address) -> String {
    match address {
        Address::Ip(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    }
}

/// Route 53: the name, or else the address, with its port unless that is the protocol's own.
fn standalone_host(address: SocketAddr, name: Option<&str>, is_tls: bool) -> String {
    let own = if is_tls { 443 } else { 80 };
    if let Some(name) = name {
        return match address.port() == own {
            true => name.to_owned(),
            false => format!("{name}:{}", address.port()),
        };
    }
    match address {
        _ if address.port() != own => address.to_string(),
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

#[cfg(test)]
mod tests;
