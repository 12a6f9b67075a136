//! Whether a client's certificate is believed, for rustls.
//!
//! `passthrough` believes all that prove to have their key. `verify` asks webpki: signed by an
//! authority of the store by way of what the client sent, for clients, valid now and on no list of
//! the revoked. Whom it refused last is kept for the log: see [`refused`]. What no list speaks of is not revoked, and a list past its time still counts, as
//! with ELB. With `ignore-expiry` one that has expired is looked at as in its last second.

use std::cell::Cell;
use std::sync::Arc;

use conf::{ClientCertificates, ClientVerification};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

thread_local! {
    static REFUSED: Cell<Option<Box<ClientIdentity>>> = const { Cell::new(None) };
}

/// Whose certificate was refused on this thread since the last call. rustls keeps no certificate that it
/// does not believe; but it asks [`Verifier`] while the bytes of one connection are processed, so that
/// what is here right after its error is that connection's.
pub(in crate::tls) fn refused() -> Option<Box<ClientIdentity>> {
    REFUSED.take()
}

/// Bytes of what one client shows at most: ten certificates with long keys. It all goes to targets
/// in one field, and few take more.
const MAX_CHAIN: usize = 16 * 1024;

use super::ClientIdentity;

/// What a client showed is too long.
#[derive(Debug, thiserror::Error)]
#[error("the client's certificates have more than 16 KiB")]
pub(in crate::tls) struct TooLarge;

/// Who looks at clients' certificates; `None` when they are not asked for.
pub(in crate::tls) fn verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, VerifierBuilderError> {
    let (inner, ignore_expiry) = match clients {
        ClientCertificates::Off => return Ok(None),
        ClientCertificates::Passthrough => (None, false),
        ClientCertificates::Verify(verification) => {
            let inner = of_store(verification, provider)?;
            (Some(inner), verification.ignore_expiry)
        }
    };
    Ok(Some(Arc::new(Verifier {
        inner,
        ignore_expiry,
        provider: provider.clone(),
    })))
}

fn of_store(
    verification: &ClientVerification,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let trust = &verification.trust;
    let roots = trust.authorities.clone();
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    let builder = builder
        .with_crls(trust.revoked.iter().cloned())
        .allow_unknown_revocation_status();
    match verification.advertise_ca_names {
        true => builder,
        false => builder.clear_root_hint_subjects(),
    }
    .build()
}

/// What tells two settings apart of which one lets in whom the other does not: sessions are resumed
/// under the same one only.
pub(in crate::tls) fn fingerprint(clients: &ClientCertificates) -> Vec<&[u8]> {
    match clients {
        ClientCertificates::Off => Vec::new(),
        ClientCertificates::Passthrough => vec![b"passthrough"],
        ClientCertificates::Verify(verification) => {
            let expiry: &[u8] = match verification.ignore_expiry {
                true => b"ignored",
                false => b"heeded",
            };
            let trust = &verification.trust;
            let authorities = trust.certificates.iter().map(AsRef::as_ref);
            let revoked = trust.revoked.iter().map(AsRef::as_ref);
            let parts = [b"verify".as_slice(), expiry].into_iter();
            let parts = parts.chain(authorities).chain([b"revoked".as_slice()]);
            parts.chain(revoked).collect()
        }
    }
}

fn note_refused(certificate: &CertificateDer<'_>) {
    let own = std::slice::from_ref(certificate);
    REFUSED.set(ClientIdentity::new(own, false).map(Box::new));
}

#[derive(Debug)]
struct Verifier {
    /// `None` = everybody is believed.
    inner: Option<Arc<dyn ClientCertVerifier>>,
    ignore_expiry: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Verifier {
    /// Whoever is not verified may show none, too.
    fn client_auth_mandatory(&self) -> bool {
        self.inner.is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        let inner = self.inner.as_ref();
        inner.map_or(&[], |inner| inner.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let length: usize = intermediates.iter().map(|part| part.len()).sum();
        if length + end_entity.len() > MAX_CHAIN {
            let error = OtherError(Arc::new(TooLarge));
            return Err(CertificateError::Other(error).into());
        }
        let Some(inner) = &self.inner else {
            return Ok(ClientCertVerified::assertion());
        };
        let verdict = inner.verify_client_cert(end_entity, intermediates, now);
        let expired = match &verdict {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) if self.ignore_expiry => *not_after,
            Ok(_) => return verdict,
            Err(_) => {
                note_refused(end_entity);
                return verdict;
            }
        };
        let verdict = inner.verify_client_cert(end_entity, intermediates, expired);
        if verdict.is_err() {
            note_refused(end_entity);
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
