//! Target health checks: a target group's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::ProxyProtocol;

/// Codes that count as success: inclusive ranges (ELB `Matcher.HttpCode`, `Matcher.GrpcCode`).
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
    /// What probes over TCP begin with: a header that says that nobody's connection is passed on.
    pub proxy_protocol_out: ProxyProtocol,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// The same while results differ from the state, or none is decided: at most `interval`, and
    /// equal to it unless given (HAProxy's `fastinter`).
    pub fast_interval: Duration,
    /// A probe without its answer by then has failed; below `interval`.
    pub timeout: Duration,
    /// Passed probes in a row that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failed probes in a row that make a healthy target unhealthy.
    pub unhealthy_threshold: u32,
}

impl TargetHealthCheck {
    /// How long a target's death takes to show at most, by probes alone: it dies just after one
    /// began, and the last one needed waits for its timeout.
    pub fn settles_down(&self) -> Duration {
        self.settles(self.unhealthy_threshold)
    }

    /// How long its recovery takes to show at most.
    pub fn settles_up(&self) -> Duration {
        self.settles(self.healthy_threshold)
    }

    fn settles(&self, threshold: u32) -> Duration {
        let more = self.fast_interval * threshold.saturating_sub(1);
        self.interval + more + self.timeout
    }
}

/// What a probe of a target does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetHealthCheckKind {
    /// Connects, perhaps asks and compares the answer, then resets the connection.
    Tcp(TcpCheck),
    /// Connects and agrees on TLS, then resets the connection.
    Tls(TlsCheck),
    /// Sends a request and compares the status, perhaps the body.
    Http(HttpCheck),
    /// Sends a datagram. An ICMP "port unreachable" is failure; so is silence, when an answer is
    /// asked for.
    Udp(UdpCheck),
    /// Calls a gRPC method and compares the status.
    Grpc(GrpcCheck),
    /// Reads a line in HAProxy's agent-check words.
    Agent(AgentCheck),
    /// Runs a program; exit code 0 is success.
    Exec(ExecCheck),
}

impl TargetHealthCheckKind {
    /// The protocol's name in config, API and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Http(http) => http.protocol(),
            Self::Udp(_) => "udp",
            Self::Grpc(_) => "grpc",
            Self::Agent(_) => "agent",
            Self::Exec(_) => "exec",
        }
    }

    /// The path it asks for, if it asks for one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Tcp(_) | Self::Tls(_) | Self::Udp(_) | Self::Agent(_) | Self::Exec(_) => None,
            Self::Http(http) => Some(&http.path),
            Self::Grpc(grpc) => Some(&grpc.path),
        }
    }
}

/// What an HTTP probe sends and expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// `GET`, `HEAD`, `OPTIONS` or `POST` (without a body).
    pub method: &'static str,
    /// Path and query, from `/`.
    pub path: String,
    /// Host header; `None` = the address and port, as ELB sends.
    pub host: Option<String>,
    /// Further header fields, in the order of the file.
    pub headers: Vec<(String, String)>,
    /// Statuses that count as success.
    pub matcher: Matcher,
    /// Must stand in the first 5120 bytes of the body (Route 53 `SearchString`).
    pub search_string: Option<String>,
    /// What the request is framed in.
    pub version: HttpVersion,
    /// `None` = clear text.
    pub tls: Option<TlsCheck>,
}

impl HttpCheck {
    /// `http`, `https`, `h2c` or `h2`.
    pub fn protocol(&self) -> &'static str {
        match (self.version, &self.tls) {
            (HttpVersion::Http1, None) => "http",
            (HttpVersion::Http1, Some(_)) => "https",
            (HttpVersion::Http2, None) => "h2c",
            (HttpVersion::Http2, Some(_)) => "h2",
        }
    }
}

/// The HTTP a probe speaks (ELB `ProtocolVersion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: over TLS agreed on by ALPN, in clear text by prior knowledge (RFC 9113 section 3).
    Http2,
}

/// What a TCP probe sends and expects (HAProxy's `tcp-check`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TcpCheck {
    /// Sent once the connection stands; empty unless given.
    pub send: Vec<u8>,
    /// What the answer begins with; empty = any answer will do. `None` = none is waited for.
    pub receive: Option<Vec<u8>>,
}

/// What a UDP probe sends and expects (Huawei's `UDP_CONNECT`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpCheck {
    /// The datagram; empty unless given.
    pub send: Vec<u8>,
    /// What the answer begins with; empty = any answer will do. `None` = silence passes.
    pub receive: Option<Vec<u8>>,
}

/// What a gRPC probe calls and expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcCheck {
    /// `/package.Service/Method`.
    pub path: String,
    /// Asks the health service (`grpc.health.v1`) for this service, empty for the whole, and
    /// passes only when it serves; `None` = the request is empty and the status alone counts.
    pub service: Option<String>,
    /// `:authority`; `None` = the address and port.
    pub host: Option<String>,
    /// gRPC statuses that count as success (ELB `Matcher.GrpcCode`).
    pub matcher: Matcher,
    /// `None` = clear text, HTTP/2 by prior knowledge.
    pub tls: Option<TlsCheck>,
}

/// How an agent is asked (HAProxy `agent-send`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCheck {
    /// Sent once the connection stands; empty unless given.
    pub send: Vec<u8>,
}

/// What is run. No shell is between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecCheck {
    /// The program's file, found when the configuration was read.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// How a probe agrees on TLS 1.2 or 1.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsCheck {
    /// Whose certificates are good.
    pub trust: TlsTrust,
    /// The name asked for (SNI) and verified; `None` = the address.
    pub server_name: Option<String>,
    /// How the name is asked for.
    pub sni: Sni,
}

/// Whether a probe names the server it wants in the handshake (RFC 6066 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sni {
    /// It does.
    Sent,
    /// It does, and tries once more without when the server refuses (Route 53 `EnableSNI`).
    SentFirst,
    /// It does not.
    NotSent,
}

/// Whose certificates a probe takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsTrust {
    /// Those that the system's authorities vouch for, or, on a system without any, the public ones
    /// built in.
    Public,
    /// Those that these authorities vouch for.
    /// Shared: a bundle may hold a hundred of them, and a group thousands of targets.
    Authorities(Arc<Vec<CertificateDer<'static>>>),
    /// Anybody's: nothing is verified, as in ELB and Route 53.
    Anyone,
}
