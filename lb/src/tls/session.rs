//! What was agreed on in a handshake, for logs, headers and the choice of protocol.

use std::sync::Arc;
use std::time::Duration;

use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};

use super::ClientIdentity;
use super::client_hello::ClientHello;
use crate::access_log::TlsRecord;

/// Names of the versions, as ELB's access logs of requests have them.
const TLS13: &str = "TLSv1.3";
const TLS12: &str = "TLSv1.2";

/// One connection's TLS, once agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// `TLSv1.3`, `TLSv1.2`.
    pub(crate) version: &'static str,
    /// The suite's name, as OpenSSL and ELB have it.
    pub(crate) cipher: &'static str,
    /// The named group of the key exchange.
    pub(crate) named_group: &'static str,
    /// How long it took; `None` where TLS passes through.
    pub(crate) handshake: Option<Duration>,
    /// The server name the client asked for (RFC 6066).
    pub(crate) server_name: Option<Box<str>>,
    /// The application protocol agreed on (RFC 7301).
    pub(crate) alpn: Option<Box<[u8]>>,
    /// What the client offered of these, by commas; known where TLS passes through.
    pub(crate) offered: Box<[u8]>,
    /// The certificate that the listener has for it, by the name of its file.
    pub(crate) certificate: Option<Arc<str>>,
    /// An earlier session went on: no certificate was shown.
    pub(crate) resumed: bool,
    /// Who the client is by its certificate, where it is asked for one.
    pub(crate) identity: Option<Box<ClientIdentity>>,
}

impl Session {
    /// Of TLS that passes through: what the client asks for.
    pub(super) fn passing(hello: ClientHello) -> Self {
        Self {
            version: "",
            cipher: "",
            named_group: "",
            handshake: None,
            server_name: hello.server_name.map(Into::into),
            alpn: None,
            offered: hello.alpn.join(&b',').into(),
            certificate: None,
            resumed: false,
            identity: None,
        }
    }

    /// The application protocols that rules go by: agreed on, else offered; by commas.
    pub(crate) fn protocols(&self) -> &[u8] {
        self.alpn.as_deref().unwrap_or(&self.offered)
    }

    /// Header fields that tell targets who the client is; empty when it is not known.
    pub(crate) fn identity_fields(&self) -> &[u8] {
        self.identity
            .as_ref()
            .map_or(b"", |identity| identity.fields())
    }

    /// As logs have it.
    pub(crate) fn record(&self) -> TlsRecord<'_> {
        TlsRecord {
            handshake: self.handshake,
            cipher: self.cipher,
            version: match self.version {
                TLS13 => "tlsv13",
                TLS12 => "tlsv12",
                _ => "",
            },
            named_group: self.named_group,
            server_name: self.server_name.as_deref().unwrap_or_default().as_bytes(),
            alpn: self.alpn.as_deref().unwrap_or_default(),
            client_alpn: &self.offered,
            resumed: self.resumed,
            certificate: self.certificate.as_deref().unwrap_or_default(),
            client: self.identity.as_ref().map(|identity| identity.record()),
            ..TlsRecord::default()
        }
    }

    /// Of a server's connection whose handshake is done.
    pub(super) fn of(connection: &rustls::ServerConnection, handshake: Duration) -> Self {
        Self {
            version: version(connection.protocol_version()),
            cipher: connection
                .negotiated_cipher_suite()
                .map_or("", |suite| cipher(suite.suite())),
            named_group: connection
                .negotiated_key_exchange_group()
                .map_or("", |group| named_group(group.name())),
            handshake: Some(handshake),
            offered: Box::default(),
            server_name: connection.server_name().map(Into::into),
            alpn: connection.alpn_protocol().map(Into::into),
            certificate: None,
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            identity: None,
        }
    }
}

fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        other => other.as_str().unwrap_or_default(),
    }
}

fn named_group(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "x25519",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        other => other.as_str().unwrap_or_default(),
    }
}

/// The name that ELB's logs have.
fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => TLS13,
        _ => TLS12,
    }
}
