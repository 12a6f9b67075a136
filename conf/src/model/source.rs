//! Where a group's targets come from besides its own addresses: names, and a file that is watched.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::DnsName;

use super::Target;
use crate::Span;
use crate::scalar::{AddressFault, parse_address};

/// A name whose answers are targets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetName {
    /// Every address of the name (A and AAAA) is a target on this port.
    Host {
        /// As written, without a dot at the end unless it is to be looked up as it is.
        name: Arc<str>,
        /// Not 0.
        port: u16,
    },
    /// Every address of every host that the name's SRV records list is one (RFC 2782).
    Service {
        /// `_service._proto.name`.
        name: Arc<str>,
    },
}

impl TargetName {
    /// Reads `host:port`; `None` when that is no name.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        matches!(parse_address(text), Err(AddressFault::HostName))
            .then_some(name)
            .filter(|name| is_domain(name))
            .map(|name| Self::Host {
                name: name.into(),
                port,
            })
    }

    /// Reads the name of SRV records; `None` when it is none.
    pub fn parse_service(text: &str) -> Option<Self> {
        let mut labels = text.split('.');
        let mut underscored = || {
            labels
                .next()
                .is_some_and(|l| l.len() > 1 && l.starts_with('_'))
        };
        (underscored() && underscored() && is_domain(text))
            .then(|| Self::Service { name: text.into() })
    }

    /// The name that is looked up.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Host { name, .. } | Self::Service { name } => name,
        }
    }
}

impl std::fmt::Display for TargetName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            Self::Service { name } => f.write_str(name),
        }
    }
}

/// True for a name that can be looked up.
pub(crate) fn is_domain(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.parse::<std::net::IpAddr>().is_err()
        && text.parse::<SocketAddr>().is_err()
        && DnsName::try_from(text).is_ok()
}

/// A name among a group's targets, and what they are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTarget {
    /// The name.
    pub name: TargetName,
    /// Where it stands in the file.
    pub span: Span,
    /// Share of new work of each address, 0-1000; of a service the records say.
    pub weight: u16,
    /// Availability zone, or empty.
    pub availability_zone: String,
    /// Used only when no target that is not a backup can be.
    pub backup: bool,
    /// Exchanges and flows each address may have at a time; 0 = as many as the group says.
    pub max_in_flight: u32,
}

impl NamedTarget {
    /// The target at one of its addresses.
    pub fn at(&self, address: SocketAddr) -> Target {
        Target {
            span: self.span,
            weight: self.weight,
            availability_zone: self.availability_zone.clone(),
            backup: self.backup,
            max_in_flight: self.max_in_flight,
            ..Target::at(address)
        }
    }
}

/// Who is asked for names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Resolver {
    /// /etc/hosts, then the servers of /etc/resolv.conf.
    #[default]
    System,
    /// These servers only.
    Servers(Arc<[SocketAddr]>),
}

/// Where a group's targets come from besides its own addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetSources {
    /// In the order of the file; no name twice.
    pub names: Vec<NamedTarget>,
    /// A file that lists targets and is watched.
    pub file: Option<PathBuf>,
    /// Who is asked for names.
    pub resolver: Resolver,
}

impl TargetSources {
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.file.is_none()
    }
}
