//! The trust store and the lists of revoked certificates as they are now: read again when a file
//! changes.
//!
//! The control task asks every second. A file that cannot be used is refused, told once, and whom
//! was believed before goes on being believed: a list that was cut short lets nobody in.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use conf::{ClientCertificates, ClientVerification, FileStamp, read_client_trust};

use crate::tls::Refreshes;

/// One listener's.
#[derive(Debug)]
pub(in crate::tls) struct TrustFiles {
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    verification: ClientVerification,
    /// What the files were when they were last looked at, and what was wrong with them.
    seen: Vec<FileStamp>,
    refused: Option<Arc<str>>,
}

impl TrustFiles {
    /// Those of `clients`, if they are verified.
    pub(in crate::tls) fn of(clients: &ClientCertificates) -> Option<Self> {
        let ClientCertificates::Verify(verification) = clients else {
            return None;
        };
        Some(Self {
            current: ArcSwap::from_pointee(Current {
                seen: verification.trust.stamps.clone(),
                verification: verification.clone(),
                refused: None,
            }),
        })
    }

    /// The change that was refused, with the reason.
    pub(in crate::tls) fn refused(&self) -> Option<Arc<str>> {
        self.current.load().refused.clone()
    }

    /// Whom to believe from now on, when that has changed.
    pub(in crate::tls) fn read_again(
        &self,
        listener: &str,
        refreshes: &Refreshes,
    ) -> Option<ClientCertificates> {
        let current = self.current.load_full();
        let trust = &current.verification.trust;
        let files = std::iter::once(&trust.store).chain(&trust.lists);
        let seen: Vec<_> = files.map(|file| FileStamp::of(file)).collect();
        if seen == current.seen {
            return None;
        }
        let file = trust.store.display().to_string();
        let mut verification = current.verification.clone();
        match read_client_trust(trust.store.clone(), trust.lists.clone(), trust.span) {
            Ok(trust) => {
                refreshes.taken.fetch_add(1, Ordering::Relaxed);
                verification.trust = Arc::new(trust);
                self.current.store(Arc::new(Current {
                    seen: verification.trust.stamps.clone(),
                    verification: verification.clone(),
                    refused: None,
                }));
                Some(ClientCertificates::Verify(verification))
            }
            Err(fault) => {
                let (error, help) = (&fault.what, fault.help);
                tracing::warn!(listener, file, %error, help, "changed trust store refused; the one before goes on being used");
                refreshes.refused.fetch_add(1, Ordering::Relaxed);
                let told =
                    format!("trust store changed and was refused, the one before is used: {error}");
                self.current.store(Arc::new(Current {
                    verification,
                    seen,
                    refused: Some(told.into()),
                }));
                None
            }
        }
    }
}
