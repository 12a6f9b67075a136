//! The process itself: profile, admin surface, threads, shutdown, logs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Span, Spanned};

/// Whose defaults and ranges apply where the file is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Quick checks and short delays, for services on one machine. The default.
    #[default]
    Local,
    /// ELB's and Route 53's documented defaults and ranges.
    Aws,
}

/// The admin surface: page, JSON API, metrics, liveness.
#[derive(Debug, Clone)]
pub struct Admin {
    /// TCP address, loopback only in this version. An empty span when the file gives none.
    pub bind: Spanned<SocketAddr>,
    /// Unix socket, made with mode 0600.
    pub socket: PathBuf,
    /// Host names, beside loopback and the bind address, that requests may carry.
    pub hosts: Vec<String>,
}

/// Threads and shutdown.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Worker threads; 0 = one per usable CPU.
    pub workers: usize,
    /// How long running work may go on after accepting stopped.
    pub grace: Duration,
    /// How long to go on accepting after /readyz turned 503 and the listeners left DNS.
    pub shutdown_delay: Duration,
    /// How old the health saved in `state-dir` may be to count after a restart; 0 = not saved.
    pub health_memory: Duration,
    /// Probes that may run at once, of all health checks; at least 1.
    pub max_probes: usize,
    /// The availability zone this process is in, or empty.
    pub availability_zone: String,
    /// Secrets for session tickets that other processes share; without it the process has its own, in
    /// `state-dir`.
    pub ticket_key_file: Option<Spanned<PathBuf>>,
    /// Where `[runtime]` stands, if it does.
    pub span: Option<Span>,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// JSON lines.
    #[default]
    Json,
    /// As AWS does: exchanges and connections in the formats of ALB's access log and connection log, TLS
    /// flows in NLB's, all others as VPC flow log records of version 2.
    Aws,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct Logs {
    /// Access log.
    pub access: AccessLog,
    /// How exchanges are written.
    pub format: LogFormat,
    /// One exchange of so many is logged, beside those that went wrong; at least 1.
    pub sample: u32,
    /// Flow log; `None` = flows stand in the access log.
    pub flow: Option<AccessLog>,
    /// How flows are written, wherever they go.
    pub flow_format: LogFormat,
    /// Connection log: clients' connections to `http` and `https` listeners.
    pub connection: AccessLog,
    /// How connections are written.
    pub connection_format: LogFormat,
    /// Health check log, JSON lines.
    pub health: AccessLog,
    /// Exchanges that each worker remembers; 0 = none.
    pub past_requests: usize,
}
