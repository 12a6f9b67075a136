//! The DNS server and its zones, as far as the config file itself goes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{DnsService, ForwardRule, Record, Transfer, Whereabouts};
use crate::{Span, Spanned};

/// The DNS server.
#[derive(Debug, Clone)]
pub struct Dns {
    /// UDP and TCP addresses; at least one. An empty span when the file gives none.
    pub binds: Vec<Spanned<SocketAddr>>,
    /// Where `[dns]` stands, if it does.
    pub span: Option<Span>,
    /// TTL in seconds of records that give none, aliases to listeners and groups included.
    pub ttl: u32,
    /// Idle time after which a TCP connection is closed (RFC 7766 section 6.2.3).
    pub tcp_idle_timeout: Duration,
    /// Open TCP connections at most.
    pub tcp_max_connections: usize,
    /// Where clients are that neither a network nor the country table locates: loopback and
    /// private addresses, most of all.
    pub home: Option<Whereabouts>,
    /// What says where clients are that no network names.
    pub geo_database: GeoDatabase,
    /// An MMDB file that says which autonomous system an address is of.
    pub asn_database: Option<Spanned<PathBuf>>,
    /// Senders whose EDNS Client Subnet options count (RFC 7871).
    pub ecs: Vec<IpNet>,
    /// What it says of itself, cookies, limits.
    pub service: DnsService,
    /// Names that other servers are asked about, in the order of the files.
    pub forward_rules: Vec<ForwardRule>,
    /// In the order of the files: `[[zone]]` entries, then files of `zone-files` in path order.
    pub zones: Vec<Zone>,
}

/// Who answers when a private zone does not have the record that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallthrough {
    /// Nobody: it does not exist (what Route 53 does).
    #[default]
    None,
    /// The private zone around it.
    Parent,
    /// The public zones.
    Public,
}

/// What says where clients are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeoDatabase {
    /// The table of countries that is built in.
    BuiltIn,
    /// Nothing: only networks and `home` do.
    Off,
    /// An MMDB file (path resolved against the config file's folder).
    File(Spanned<PathBuf>),
}

/// One zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Unique among zones: as given, else the name.
    pub id: String,
    /// The origin, as written, with or without the final dot. For a file of `zone-files` the
    /// file's stem, which an `$ORIGIN` or the SOA record's owner in the file overrides.
    pub name: Spanned<String>,
    /// True when `name` was taken from a file's name.
    pub name_from_file: bool,
    /// BIND-format file (path resolved against the config file's folder), and where it is named.
    pub file: Option<Spanned<PathBuf>>,
    /// Who gets it, by the address a query comes from; empty: everybody.
    pub networks: Vec<IpNet>,
    /// Who is asked for what a private zone does not have.
    pub fallthrough: Fallthrough,
    /// How it is copied.
    pub transfer: Transfer,
    /// `[[zone.record]]` entries.
    pub records: Vec<Record>,
    /// Where the zone stands.
    pub span: Span,
}
