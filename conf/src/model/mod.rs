//! The resolved model: what a valid file means, every reference an index, every default filled in.
//!
//! Built by the resolver only; read by every plane. Immutable once built. Enums hold what this
//! version serves, nothing else: a value the model cannot express is a diagnostic, not a variant.

mod action;
mod beyond;
mod check;
mod connection_id;
mod control;
mod desync;
mod dns;
mod dns_service;
mod error_page;
mod filter;
mod forward;
mod gate;
mod group;
mod header_edits;
mod health;
mod jwt;
mod latency;
mod limit;
mod listener;
mod location;
mod measured;
mod metric;
mod passive;
mod process;
mod proxy;
mod record;
mod region;
mod request_hash;
mod retries;
mod rewrite;
mod rule;
mod source;
mod sticky;
mod tls;
mod transfer;
mod unix;

pub use action::{
    Action, FixedResponse, Forward, Piece, Placeholder, Redirect, Scheme, Template, WeightedGroup,
};
pub use beyond::{AllDown, Beyond, TtlRange};
pub use check::{CheckIdx, Destination, Endpoint, EndpointHttp, HealthCheck, HealthCheckKind};
pub use connection_id::{ConnectionId, ServerIdFormat};
pub use control::{ControlIdx, RoutingControl, SafetyRule, SafetyRuleKind};
pub use desync::{Desync, DesyncMode};
pub use dns::{Dns, Fallthrough, GeoDatabase, Zone};
pub use dns_service::{Cookies, DnsService, QueryLog, QueryLogFormat, RateLimit};
pub use error_page::{ErrorPage, PagePart, PageValue};
pub use filter::FilterRule;
pub use forward::ForwardRule;
pub use gate::Gate;
pub use group::{
    Algorithm, GroupIdx, GroupProtocol, MinimumHealthy, Target, TargetGroup, UnhealthyFlows,
};
pub use header_edits::{FieldEdits, FieldPair, ForwardedFor, HeaderEdits, TlsFields, Trace};
pub use health::{
    AgentCheck, ExecCheck, GrpcCheck, HttpCheck, HttpVersion, Matcher, Sni, TargetHealthCheck,
    TargetHealthCheckKind, TcpCheck, TlsCheck, TlsTrust, UdpCheck,
};
pub use jwt::{
    JwksLocation, JwksUrl, JwtAlgorithm, JwtClaim, JwtClaimFormat, JwtKeys, JwtValidation,
};
pub use latency::{Latency, LatencyClients, LatencyIdx};
pub use limit::{LimitKey, RequestLimit};
pub use listener::{Listener, ListenerIdx, ListenerProtocol, UdpSettings};
pub use location::{
    Audience, CidrCollection, CidrLocation, CollectionIdx, Continent, Country, Network, Place,
    Subdivision, Whereabouts,
};
pub use measured::MeasuredLatency;
pub use metric::{Comparison, InsufficientData, MetricCheck};
pub use passive::{PassiveHealth, TrafficFailure, TrafficFailures};
pub use process::{AccessLog, Admin, LogFormat, Logs, Profile, Runtime};
pub use proxy::{ProxyIn, ProxyInMode, ProxyOptions, ProxyOut, ProxyProtocol};
pub use record::{
    Alias, AliasTarget, FailoverRole, Policy, Record, RecordSet, RecordType, SetData,
};
pub use region::{Coordinates, Region, RegionIdx};
pub use request_hash::{HashBy, RequestHash};
pub use retries::Retries;
pub use rewrite::{Rewrite, RewritePiece, Rewrites};
pub use rule::{Condition, Pattern, QueryPattern, Regex, Rule};
pub(crate) use source::is_domain;
pub use source::{NamedTarget, Resolver, TargetName, TargetSources};
pub use sticky::{CookieName, CookieStickiness, GroupStickiness};
pub use tls::{
    Alpn, Certificate, CertificateFacts, ClientCertificates, ClientTrust, ClientVerification,
    FileStamp, KeyKind, ListenerTls, TlsPolicy,
};
pub use transfer::{KeyIdx, Peer, Permission, Serial, Transfer, TsigAlgorithm, TsigKey};
pub use unix::{Misfit, UnixBinds, UnixOwner};

/// Everything one configuration says.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose defaults and ranges apply.
    pub profile: Profile,
    /// Where the process keeps what must outlive it.
    pub state_dir: std::path::PathBuf,
    /// The admin surface.
    pub admin: Admin,
    /// Threads and shutdown.
    pub runtime: Runtime,
    /// Where logs go.
    pub logs: Logs,
    /// In the order of the file; [`ListenerIdx`] points here.
    pub listeners: Vec<Listener>,
    /// In the order of the file; [`GroupIdx`] points here.
    pub target_groups: Vec<TargetGroup>,
    /// Standalone checks, in the order of the file; [`CheckIdx`] points here.
    pub health_checks: Vec<HealthCheck>,
    /// Switches, in the order of the file; [`ControlIdx`] points here.
    pub routing_controls: Vec<RoutingControl>,
    /// What guards the switches, in the order of the file.
    pub safety_rules: Vec<SafetyRule>,
    /// AWS's regions, then those of `[[region]]`; [`RegionIdx`] points here.
    pub regions: Vec<Region>,
    /// Networks whose whereabouts are said, in the order of the file.
    pub networks: Vec<Network>,
    /// Round-trip times that are known, in the order of the file; [`LatencyIdx`] points here.
    pub latencies: Vec<Latency>,
    /// `[[tsig-key]]`.
    pub tsig_keys: Vec<TsigKey>,
    /// In the order of the file; [`CollectionIdx`] points here.
    pub cidr_collections: Vec<CidrCollection>,
    /// The DNS server; `None` when nothing asks for one.
    pub dns: Option<Dns>,
}

impl Config {
    /// The group an index points at.
    ///
    /// # Panics
    /// On an index made for another `Config`.
    pub fn group(&self, index: GroupIdx) -> &TargetGroup {
        &self.target_groups[index.0]
    }

    /// The listener an index points at.
    ///
    /// # Panics
    /// On an index made for another `Config`.
    pub fn listener(&self, index: ListenerIdx) -> &Listener {
        &self.listeners[index.0]
    }

    /// The standalone check an index points at.
    ///
    /// # Panics
    /// On an index made for another `Config`.
    pub fn health_check(&self, index: CheckIdx) -> &HealthCheck {
        &self.health_checks[index.0]
    }

    /// The region an index points at.
    ///
    /// # Panics
    /// On an index made for another `Config`.
    pub fn region(&self, index: RegionIdx) -> &Region {
        &self.regions[index.0]
    }

    /// The routing control an index points at.
    ///
    /// # Panics
    /// On an index made for another `Config`.
    pub fn routing_control(&self, index: ControlIdx) -> &RoutingControl {
        &self.routing_controls[index.0]
    }

    /// The CIDR collection an index points at.
    ///
    /// # Panics
    /// On an index made for another `Config`.
    pub fn cidr_collection(&self, index: CollectionIdx) -> &CidrCollection {
        &self.cidr_collections[index.0]
    }
}
