//! The local authority: a CA of this installation, kept in the state directory, for names that no
//! public authority vouches for.
//!
//! Opened on the control plane when a configuration asks for it, and by `pointsman trust`. Made once
//! and never replaced: people trust it. Its key never leaves its file.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use conf::{Certificate, Span};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Its folder within the state directory.
const FOLDER: &str = "local-ca";
/// How long the authority is valid: longer than anybody wants to renew trust by hand.
const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long a certificate is valid: no longer than browsers accept (398 days).
const LEAF_LIFE: Duration = Duration::from_secs(397 * 24 * 60 * 60);
/// Clocks of clients may be behind.
const LEEWAY: Duration = Duration::from_secs(60 * 60);

/// The authority.
#[derive(Debug)]
pub struct LocalCa {
    /// The PEM file of its certificate: what people trust.
    pub certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    der: rustls::pki_types::CertificateDer<'static>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    /// A file or folder.
    #[error("cannot use `{}`: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// What is in the files.
    #[error("`{}` and `local-ca.key` beside it are no authority: {error}", path.display())]
    Content {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        error: rcgen::Error,
    },
}

impl LocalCa {
    /// The authority kept in `state_dir`; made when there is none.
    ///
    /// # Errors
    /// [`LocalCaError`].
    pub fn open(state_dir: &Path) -> Result<Self, LocalCaError> {
        let folder = state_dir.join(FOLDER);
        let certificate = folder.join("local-ca.pem");
        let key = folder.join("local-ca.key");
        let file = |path: &Path| {
            let path = path.to_owned();
            |error| LocalCaError::File { path, error }
        };
        if !certificate.exists() {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(&folder);
            made.map_err(file(&folder))?;
            let (pem, key_pem) = make().map_err(|error| LocalCaError::Content {
                path: certificate.clone(),
                error,
            })?;
            // The key first: a certificate that is there has its key beside it.
            write_new(&key, &key_pem, 0o600).map_err(file(&key))?;
            write_new(&certificate, &pem, 0o644).map_err(file(&certificate))?;
        }
        let pem = std::fs::read_to_string(&certificate).map_err(file(&certificate))?;
        let key_pem = std::fs::read_to_string(&key).map_err(file(&key))?;
        Self::load(certificate.clone(), &pem, &key_pem).map_err(|error| LocalCaError::Content {
            path: certificate,
            error,
        })
    }

    fn load(certificate: PathBuf, pem: &str, key: &str) -> Result<Self, rcgen::Error> {
        use rustls::pki_types::pem::PemObject;
        let issuer = Issuer::from_ca_cert_pem(pem, KeyPair::from_pem(key)?)?;
        let der = rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes());
        Ok(Self {
            certificate,
            issuer,
            der: der.map_err(|_| rcgen::Error::CouldNotParseCertificate)?,
        })
    }

    /// SHA-256 of its certificate, as programs that ask whether to trust it show it.
    pub fn fingerprint(&self) -> String {
        let digest = digest(&SHA256, &self.der);
        let bytes = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
        bytes.collect::<Vec<_>>().join(":")
    }

    /// A certificate for `names` and `addresses`.
    pub(super) fn issue(
        &self,
        names: &[String],
        addresses: &[IpAddr],
        span: Span,
    ) -> Result<Certificate, rcgen::Error> {
        let mut params = CertificateParams::new(names.to_vec())?;
        let addresses = addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        let common = names.first().map_or("localhost", String::as_str);
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let (from, to) = validity(LEAF_LIFE);
        (params.not_before, params.not_after) = (from.into(), to.into());
        let pair = KeyPair::generate()?;
        let certificate = params.signed_by(&pair, &self.issuer)?;
        let facts = conf::CertificateFacts {
            names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            not_before: seconds(from),
            not_after: seconds(to),
            key: conf::KeyKind::Ecdsa,
            key_bits: 256,
        };
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(pair.serialize_der());
        Ok(Certificate {
            cert: FOLDER.into(),
            key: FOLDER.into(),
            span,
            chain: vec![certificate.der().clone(), self.der.clone()],
            private_key: key.into(),
            facts,
            stamps: Default::default(),
        })
    }
}

/// The PEM of a new authority and of its key.
fn make() -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let name = format!("Pointsman local CA ({host})");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let (from, to) = validity(CA_LIFE);
    (params.not_before, params.not_after) = (from.into(), to.into());
    let pair = KeyPair::generate()?;
    let certificate = params.self_signed(&pair)?;
    Ok((certificate.pem(), pair.serialize_pem()))
}

fn validity(life: Duration) -> (SystemTime, SystemTime) {
    let now = SystemTime::now();
    (now.checked_sub(LEEWAY).unwrap_or(now), now + life)
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Writes a file that is there whole or not at all.
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let draft = path.with_extension("new");
    // What a process left that was ended in the middle.
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// One for all listeners of a configuration that ask for it.
pub(super) type Shared = Option<Arc<LocalCa>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_signs_for_names_and_addresses() {
        let folder = std::env::temp_dir().join(format!("pointsman-ca-{}", std::process::id()));
        let ca = LocalCa::open(&folder).unwrap();
        let again = LocalCa::open(&folder).unwrap();
        assert_eq!(ca.fingerprint(), again.fingerprint());
        assert_eq!(ca.fingerprint().len(), 32 * 3 - 1);
        let names = ["app.test".to_owned(), "*.app.test".to_owned()];
        let issued = again.issue(&names, &[[127, 0, 0, 1].into()], Span::default());
        let issued = issued.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.der.clone()).unwrap();
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            roots.into(),
            Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        );
        let verifier = verifier.build().unwrap();
        for name in ["app.test", "x.app.test", "127.0.0.1"] {
            use rustls::client::danger::ServerCertVerifier;
            let now = rustls::pki_types::UnixTime::now();
            let name = name.try_into().unwrap();
            let (own, rest) = issued.chain.split_first().unwrap();
            let verdict = verifier.verify_server_cert(own, rest, &name, &[], now);
            assert!(verdict.is_ok(), "{name:?}: {verdict:?}");
        }
        let mode = std::fs::metadata(folder.join("local-ca/local-ca.key")).unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
