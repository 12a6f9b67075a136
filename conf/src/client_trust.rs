//! Reads whom a listener believes when clients show certificates: authorities and what they revoked.
//!
//! Called by the resolver, and by who watches the files of a running process. Reads the files
//! named and nothing else; bounded by their size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::{ClientTrust, FileStamp, Span};

/// More than any store of authorities takes.
const MAX_STORE: u64 = 1 << 20;
/// Lists of revoked certificates are long: ELB takes 50 MB of them for one store.
const MAX_LIST: u64 = 64 << 20;
/// What DER begins with: a SEQUENCE (X.690). PEM begins with a text.
const SEQUENCE: u8 = 0x30;

/// What is wrong with the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTrustFault {
    /// Which list, by its place; `None` when it is the store.
    pub list: Option<usize>,
    /// What: a sentence that begins with the file.
    pub what: String,
    /// How to mend it.
    pub help: &'static str,
}

/// What is wrong with one file, without its name, and how to mend it.
type Fault = (String, &'static str);

/// Reads a trust store and lists of revoked certificates. `span` is where the configuration names
/// the store.
///
/// # Errors
/// [`ClientTrustFault`]: unreadable, nothing in it, or not what it should be.
pub fn read_client_trust(
    store: PathBuf,
    lists: Vec<PathBuf>,
    span: Span,
) -> Result<ClientTrust, ClientTrustFault> {
    let fault = |list, path: &Path, (what, help): Fault| ClientTrustFault {
        list,
        what: format!("`{}` {what}", path.display()),
        help,
    };
    let files = std::iter::once(&store).chain(&lists);
    let stamps = files.map(|file| FileStamp::of(file)).collect();
    let authorities = authorities(&store).map_err(|error| fault(None, &store, error))?;
    let mut revoked = Vec::new();
    for (index, path) in lists.iter().enumerate() {
        let found = list(path, &authorities);
        revoked.extend(found.map_err(|error| fault(Some(index), path, error))?);
    }
    Ok(ClientTrust {
        store,
        lists,
        span,
        authorities: authorities.roots,
        certificates: authorities.certificates,
        revoked,
        stamps,
    })
}

/// The authorities of a store.
struct Authorities {
    roots: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
}

fn read(path: &Path, limit: u64, help: &'static str) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: std::io::Error| (format!("cannot be read: {error}"), help);
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > limit {
        return Err((format!("is larger than {} MiB", limit >> 20), help));
    }
    std::fs::read(path).map_err(unreadable)
}

fn authorities(path: &Path) -> Result<Authorities, Fault> {
    let help = "name the PEM file of the authorities that sign clients' certificates; the path is relative to this file's folder";
    let text = read(path, MAX_STORE, help)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = found.map_err(|error| (format!("is not PEM: {error}"), help))?;
    if certificates.is_empty() {
        return Err(("has no certificate".to_owned(), help));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        let added = roots.add(certificate.clone());
        added.map_err(|error| {
            (
                format!("has a certificate that is no authority: {error}"),
                help,
            )
        })?;
    }
    Ok(Authorities {
        roots: roots.into(),
        certificates,
    })
}

/// The lists of one file: PEM, or one in DER as authorities publish it.
fn list(
    path: &Path,
    authorities: &Authorities,
) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    let help = "name a list that the authority signed (CRL version 2, PEM or DER), such as `openssl ca -gencrl` makes";
    let bytes = read(path, MAX_LIST, help)?;
    let found: Vec<_> = match bytes.first() {
        Some(&SEQUENCE) => vec![CertificateRevocationListDer::from(bytes)],
        _ => {
            let found: Result<Vec<_>, _> =
                CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
            found.map_err(|error| (format!("is not PEM: {error}"), help))?
        }
    };
    if found.is_empty() {
        return Err(("has no list of revoked certificates".to_owned(), help));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = authorities.roots.clone();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let built = verifier.with_crls(found.clone()).build();
    built.map_err(|error| (format!("has a list that is not well formed: {error}"), help))?;
    Ok(found)
}
