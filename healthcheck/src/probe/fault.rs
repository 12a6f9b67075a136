//! Why TLS could not be agreed on, in a sentence that says what is wrong and how to mend it.
//!
//! Called where a probe's handshake fails. Names in a certificate are the peer's text: they are made
//! safe to show, and few are shown.

use std::error::Error as _;
use std::io;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::connection::words;
use super::shown;

/// Names of a certificate that are shown.
const MAX_NAMES: usize = 3;
const DAY: u64 = 24 * 60 * 60;

/// The sentence for `error`, which ended a handshake.
pub fn sentence(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let said = match inner {
        Some(Error::InvalidCertificate(fault)) => certificate(fault),
        Some(Error::AlertReceived(alert)) => refused(*alert),
        // The first byte is no TLS record's: clear text, as a rule.
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the target does not speak TLS on this port".to_owned()
        }
        Some(Error::PeerIncompatible(fault)) => {
            format!("the target's TLS is not what probes speak, TLS 1.2 or 1.3 ({fault:?})")
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the target closed the connection during the handshake".to_owned()
        }
        _ => words(error),
    };
    format!("TLS: {said}")
}

fn certificate(fault: &CertificateError) -> String {
    use CertificateError::*;
    match fault {
        UnknownIssuer => {
            "nobody who is trusted vouches for the certificate: set `ca` to the file of the \
             authority that signed it, or `insecure = true` to take any"
        }
        ExpiredContext { time, not_after } => {
            let days = days(*not_after, *time);
            return format!("the certificate expired {days} ago: renew it");
        }
        Expired => "the certificate has expired: renew it",
        NotValidYetContext { time, not_before } => {
            let days = days(*time, *not_before);
            return format!(
                "the certificate becomes valid in {days} only: make it anew, or set this machine's \
                 clock"
            );
        }
        NotValidYet => "the certificate is not valid yet: set this machine's clock, or make it anew",
        NotValidForNameContext {
            expected,
            presented,
        } => return other_name(expected, presented),
        NotValidForName => "the certificate is for another name: set `server-name`",
        InvalidPurpose | InvalidPurposeContext { .. } => {
            "the certificate's extended key usage leaves servers out: make it with `serverAuth`"
        }
        BadSignature => {
            "the certificate was not signed by the authority it names: send its whole chain, or set \
             `ca` to the right one"
        }
        BadEncoding => "the certificate is not well formed: make it anew",
        Revoked => "the certificate has been revoked: renew it",
        UnsupportedSignatureAlgorithmContext { .. }
        | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the certificate is signed in a way that is no longer taken (SHA-1, say): make it anew \
             with SHA-256"
        }
        Other(other) => return unusual(other),
        _ => return format!("the certificate is not accepted: {fault}"),
    }
    .to_owned()
}

/// What rustls has no word of its own for.
fn unusual(fault: &rustls::OtherError) -> String {
    let cause = fault.source().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(webpki::Error::CaUsedAsEndEntity) => {
            "the certificate is an authority's, which cannot be the service's own at the same time: \
             make it with `basicConstraints=CA:FALSE`, or sign another one with it"
        }
        Some(webpki::Error::EndEntityUsedAsCa) => {
            "what signed the certificate is no authority's: make that with `basicConstraints=CA:TRUE`"
        }
        Some(webpki::Error::UnsupportedCertVersion) => {
            "the certificate is of X.509 version 1, which has no names: make it anew with a \
             `subjectAltName`"
        }
        _ => return format!("the certificate is not accepted: {fault}"),
    }
    .to_owned()
}

fn other_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let names = presented.iter().take(MAX_NAMES).map(|name| bare(name));
    let names: Vec<_> = names.collect();
    let more = if presented.len() > MAX_NAMES {
        ", …"
    } else {
        ""
    };
    let expected = expected.to_str();
    if names.is_empty() {
        return format!(
            "the certificate has no name (`subjectAltName`), so it is not for {expected}: make it \
             anew with one"
        );
    }
    let names = names.join(", ");
    format!(
        "the certificate is for {names}{more}, not for {expected}: set `server-name` to a name that \
         it has"
    )
}

/// `DnsName("app.test")` and the like, as rustls presents names, without their kind.
fn bare(name: &str) -> String {
    let inside = name.split_once('(').map_or(name, |(_, inside)| inside);
    shown(inside.trim_end_matches(')').trim_matches('"'))
}

/// What the target said as it ended the handshake.
fn refused(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::UnrecognisedName => {
            "it has no certificate for the name it was asked for: set `server-name`"
        }
        AlertDescription::NoApplicationProtocol => {
            "it speaks another HTTP version (ALPN): choose protocol `https` or `h2` by it"
        }
        AlertDescription::ProtocolVersion => "it wants a TLS older than 1.2",
        AlertDescription::CertificateRequired => {
            "it wants a client's certificate, and probes have none"
        }
        AlertDescription::HandshakeFailure => {
            "it shares no cipher with probes, has no certificate for the name, or wants a client's"
        }
        _ => return format!("the target ended the handshake: alert {alert:?}"),
    };
    format!("the target refused: {why} (alert {alert:?})")
}

fn days(from: UnixTime, to: UnixTime) -> String {
    match to.as_secs().saturating_sub(from.as_secs()) / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
