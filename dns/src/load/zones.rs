//! What loading gives: every zone as plain data, ready to be compiled into the serving tree.
//!
//! Built by [`load_zones`](crate::load_zones); read by the zone compiler, which owns every
//! serving structure. Holds no index, no health, no sockets; nothing here changes once built.

use conf::{
    Audience, Beyond, CheckIdx, CollectionIdx, FailoverRole, Fallthrough, GroupIdx, ListenerIdx,
    Policy, RecordType, Span,
};

use ipnet::IpNet;

use crate::location::Located;
use crate::name::Name;

/// One record with its data in uncompressed wire form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedRecord {
    /// Owner, case as written.
    pub owner: Name,
    /// Type.
    pub rtype: RecordType,
    /// TTL in seconds, 0..=2147483647; equal for all records of an RRset (RFC 2181 section 5.2).
    pub ttl: u32,
    /// RDATA, names uncompressed; `rdata::names` says where they stand.
    pub rdata: Box<[u8]>,
    /// Where the record was written (a generated record: where its zone was).
    pub span: Span,
}

/// Every zone of one configuration, in the order of [`conf::Dns::zones`]; no two with one origin
/// for the same clients.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    /// The zones. Zones that had errors may be missing or incomplete: serve none of them when an
    /// error was reported.
    pub zones: Vec<ZoneSource>,
    /// Who is where; `None` for the table that is built in.
    pub(crate) located: Option<Located>,
}

impl Zones {
    /// What serving the same zones takes after targets came or went: zones that answer with a
    /// target group's addresses whole, of the others what needs a decision. Far smaller, as a rule:
    /// large zones are files.
    pub fn for_other_targets(&self) -> Self {
        let mut kept = Self {
            zones: Vec::with_capacity(self.zones.len()),
            located: self.located.clone(),
        };
        for zone in &self.zones {
            let records = match zone.follows_targets() {
                true => zone.records.clone(),
                false => Vec::new(),
            };
            kept.zones.push(ZoneSource {
                id: zone.id.clone(),
                origin: zone.origin.clone(),
                records,
                routed: zone.routed.clone(),
                networks: zone.networks.clone(),
                ..*zone
            });
        }
        kept
    }
}

impl ZoneSource {
    /// Only a part, kept by [`Zones::for_other_targets`] and beside what is served: a whole one that
    /// is answered from has a SOA record. The rest of it is as it is served.
    pub(crate) fn is_part(&self) -> bool {
        self.records.is_empty() && self.state == ZoneState::Good
    }

    /// Copies of it hold targets' addresses.
    fn follows_targets(&self) -> bool {
        let mut sets = self.routed.iter().flat_map(|record| &record.sets);
        sets.any(|set| match &set.data {
            RoutedData::Values(_) => false,
            RoutedData::Alias(alias) => matches!(alias.target, RoutedTarget::TargetGroup(_)),
        })
    }
}

/// One zone.
#[derive(Debug, Clone)]
pub struct ZoneSource {
    /// [`conf::Zone::id`], unique.
    pub id: String,
    /// Apex.
    pub origin: Name,
    /// TTL of records that gave none: the file's last `$TTL`, else `dns.ttl`.
    pub default_ttl: u32,
    /// The SOA record's serial.
    pub serial: u32,
    /// Records that every client gets alike, from the file, from simple `[[zone.record]]` entries
    /// with values, and generated: at or below the origin, no two equal, exactly one SOA (at the
    /// apex), CNAMEs alone at their names. Data below a cut or a DNAME is included: never serve
    /// it, but glue is found in it. In no particular order.
    pub records: Vec<ParsedRecord>,
    /// Records that need a decision. No (owner, type) twice, none that is also in `records`.
    pub routed: Vec<RoutedRecord>,
    /// Who gets it; empty: everybody.
    pub networks: Vec<IpNet>,
    /// Who is asked for what a private zone does not have.
    pub fallthrough: Fallthrough,
    /// Whether it is answered from.
    pub state: ZoneState,
    /// Where the zone stands in the config.
    pub span: Span,
}

/// Whether a zone is answered from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZoneState {
    /// It is.
    #[default]
    Good,
    /// No primary has given it yet: SERVFAIL.
    Awaited,
    /// The copy is too old: SERVFAIL.
    Expired,
}

/// One (name, type) whose answer is decided per query or follows health.
#[derive(Debug, Clone)]
pub struct RoutedRecord {
    /// Owner, case as written.
    pub owner: Name,
    /// Type; an entry with several types gives one `RoutedRecord` for each.
    pub rtype: RecordType,
    /// How a set is chosen.
    pub policy: Policy,
    /// Whose locations its sets name (ip-based only).
    pub cidr_collection: Option<CollectionIdx>,
    /// Sets answered at most (multivalue only).
    pub max_answers: u8,
    /// Whose healthy targets' addresses its values name as hints.
    pub hints: Option<GroupIdx>,
    /// What it does that Route 53 does not.
    pub beyond: Beyond,
    /// TTL in seconds, 0..=2147483647.
    pub ttl: u32,
    /// At least one, in the order of the file.
    pub sets: Vec<RoutedSet>,
    /// Where the record stands.
    pub span: Span,
}

/// One set of a routed record.
#[derive(Debug, Clone)]
pub struct RoutedSet {
    /// Set id; empty for a simple record's only set.
    pub id: String,
    /// Weight 0-255 (weighted only, else 0).
    pub weight: u8,
    /// Part in a failover record (failover only).
    pub failover: Option<FailoverRole>,
    /// The clients it is for.
    pub audience: Audience,
    /// The standalone check that decides its health.
    pub health_check: Option<CheckIdx>,
    /// Percentage of its own clients that it takes.
    pub dial: u8,
    /// Answers only when no other set is healthy.
    pub fallback: bool,
    /// What it answers with.
    pub data: RoutedData,
    /// Where the set stands.
    pub span: Span,
}

/// What a routed set answers with.
#[derive(Debug, Clone)]
pub enum RoutedData {
    /// RDATA in uncompressed wire form, at least one, no two equal.
    Values(Vec<Box<[u8]>>),
    /// Another thing's answer.
    Alias(RoutedAlias),
}

/// An alias with its names resolved.
#[derive(Debug, Clone)]
pub struct RoutedAlias {
    /// What it stands for.
    pub target: RoutedTarget,
    /// Route 53's `EvaluateTargetHealth`.
    pub evaluate_target_health: bool,
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutedTarget {
    /// A listener's advertised addresses.
    Listener(ListenerIdx),
    /// A target group's addresses.
    TargetGroup(GroupIdx),
    /// The record of this name, in this zone and of the alias's own type: in `routed` or in
    /// `records`.
    Record(Name),
}
