//! Who a client is by its certificate, as targets and logs are told.
//!
//! Made once per connection, after the handshake, where clients are asked for certificates. Targets get
//! ELB's header fields, which are ready to be sent; whoever sends such fields itself has them
//! taken away by the parser of heads.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::distinguished_name;
use crate::access_log::CertificateRecord;

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    fields: Box<[u8]>,
    /// Its subject, as text (RFC 2253).
    pub(crate) subject: Box<str>,
    /// The last common name in it.
    pub(crate) common_name: Option<Box<str>>,
    /// Its serial number, in hexadecimal digits.
    pub(crate) serial: Box<str>,
    /// From when until when it is valid, as ELB writes it.
    pub(crate) validity: Box<str>,
    /// When it expires, in seconds since 1970.
    pub(crate) not_after: i64,
    /// It was verified.
    pub(crate) verified: bool,
}

impl ClientIdentity {
    /// That of who showed `chain`, verified or not; `None` when the certificate cannot be read.
    pub fn new(chain: &[CertificateDer<'_>], verified: bool) -> Option<Self> {
        let own = chain.first()?;
        let (_, parsed) = X509Certificate::from_der(own).ok()?;
        let subject = distinguished_name::text(parsed.subject());
        let common_name = parsed.subject().iter_common_name().last();
        let common_name = common_name.and_then(|name| Some(name.as_str().ok()?.into()));
        let serial = serial(parsed.raw_serial());
        let validity = validity(&parsed);
        let fields = match verified {
            true => verified_fields(&parsed, own, &serial, &subject, &validity),
            false => field("X-Amzn-Mtls-Clientcert", &encoded(&pem(chain))),
        };
        Some(Self {
            fields: fields.into_bytes().into(),
            subject: subject.into(),
            common_name,
            serial: serial.into(),
            validity: validity.into(),
            not_after: parsed.validity().not_after.timestamp(),
            verified,
        })
    }

    /// As logs have it.
    pub(crate) fn record(&self) -> CertificateRecord<'_> {
        CertificateRecord {
            serial: &self.serial,
            subject: &self.subject,
            validity: &self.validity,
        }
    }

    /// Header fields for targets, each with its line end.
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }
}

fn verified_fields(
    parsed: &X509Certificate<'_>,
    own: &CertificateDer<'_>,
    serial: &str,
    subject: &str,
    validity: &str,
) -> String {
    let issuer = distinguished_name::text(parsed.issuer());
    let leaf = encoded(&pem(std::slice::from_ref(own)));
    [
        field("X-Amzn-Mtls-Clientcert-Serial-Number", serial),
        field("X-Amzn-Mtls-Clientcert-Issuer", &issuer),
        field("X-Amzn-Mtls-Clientcert-Subject", subject),
        field("X-Amzn-Mtls-Clientcert-Validity", validity),
        field("X-Amzn-Mtls-Clientcert-Leaf", &leaf),
    ]
    .concat()
}

/// `NotBefore=…;NotAfter=…`
fn validity(parsed: &X509Certificate<'_>) -> String {
    let validity = parsed.validity();
    let time = |time: &x509_parser::time::ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
        let since = std::time::Duration::from_secs(seconds);
        seconds_of(&healthcheck::rfc3339(std::time::UNIX_EPOCH + since))
    };
    format!(
        "NotBefore={};NotAfter={}",
        time(&validity.not_before),
        time(&validity.not_after)
    )
}

/// A time to the second, however finely it is written.
fn seconds_of(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

fn field(name: &str, value: &str) -> String {
    format!("{name}: {value}\r\n")
}

/// The serial number without what DER puts before it, in capital digits, as OpenSSL has it.
fn serial(bytes: &[u8]) -> String {
    let digits = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn pem(chain: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in chain {
        let digits = data_encoding::BASE64.encode(certificate);
        text += "-----BEGIN CERTIFICATE-----\n";
        let mut rest = digits.as_str();
        while !rest.is_empty() {
            // Lines of 64 (RFC 7468 section 2).
            let (line, after) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text += "-----END CERTIFICATE-----\n";
    }
    text
}

/// URL-encoded (RFC 3986), with `+`, `=` and `/` as they are, as ELB has it.
fn encoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 128);
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' | b'/' | b'-' | b'_' | b'.' | b'~' => written.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => written.push(char::from(byte)),
            byte => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

#[cfg(test)]
mod tests;
