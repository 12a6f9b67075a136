//! Reads a certificate and its key from PEM files, and says what is wrong with them.
//!
//! Called by the resolver, and by who watches the files of a running process: a bad file must be
//! told before it is served. Reads the two files named and nothing else; bounded by their size.

use std::path::{Path, PathBuf};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::{Certificate, CertificateFacts, FileStamp, KeyKind, Span};

/// More than any chain or key takes.
const MAX_BYTES: u64 = 1 << 20;

/// Bits of the shortest RSA key that is served: shorter ones are broken with some effort.
const MIN_RSA_BITS: usize = 2048;

/// What is wrong with the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFault {
    /// True when it is the key's file, false when it is the certificate's.
    pub of_key: bool,
    /// What: a sentence that begins with the file.
    pub what: String,
    /// How to mend it.
    pub help: &'static str,
}

/// Reads the files. `span` is where the configuration names them.
///
/// # Errors
/// [`CertificateFault`]: unreadable, not PEM, nothing in it, or a key that is another's.
pub fn read_certificate(
    cert: PathBuf,
    key: PathBuf,
    span: Span,
) -> Result<Certificate, CertificateFault> {
    let of_cert = |(what, help): Fault| CertificateFault {
        of_key: false,
        what: format!("`{}` {what}", cert.display()),
        help,
    };
    let of_key = |(what, help): Fault| CertificateFault {
        of_key: true,
        what: format!("`{}` {what}", key.display()),
        help,
    };
    let stamps = [FileStamp::of(&cert), FileStamp::of(&key)];
    let chain = chain(&cert).map_err(of_cert)?;
    let facts = facts(&chain).map_err(of_cert)?;
    let private_key = private_key(&key).map_err(of_key)?;
    check_pair(&chain, &private_key).map_err(|(what, help)| {
        of_key((what.replace("CERT", &format!("`{}`", cert.display())), help))
    })?;
    Ok(Certificate {
        cert,
        key,
        span,
        chain,
        private_key,
        facts,
        stamps,
    })
}

/// What is wrong with one file, without its name, and how to mend it.
type Fault = (String, &'static str);

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let help =
        "name a PEM file that this process may read; the path is relative to this file's folder";
    let unreadable = |error: std::io::Error| (format!("cannot be read: {error}"), help);
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_BYTES {
        return Err(("is larger than 1 MiB".to_owned(), help));
    }
    std::fs::read(path).map_err(unreadable)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let help =
        "name the PEM file of the certificate and those that lead to its authority, its own first";
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| (format!("is not PEM: {error}"), help))?;
    if found.is_empty() {
        return Err(("has no certificate".to_owned(), help));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let text = read(path)?;
    let help = "name the PEM file of the certificate's private key (PKCS #8, PKCS #1 or SEC 1)";
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if text.windows(9).any(|part| part == b"ENCRYPTED") => (
            "holds a key that is encrypted, and there is nobody to ask for its passphrase".to_owned(),
            "decrypt it (`openssl pkey -in KEY -out PLAIN`) and keep the file readable for this process alone",
        ),
        pem::Error::NoItemsFound => ("has no private key".to_owned(), help),
        error => (format!("is not PEM: {error}"), help),
    })
}

/// `CERT` in the message stands for the certificate's file.
fn check_pair(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'_>) -> Result<(), Fault> {
    let signer = any_supported_type(key).map_err(|_| {
        (
            "holds a key of a kind that is not served".to_owned(),
            "make an ECDSA key (P-256, P-384), an Ed25519 one, or an RSA one of 2048 to 8192 bits",
        )
    })?;
    match CertifiedKey::new(chain.to_vec(), signer).keys_match() {
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err((
            "is not the key of CERT".to_owned(),
            "name the key that the certificate was made for; where the file holds a chain, its own certificate must come first",
        )),
        // What the library cannot tell is no fault.
        Err(Error::InconsistentKeys(_)) | Ok(()) => Ok(()),
        Err(error) => Err((
            format!("cannot be used with CERT: {error}"),
            "make the certificate anew",
        )),
    }
}

fn facts(chain: &[CertificateDer<'static>]) -> Result<CertificateFacts, Fault> {
    let remake = "make the certificate anew, as X.509 version 3";
    let own = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, parsed) = X509Certificate::from_der(own).map_err(|error| {
        (
            format!("has a certificate that is not well formed: {error}"),
            remake,
        )
    })?;
    let public_key = parsed.public_key();
    let (key, key_bits) = match public_key.parsed() {
        Ok(PublicKey::EC(point)) => (KeyKind::Ecdsa, point.key_size()),
        Ok(PublicKey::RSA(rsa)) => (KeyKind::Rsa, rsa.key_size()),
        _ => (KeyKind::Ed25519, 256),
    };
    if key == KeyKind::Rsa && key_bits < MIN_RSA_BITS {
        return Err((
            format!("has an RSA key of {key_bits} bits, fewer than {MIN_RSA_BITS}"),
            "make the certificate anew with an ECDSA key, or an RSA one of 2048 bits",
        ));
    }
    let validity = parsed.validity();
    Ok(CertificateFacts {
        names: names(&parsed),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        key,
        key_bits,
    })
}

/// The `subjectAltName`s that are DNS names; where there is none, the common name.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in &extension.value.general_names {
            if let GeneralName::DNSName(name) = name {
                found.push(name.to_ascii_lowercase());
            }
        }
    }
    if found.is_empty() {
        let common = certificate.subject().iter_common_name();
        found.extend(
            common
                .filter_map(|name| name.as_str().ok())
                .map(str::to_ascii_lowercase),
        );
    }
    found
}
