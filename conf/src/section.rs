//! The tables of a config file and the keys each takes: the one list that readers, suggestions and
//! "this key belongs elsewhere" share.
//!
//! A reader that takes a key not listed here fails its debug assertion, so the list cannot rot.

use crate::known;

/// A kind of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Root,
    Admin,
    Runtime,
    Logs,
    Listener,
    Forward,
    ForwardGroup,
    TargetGroup,
    Target,
    MinimumHealthy,
    TargetHealthCheck,
    HealthCheck,
    Network,
    Place,
    CidrCollection,
    CidrLocation,
    Dns,
    Zone,
    Record,
    Set,
    Alias,
}

impl Section {
    /// Every section.
    pub(crate) const ALL: [Self; 21] = [
        Self::Root,
        Self::Admin,
        Self::Runtime,
        Self::Logs,
        Self::Listener,
        Self::Forward,
        Self::ForwardGroup,
        Self::TargetGroup,
        Self::Target,
        Self::MinimumHealthy,
        Self::TargetHealthCheck,
        Self::HealthCheck,
        Self::Network,
        Self::Place,
        Self::CidrCollection,
        Self::CidrLocation,
        Self::Dns,
        Self::Zone,
        Self::Record,
        Self::Set,
        Self::Alias,
    ];

    /// The section that takes `key`, now or in a later version, when this one does not: the
    /// nearest one, for people slip by one level more often than by two.
    pub(crate) fn home_of(self, key: &str) -> Option<Self> {
        let near: &[Self] = match self {
            Self::Set | Self::Alias => &[Self::Record, Self::Set],
            Self::Record => &[Self::Set, Self::Alias, Self::Zone],
            Self::Zone => &[Self::Record, Self::Dns],
            Self::Listener => &[Self::TargetGroup, Self::TargetHealthCheck],
            Self::TargetGroup => &[Self::TargetHealthCheck, Self::Target, Self::Listener],
            Self::Target | Self::TargetHealthCheck => &[Self::TargetGroup],
            _ => &[],
        };
        near.iter()
            .copied()
            .chain(Self::ALL)
            .filter(|section| *section != self)
            .find(|section| section.keys().contains(&key) || known::key(*section, key).is_some())
    }

    /// How the section is written.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Root => "the top level",
            Self::Admin => "[admin]",
            Self::Runtime => "[runtime]",
            Self::Logs => "[logs]",
            Self::Listener => "[[listener]]",
            Self::Forward => "`forward`",
            Self::ForwardGroup => "`forward.target-groups`",
            Self::TargetGroup => "[[target-group]]",
            Self::Target => "an entry of `targets`",
            Self::MinimumHealthy => "a threshold such as `unhealthy-state-routing`",
            Self::TargetHealthCheck => "[target-group.health-check]",
            Self::HealthCheck => "[[health-check]]",
            Self::Network => "[[network]]",
            Self::Place => "a place such as `location` or `home`",
            Self::CidrCollection => "[[cidr-collection]]",
            Self::CidrLocation => "an entry of `locations`",
            Self::Dns => "[dns]",
            Self::Zone => "[[zone]]",
            Self::Record => "[[zone.record]]",
            Self::Set => "an entry of `sets`",
            Self::Alias => "`alias`",
        }
    }

    /// The keys this version serves.
    pub(crate) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[
                "defaults",
                "include",
                "state-dir",
                "admin",
                "runtime",
                "logs",
                "listener",
                "target-group",
                "health-check",
                "network",
                "cidr-collection",
                "dns",
                "zone",
            ],
            Self::Admin => &["bind", "socket", "hosts"],
            Self::Runtime => &["workers", "grace", "shutdown-delay", "health-memory"],
            Self::Logs => &["access"],
            Self::Listener => &[
                "name",
                "bind",
                "protocol",
                "advertise",
                "forward",
                "max-connections",
                "idle-timeout",
                "header-timeout",
                "max-header-bytes",
            ],
            Self::Forward => &["target-groups"],
            Self::ForwardGroup => &["name", "weight"],
            Self::TargetGroup => &[
                "name",
                "protocol",
                "algorithm",
                "targets",
                "deregistration-delay",
                "hold",
                "connect-timeout",
                "response-timeout",
                "connection-termination",
                "unhealthy-state-routing",
                "dns-failover",
                "health-check",
            ],
            Self::Target => &["address", "weight", "availability-zone", "backup"],
            Self::MinimumHealthy => &["count", "percentage"],
            Self::TargetHealthCheck => &[
                "protocol",
                "port",
                "path",
                "host",
                "matcher",
                "method",
                "headers",
                "search-string",
                "ca",
                "insecure",
                "server-name",
                "send",
                "receive",
                "service",
                "tls",
                "command",
                "interval",
                "fast-interval",
                "timeout",
                "healthy-threshold",
                "unhealthy-threshold",
            ],
            Self::HealthCheck => &[
                "name",
                "type",
                "address",
                "path",
                "host",
                "search-string",
                "ca",
                "insecure",
                "server-name",
                "enable-sni",
                "interval",
                "failure-threshold",
                "measure-latency",
                "children",
                "health-threshold",
                "target-group",
                "disabled",
                "inverted",
            ],
            Self::Network => &["name", "cidrs", "continent", "country", "subdivision"],
            Self::Place => &["continent", "country", "subdivision"],
            Self::CidrCollection => &["name", "locations"],
            Self::CidrLocation => &["name", "cidrs"],
            Self::Dns => &[
                "bind",
                "zone-files",
                "ttl",
                "home",
                "ecs",
                "tcp-idle-timeout",
                "tcp-max-connections",
            ],
            Self::Zone => &["name", "id", "file", "record"],
            Self::Record => &[
                "name",
                "type",
                "policy",
                "cidr-collection",
                "ttl",
                "values",
                "alias",
                "health-check",
                "sets",
            ],
            Self::Set => &[
                "id",
                "weight",
                "failover",
                "location",
                "cidr-location",
                "values",
                "alias",
                "health-check",
            ],
            Self::Alias => &[
                "listener",
                "target-group",
                "record",
                "evaluate-target-health",
            ],
        }
    }
}
