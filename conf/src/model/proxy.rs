//! PROXY protocol: headers that say whose connection it is (haproxy.org, proxy-protocol.txt).

use std::time::Duration;

use ipnet::IpNet;

/// The PROXY protocol header that a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProxyProtocol {
    /// None.
    #[default]
    Off,
    /// Version 1, a line of text.
    V1,
    /// Version 2, binary.
    V2,
}

impl ProxyProtocol {
    /// Every one with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("off", Self::Off), ("v1", Self::V1), ("v2", Self::V2)];
}

/// What a listener does about PROXY headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProxyInMode {
    /// Connections are their senders' own.
    #[default]
    Off,
    /// Connections may begin with a header.
    Optional,
    /// Connections without a header are refused.
    Required,
}

impl ProxyInMode {
    /// Every one with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("off", Self::Off),
        ("optional", Self::Optional),
        ("required", Self::Required),
    ];
}

/// Whose PROXY headers a listener believes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyIn {
    /// Whether there may or must be one.
    pub mode: ProxyInMode,
    /// Who may send one; empty = everybody.
    pub trusted: Vec<IpNet>,
    /// A header must be complete so long after the connection was accepted.
    pub timeout: Duration,
}

/// What connections to a group's targets begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ProxyOut {
    /// The header's version (ELB `proxy_protocol_v2.enabled`).
    pub version: ProxyProtocol,
    /// What a version 2 header tells beside addresses.
    pub options: ProxyOptions,
}

impl ProxyOut {
    /// True when connections begin with a header, so that each belongs to one client.
    pub fn is_on(self) -> bool {
        self.version != ProxyProtocol::Off
    }
}

/// What a version 2 header tells beside addresses and what came with the client's own header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ProxyOptions {
    /// The server name that the client asked for by TLS which ended here.
    pub authority: bool,
    /// An ID of the connection.
    pub unique_id: bool,
    /// A checksum over the header.
    pub crc32c: bool,
    /// That the client came by TLS which ended here: version, protocol by ALPN, and whether it showed
    /// a certificate.
    pub ssl: bool,
    /// The common name of the client's certificate; includes `ssl`.
    pub cert_cn: bool,
    /// The cipher suite; includes `ssl`.
    pub ssl_cipher: bool,
}
