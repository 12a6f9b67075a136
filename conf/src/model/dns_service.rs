//! What the DNS server says of itself, and how it guards itself against forged senders.

use std::path::PathBuf;

use ipnet::IpNet;

use super::{AccessLog, MeasuredLatency};

/// Identity, cookies and limits of the DNS server. The default says nothing of itself, makes
/// cookies of its own and does not limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DnsService {
    /// Name server identifier (RFC 5001), sent to whoever asks for it.
    pub nsid: Option<String>,
    /// Answer to `version.bind` and `version.server`.
    pub version: Option<String>,
    /// Answer to `hostname.bind` and `id.server`.
    pub hostname: Option<String>,
    /// DNS cookies.
    pub cookies: Cookies,
    /// Response rate limiting; `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// The query log; `None`: there is none.
    pub query_log: Option<QueryLog>,
    /// Unix socket of a dnstap reader.
    pub dnstap: Option<PathBuf>,
    /// Round-trip times of clients are measured; `None`: they are not.
    pub measured_latency: Option<MeasuredLatency>,
}

/// Where and how queries are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryLog {
    /// File or standard output.
    pub destination: AccessLog,
    /// How a line looks.
    pub format: QueryLogFormat,
    /// One query of so many is logged; for dnstap too.
    pub sample: u32,
}

/// How a line of the query log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryLogFormat {
    /// As Route 53 writes them.
    Route53,
    /// An object a line.
    Json,
}

/// How DNS cookies (RFC 7873, 9018) are made.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Cookies {
    /// They are neither sent nor believed.
    Off,
    /// With secrets of this process alone, which change by themselves.
    #[default]
    Own,
    /// With secrets that other servers of the same address know too: the first makes cookies, all
    /// are believed.
    Shared(Vec<[u8; 16]>),
}

/// Secrets are not shown.
impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Own => "Own",
            Self::Shared(_) => "Shared(..)",
        })
    }
}

/// Response rate limiting, for UDP from senders that have not shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Like answers a second to one network (an IPv4 /24, an IPv6 /56).
    pub responses_per_second: u32,
    /// Every so many limited answers one is sent, truncated, so that a true client comes by TCP;
    /// 0: none.
    pub slip: u32,
    /// Networks that are not limited; loopback never is.
    pub exempt: Vec<IpNet>,
    /// Count what would be limited, and send it.
    pub dry_run: bool,
}
