//! TLS of listeners: certificates, the protocols and suites of a policy, ALPN.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::Span;

/// How a listener agrees on TLS with its clients.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// The first is the default: for clients that name no server, or one that no certificate is
    /// for. At least one, unless the local CA signs.
    pub certificates: Vec<Arc<Certificate>>,
    /// The local CA signs a certificate for these names.
    pub local_ca: Option<Vec<String>>,
    /// Which protocols and suites it takes.
    pub policy: &'static TlsPolicy,
    /// Which application protocols it offers.
    pub alpn: Alpn,
    /// A handshake must be done so long after the connection was accepted.
    pub handshake_timeout: Duration,
    /// Whether clients show certificates too.
    pub clients: ClientCertificates,
}

/// What is done with certificates of clients (ELB's mutual authentication).
#[derive(Debug, Clone, Default)]
pub enum ClientCertificates {
    /// They are not asked for.
    #[default]
    Off,
    /// They are asked for, and what is shown is passed on without being verified.
    Passthrough,
    /// Who shows none that can be verified is refused.
    Verify(ClientVerification),
}

/// How certificates of clients are verified.
#[derive(Debug, Clone)]
pub struct ClientVerification {
    /// Who signs them.
    pub trust: Arc<ClientTrust>,
    /// Clients are told the authorities' names, by which they choose what to show.
    pub advertise_ca_names: bool,
    /// One that has expired is taken all the same.
    pub ignore_expiry: bool,
}

/// Authorities that sign certificates of clients, and what they revoked, read from files.
#[derive(Debug)]
pub struct ClientTrust {
    /// The file of the authorities.
    pub store: PathBuf,
    /// Files of lists of revoked certificates.
    pub lists: Vec<PathBuf>,
    /// Where `store` is named.
    pub span: Span,
    /// The authorities.
    pub authorities: Arc<RootCertStore>,
    /// Their certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    /// What they revoked; each is well formed.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
    /// The files' stamps, the store's first, taken before they were read.
    pub stamps: Vec<FileStamp>,
}

/// A certificate with its key, read from two PEM files that belong together.
#[derive(Debug)]
pub struct Certificate {
    /// The file of the chain.
    pub cert: PathBuf,
    /// The file of the key.
    pub key: PathBuf,
    /// Where `cert` is named.
    pub span: Span,
    /// Its own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub private_key: PrivateKeyDer<'static>,
    /// What is written in it.
    pub facts: CertificateFacts,
    /// The two files' stamps, taken before they were read.
    pub stamps: [FileStamp; 2],
}

/// What tells that a file has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileStamp(Option<(u64, u64, i64, i64)>);

impl FileStamp {
    /// The stamp of what is there now; links are followed.
    pub fn of(path: &Path) -> Self {
        let found = std::fs::metadata(path).ok();
        Self(found.map(|found| (found.ino(), found.len(), found.mtime(), found.mtime_nsec())))
    }
}

/// What is written in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Names it is for, in lower case; `*.` leads a wildcard.
    pub names: Vec<String>,
    /// First second of its validity, in seconds since 1970.
    pub not_before: i64,
    /// Last second of its validity, in seconds since 1970.
    pub not_after: i64,
    /// What its key is.
    pub key: KeyKind,
    /// Length of the key, in bits.
    pub key_bits: usize,
}

/// Kinds of keys, in the order in which a certificate is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// ECDSA on a NIST curve.
    Ecdsa,
    /// Ed25519.
    Ed25519,
    /// RSA.
    Rsa,
}

impl KeyKind {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        }
    }
}

/// The protocols, suites and key exchange that one of AWS's security policies names.
#[derive(Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// AWS's name.
    pub name: &'static str,
    /// Suites that are served, by their number (IANA), strongest wish of the server first.
    /// Those of TLS 1.3 are 0x13xx.
    pub suites: &'static [u16],
    /// Key exchange, by its number (IANA).
    pub groups: &'static [u16],
    /// Suites of the policy that are not served, for they encrypt by CBC or exchange keys by RSA.
    pub left_out: &'static [&'static str],
}

impl TlsPolicy {
    /// True for a suite of TLS 1.3.
    pub fn is_of_tls13(suite: u16) -> bool {
        suite >> 8 == 0x13
    }

    /// True when it takes TLS 1.2.
    pub fn takes_tls12(&self) -> bool {
        self.suites.iter().any(|suite| !Self::is_of_tls13(*suite))
    }

    /// True when it takes TLS 1.3.
    pub fn takes_tls13(&self) -> bool {
        self.suites.iter().any(|suite| Self::is_of_tls13(*suite))
    }
}

/// Which application protocols are offered (NLB's ALPN policies).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// None: the extension is not answered.
    None,
    /// HTTP/1.1 and 1.0.
    Http1Only,
    /// HTTP/2.
    Http2Only,
    /// HTTP/1.1, then HTTP/2.
    Http2Optional,
    /// HTTP/2, then HTTP/1.1.
    Http2Preferred,
}

impl Alpn {
    /// The name in config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Http1Only => "http1-only",
            Self::Http2Only => "http2-only",
            Self::Http2Optional => "http2-optional",
            Self::Http2Preferred => "http2-preferred",
        }
    }

    /// True when HTTP/2 may be agreed on.
    pub fn offers_http2(self) -> bool {
        self.protocols().iter().any(|protocol| *protocol == b"h2")
    }

    /// The protocols as they stand in the handshake (RFC 7301), the server's favourite first.
    pub fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::None => &[],
            Self::Http1Only => &[b"http/1.1", b"http/1.0"],
            Self::Http2Only => &[b"h2"],
            Self::Http2Optional => &[b"http/1.1", b"http/1.0", b"h2"],
            Self::Http2Preferred => &[b"h2", b"http/1.1", b"http/1.0"],
        }
    }
}
