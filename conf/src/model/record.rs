//! Records as the config file gives them: names and values are still text, each with its place,
//! because their syntax belongs to the `dns` crate.

use std::fmt;

use super::{Audience, Beyond, CheckIdx, CollectionIdx, GroupIdx, ListenerIdx};
use crate::{Span, Spanned};

/// A DNS record type by number (RFC 1035, 3597).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

macro_rules! record_types {
    ($($name:ident = $number:literal),* $(,)?) => {
        impl RecordType {
            $(#[doc = concat!("Type ", stringify!($name), ".")]
            pub const $name: Self = Self($number);)*

            /// The type of a mnemonic (any case) or of `TYPE123` (RFC 3597).
            pub fn parse(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case(stringify!($name)) {
                    return Some(Self($number));
                })*
                let prefix = text.get(..4)?;
                let digits = text.get(4..)?;
                if !prefix.eq_ignore_ascii_case("TYPE") || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                digits.parse().ok().map(Self)
            }

            /// The mnemonic, when the type has one here.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

record_types! {
    A = 1, NS = 2, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, NULL = 10, PTR = 12, HINFO = 13,
    MINFO = 14, MX = 15, TXT = 16, RP = 17, AFSDB = 18, X25 = 19, ISDN = 20, RT = 21, PX = 26,
    AAAA = 28, LOC = 29, SRV = 33, NAPTR = 35, KX = 36, CERT = 37, DNAME = 39, OPT = 41, APL = 42,
    DS = 43, SSHFP = 44, IPSECKEY = 45, RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50,
    NSEC3PARAM = 51, TLSA = 52, SMIMEA = 53, CDS = 59, CDNSKEY = 60, OPENPGPKEY = 61, CSYNC = 62,
    ZONEMD = 63, SVCB = 64, HTTPS = 65, SPF = 99, NID = 104, L32 = 105, L64 = 106, LP = 107,
    EUI48 = 108, EUI64 = 109, TSIG = 250, IXFR = 251, AXFR = 252, ANY = 255, URI = 256, CAA = 257,
    AVC = 258, DLV = 32769,
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(name) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// How one of a record's sets is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// One set, all values, no health.
    Simple,
    /// By weight among healthy sets.
    Weighted,
    /// The primary set while it is healthy, else the secondary.
    Failover,
    /// Up to eight healthy sets at random.
    Multivalue,
    /// By the client's state, country or continent.
    Geolocation,
    /// By the client's network.
    IpBased,
    /// By the least latency between the client and a region.
    Latency,
    /// By the client's distance, stretched by a bias.
    Geoproximity,
}

impl Policy {
    /// Every policy, in the order messages list them.
    pub const ALL: [Self; 8] = [
        Self::Simple,
        Self::Weighted,
        Self::Failover,
        Self::Multivalue,
        Self::Geolocation,
        Self::IpBased,
        Self::Latency,
        Self::Geoproximity,
    ];

    /// The name in config, API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Weighted => "weighted",
            Self::Failover => "failover",
            Self::Multivalue => "multivalue",
            Self::Geolocation => "geolocation",
            Self::IpBased => "ip-based",
            Self::Latency => "latency",
            Self::Geoproximity => "geoproximity",
        }
    }
}

/// A set's part in a failover record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailoverRole {
    /// Answers while it is healthy, and when nothing is.
    Primary,
    /// Answers when the primary is unhealthy.
    Secondary,
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasTarget {
    /// A listener's advertised addresses.
    Listener(ListenerIdx),
    /// A target group's healthy, not draining targets' addresses.
    TargetGroup(GroupIdx),
    /// Another record of the same zone (name as written) and of the alias's own type.
    Record(Spanned<String>),
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// What it stands for.
    pub target: AliasTarget,
    /// Route 53's `EvaluateTargetHealth`.
    pub evaluate_target_health: bool,
    /// Where the alias stands.
    pub span: Span,
}

/// What a set answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetData {
    /// RDATA in presentation format, at least one.
    Values(Vec<Spanned<String>>),
    /// Another thing's answer under this name.
    Alias(Alias),
}

/// One set of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// Set id; empty for a simple record's only set.
    pub id: String,
    /// Where the set stands.
    pub span: Span,
    /// Values or alias.
    pub data: SetData,
    /// Weight 0-255 (weighted only, else 0).
    pub weight: u8,
    /// Part in a failover record (failover only).
    pub failover: Option<FailoverRole>,
    /// The clients it is for.
    pub audience: Audience,
    /// The standalone check that decides its health.
    pub health_check: Option<CheckIdx>,
    /// Percentage of its own clients that it takes (policies by where clients are, else 100).
    pub dial: u8,
    /// Answers only when no other set is healthy, and takes no part in the policy.
    pub fallback: bool,
}

/// One `[[zone.record]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Owner as written: `@`, relative, or absolute with a final dot.
    pub name: Spanned<String>,
    /// At least one; more than one only where every set is an alias.
    pub types: Vec<Spanned<RecordType>>,
    /// How a set is chosen.
    pub policy: Policy,
    /// Whose locations its sets name (ip-based only).
    pub cidr_collection: Option<CollectionIdx>,
    /// Sets answered at most (multivalue only, else 8).
    pub max_answers: u8,
    /// Whose healthy targets' addresses its values name as hints (HTTPS and SVCB only).
    pub hints: Option<GroupIdx>,
    /// What it does that Route 53 does not.
    pub beyond: Beyond,
    /// TTL in seconds, 0..=2147483647 (RFC 2181 section 8). An alias to a record ignores it.
    pub ttl: u32,
    /// At least one; set ids are unique within the record.
    pub sets: Vec<RecordSet>,
    /// Where the record stands.
    pub span: Span,
}
