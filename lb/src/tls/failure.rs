//! Why a handshake failed: a word for metrics, the reason in full for the log.
//!
//! Clients scan, speak clear text to the wrong port, are too old, or refuse our certificate: each
//! is another person's to mend, so each has its own word. The peer's bytes are never shown.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::ClientIdentity;
use super::clients::TooLarge;
use crate::access_log::TlsRecord;

/// The word in metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum HandshakeReason {
    /// The client closed the connection before the handshake was done.
    Closed,
    /// The handshake took longer than the listener allows.
    Timeout,
    /// The first bytes are no TLS: clear text, as a rule.
    NotTls,
    /// A message that no TLS client sends.
    Malformed,
    /// The client knows no protocol version of the policy.
    Version,
    /// The client knows no suite, curve or signature of the policy and the certificates.
    NoSharedSuite,
    /// The client offers application protocols, but none of the listener's.
    NoSharedProtocol,
    /// The client refused the certificate.
    CertificateRefused,
    /// The client ended the handshake for another reason.
    Refused,
    /// The client showed no certificate and must.
    ClientCertificateMissing,
    /// No authority of the trust store signed the client's certificate.
    ClientCertificateUntrusted,
    /// The client's certificate has expired.
    ClientCertificateExpired,
    /// The client's certificate is not valid yet.
    ClientCertificateNotYetValid,
    /// The client's certificate, or one it leads by, is on a list of revoked ones.
    ClientCertificateRevoked,
    /// The client's certificate is not for clients.
    ClientCertificatePurpose,
    /// The client's certificates are longer than is passed on.
    ClientCertificateTooLarge,
    /// The client's certificate is not well formed, or its signature is wrong.
    ClientCertificateInvalid,
    /// The connection broke.
    Broken,
}

impl HandshakeReason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 18] = [
        Self::Closed,
        Self::Timeout,
        Self::NotTls,
        Self::Malformed,
        Self::Version,
        Self::NoSharedSuite,
        Self::NoSharedProtocol,
        Self::CertificateRefused,
        Self::Refused,
        Self::ClientCertificateMissing,
        Self::ClientCertificateUntrusted,
        Self::ClientCertificateExpired,
        Self::ClientCertificateNotYetValid,
        Self::ClientCertificateRevoked,
        Self::ClientCertificatePurpose,
        Self::ClientCertificateTooLarge,
        Self::ClientCertificateInvalid,
        Self::Broken,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::NotTls => "not-tls",
            Self::Malformed => "malformed",
            Self::Version => "protocol-version",
            Self::NoSharedSuite => "no-shared-suite",
            Self::NoSharedProtocol => "no-shared-alpn",
            Self::CertificateRefused => "certificate-refused",
            Self::Refused => "client-alert",
            Self::ClientCertificateMissing => "client-certificate-missing",
            Self::ClientCertificateUntrusted => "client-certificate-untrusted",
            Self::ClientCertificateExpired => "client-certificate-expired",
            Self::ClientCertificateNotYetValid => "client-certificate-not-yet-valid",
            Self::ClientCertificateRevoked => "client-certificate-revoked",
            Self::ClientCertificatePurpose => "client-certificate-purpose",
            Self::ClientCertificateTooLarge => "client-certificate-too-large",
            Self::ClientCertificateInvalid => "client-certificate-invalid",
            Self::Broken => "broken",
        }
    }
}

impl HandshakeReason {
    /// The code that ALB's connection log has for it.
    pub(crate) fn as_alb(self) -> &'static str {
        match self {
            Self::ClientCertificateUntrusted => "ClientCertUntrusted",
            Self::ClientCertificateExpired => "ClientCertExpired",
            Self::ClientCertificateNotYetValid => "ClientCertNotYetValid",
            Self::ClientCertificateRevoked => "ClientCertCrlHit",
            Self::ClientCertificatePurpose => "ClientCertPurposeInvalid",
            Self::ClientCertificateTooLarge => "ClientCertMaxSizeExceeded",
            Self::ClientCertificateInvalid => "ClientCertInvalid",
            _ => "UnmappedConnectionError",
        }
    }
}

/// A handshake that failed.
#[derive(Debug)]
pub(crate) struct HandshakeFailure {
    /// The word.
    pub(crate) reason: HandshakeReason,
    /// Whose certificate was not believed.
    pub(super) refused: Option<Box<ClientIdentity>>,
    /// The sentence.
    what: What,
}

#[derive(Debug)]
enum What {
    Tls(Error),
    Io(io::Error),
    TooSlow,
}

impl HandshakeFailure {
    /// The alert that the client sent; empty when it sent none.
    fn alert(&self) -> &'static str {
        match &self.what {
            What::Tls(Error::AlertReceived(alert)) => alert.as_str().unwrap_or_default(),
            _ => "",
        }
    }

    /// For `reason`, in the words of `error`.
    pub(super) fn new(reason: HandshakeReason, error: io::Error) -> Self {
        Self {
            reason,
            refused: None,
            what: What::Io(error),
        }
    }

    /// Of a client that showed a certificate.
    pub(super) fn of(mut self, refused: Option<Box<ClientIdentity>>) -> Self {
        self.refused = refused;
        self
    }

    /// As logs have it, with its sentence.
    pub(crate) fn record<'a>(&'a self, sentence: &'a str) -> TlsRecord<'a> {
        TlsRecord {
            alert: self.alert(),
            client: self.refused.as_ref().map(|identity| identity.record()),
            failure: Some((self.reason, sentence)),
            ..TlsRecord::default()
        }
    }

    /// It took too long.
    pub(super) fn too_slow() -> Self {
        Self {
            reason: HandshakeReason::Timeout,
            refused: None,
            what: What::TooSlow,
        }
    }
}

impl From<io::Error> for HandshakeFailure {
    /// Errors of rustls come wrapped, as [`TlsStream`](super::TlsStream) reports them.
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(error) = inner.cloned() {
            return Self {
                reason: of_tls(&error),
                refused: None,
                what: What::Tls(error),
            };
        }
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => HandshakeReason::Closed,
            _ => HandshakeReason::Broken,
        };
        Self {
            reason,
            refused: None,
            what: What::Io(error),
        }
    }
}

fn of_tls(error: &Error) -> HandshakeReason {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => HandshakeReason::NotTls,
        Error::PeerIncompatible(fault) => incompatible(fault),
        Error::NoApplicationProtocol => HandshakeReason::NoSharedProtocol,
        Error::NoCertificatesPresented => HandshakeReason::ClientCertificateMissing,
        Error::InvalidCertificate(fault) => of_certificate(fault),
        Error::InvalidCertRevocationList(_) => HandshakeReason::ClientCertificateInvalid,
        Error::AlertReceived(alert) => refused(*alert),
        Error::InvalidMessage(_)
        | Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => HandshakeReason::Malformed,
        _ => HandshakeReason::Broken,
    }
}

fn of_certificate(fault: &CertificateError) -> HandshakeReason {
    use CertificateError as Fault;
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => HandshakeReason::ClientCertificateExpired,
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            HandshakeReason::ClientCertificateNotYetValid
        }
        Fault::Revoked => HandshakeReason::ClientCertificateRevoked,
        Fault::UnknownIssuer => HandshakeReason::ClientCertificateUntrusted,
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            HandshakeReason::ClientCertificatePurpose
        }
        Fault::Other(other) if other.0.is::<TooLarge>() => {
            HandshakeReason::ClientCertificateTooLarge
        }
        _ => HandshakeReason::ClientCertificateInvalid,
    }
}

fn incompatible(fault: &PeerIncompatible) -> HandshakeReason {
    match fault {
        // TLS 1.1 and older have no such extension (RFC 5246 section 7.4.1.4.1).
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => HandshakeReason::Version,
        _ => HandshakeReason::NoSharedSuite,
    }
}

fn refused(alert: AlertDescription) -> HandshakeReason {
    match alert {
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => HandshakeReason::CertificateRefused,
        AlertDescription::ProtocolVersion => HandshakeReason::Version,
        _ => HandshakeReason::Refused,
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.what, self.reason) {
            (What::TooSlow, _) => f.write_str("the handshake took too long"),
            (What::Tls(_), HandshakeReason::NotTls) => {
                f.write_str("the client does not speak TLS: clear text on a TLS port, as a rule")
            }
            (What::Tls(Error::AlertReceived(alert)), _) => {
                write!(f, "the client ended the handshake: alert {alert:?}")
            }
            (What::Tls(error), _) => write!(f, "{error}"),
            (What::Io(error), HandshakeReason::Closed)
                if error.kind() == io::ErrorKind::UnexpectedEof =>
            {
                f.write_str("the client closed the connection during the handshake")
            }
            (What::Io(error), _) => write!(f, "{error}"),
        }
    }
}
