//! Who may copy or change zones, and who is told of changes.

use std::net::SocketAddr;

use ipnet::IpNet;

/// Index of a key in [`Config::tsig_keys`](super::Config::tsig_keys).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIdx(pub usize);

/// How TSIG authenticates (RFC 8945 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TsigAlgorithm {
    /// `hmac-sha1`, for old peers.
    HmacSha1,
    /// `hmac-sha224`.
    HmacSha224,
    /// `hmac-sha256`.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl TsigAlgorithm {
    /// Every algorithm, with its name in files and on the wire.
    pub const ALL: [(&str, Self); 5] = [
        ("hmac-sha256", Self::HmacSha256),
        ("hmac-sha512", Self::HmacSha512),
        ("hmac-sha384", Self::HmacSha384),
        ("hmac-sha224", Self::HmacSha224),
        ("hmac-sha1", Self::HmacSha1),
    ];

    /// The name, without a final dot.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, algorithm)| *algorithm == self);
        found.map_or("hmac-sha256", |(name, _)| name)
    }
}

/// A `[[tsig-key]]`. Its secret is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct TsigKey {
    /// A domain name; both sides know the key by it.
    pub name: String,
    /// Algorithm.
    pub algorithm: TsigAlgorithm,
    /// The secret's bytes.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TsigKey")
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// One entry of a list of who may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// From these networks; empty: from anywhere.
    pub networks: Vec<IpNet>,
    /// Signed with this key, if one is asked for.
    pub key: Option<KeyIdx>,
}

/// Another name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What messages to and from it are signed with.
    pub key: Option<KeyIdx>,
}

/// Where a zone's serial comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Serial {
    /// The time of the last change of the zone's own content; health never changes it.
    #[default]
    Auto,
    /// The SOA record's.
    File,
    /// This number.
    Number(u32),
}

impl Transfer {
    /// True for a zone that is copied from elsewhere.
    pub fn is_secondary(&self) -> bool {
        !self.primaries.is_empty()
    }
}

/// How a zone is copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transfer {
    /// Who may copy it; empty: nobody.
    pub allow: Vec<Permission>,
    /// Who is told when it changes.
    pub notify: Vec<Peer>,
    /// Whom it is copied from, in the order they are asked; empty: it is kept here.
    pub primaries: Vec<Peer>,
    /// Who may say that it changed, its primaries apart.
    pub allow_notify: Vec<Permission>,
    /// Who may change it by updates (RFC 2136); empty: nobody.
    pub allow_update: Vec<Permission>,
    /// Its serial.
    pub serial: Serial,
}
