//! A listener's certificates as they are now: read again when their files change.
//!
//! The control task calls [`Shelf::refresh`] every second; handshakes take what is there by one
//! atomic load. A file that cannot be served is refused, told once, and what was served before goes on
//! being served. What this program signed itself is signed anew before it expires.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use conf::{Certificate, FileStamp, ListenerTls, Span, read_certificate};
use rustls::Error;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::Certificates;
use super::local_ca::{LocalCa, Shared};

/// Certificates of our own are renewed when they are valid for less than this many seconds: a
/// month.
const RENEWAL: i64 = 30 * 24 * 60 * 60;

/// Files that were read again, for the whole process.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    /// Served since.
    pub(crate) taken: AtomicU64,
    /// Refused.
    pub(crate) refused: AtomicU64,
}

/// What is shown now.
#[derive(Debug)]
struct Current {
    certificates: Certificates,
    /// In the order of the file.
    sources: Vec<Source>,
}

#[derive(Debug, Clone)]
struct Source {
    serving: Arc<Certificate>,
    /// What the files were when they were last looked at, and what was wrong with them.
    seen: [FileStamp; 2],
    refused: Option<Arc<str>>,
}

/// One listener's certificates.
#[derive(Debug)]
pub(crate) struct Shelf {
    current: ArcSwap<Current>,
    own: Option<Own>,
}

/// What is needed to sign for the listener.
#[derive(Debug)]
struct Own {
    authority: Arc<LocalCa>,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    span: Span,
}

impl Shelf {
    /// The certificates that `settings` name, or one by the local authority.
    pub(super) fn new(
        settings: &ListenerTls,
        authority: &Shared,
        addresses: Vec<IpAddr>,
        span: Span,
    ) -> Result<Self, String> {
        let own = settings.local_ca.as_ref().zip(authority.clone());
        let own = own.map(|(names, authority)| Own {
            authority,
            names: names.clone(),
            addresses,
            span,
        });
        let mut all = settings.certificates.clone();
        if let Some(own) = &own {
            all.push(own.issue()?);
        }
        let sources = all.into_iter().map(Source::new).collect();
        let current = Current::new(sources).map_err(|error| error.to_string())?;
        Ok(Self {
            current: ArcSwap::from_pointee(current),
            own,
        })
    }

    /// What is served now.
    pub(crate) fn certificates(&self) -> Vec<Arc<Certificate>> {
        let current = self.current.load();
        let serving = current.sources.iter().map(|source| source.serving.clone());
        serving.collect()
    }

    /// Changed files that were refused, each with the reason.
    pub(crate) fn refused(&self) -> Vec<Arc<str>> {
        let current = self.current.load();
        let refused = current
            .sources
            .iter()
            .filter_map(|source| source.refused.clone());
        refused.collect()
    }

    /// Looks at the files, reads what changed, and renews what this program signed.
    pub(crate) fn refresh(&self, listener: &str, refreshes: &Refreshes) {
        let current = self.current.load_full();
        let mut sources = current.sources.clone();
        let mut changed = false;
        for source in &mut sources {
            changed |= match &self.own {
                Some(own) => source.renew(own, listener),
                None => source.read_again(listener, refreshes),
            };
        }
        if !changed {
            return;
        }
        match Current::new(sources) {
            Ok(new) => self.current.store(Arc::new(new)),
            Err(error) => tracing::error!(listener, %error, "certificates stay what they were"),
        }
    }
}

impl Own {
    fn issue(&self) -> Result<Arc<Certificate>, String> {
        let issued = self
            .authority
            .issue(&self.names, &self.addresses, self.span);
        issued
            .map(Arc::new)
            .map_err(|error| format!("the local CA cannot sign: {error}"))
    }
}

impl Current {
    fn new(sources: Vec<Source>) -> Result<Self, Error> {
        let certificates = Certificates::new(sources.iter().map(|source| &source.serving))?;
        Ok(Self {
            certificates,
            sources,
        })
    }
}

impl Source {
    fn new(serving: Arc<Certificate>) -> Self {
        Self {
            seen: serving.stamps.clone(),
            serving,
            refused: None,
        }
    }

    /// True when something about it is another than before.
    fn renew(&mut self, own: &Own, listener: &str) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let left = self
            .serving
            .facts
            .not_after
            .saturating_sub_unsigned(now.as_secs());
        if left > RENEWAL {
            return false;
        }
        match own.issue() {
            Ok(issued) => self.serving = issued,
            Err(error) => tracing::error!(listener, %error, "the certificate was not renewed"),
        }
        true
    }

    /// True when something about it is another than before.
    fn read_again(&mut self, listener: &str, refreshes: &Refreshes) -> bool {
        let (cert, key) = (&self.serving.cert, &self.serving.key);
        let now = [FileStamp::of(cert), FileStamp::of(key)];
        if now == self.seen {
            return false;
        }
        let file = cert.display().to_string();
        self.seen = now;
        match read_certificate(cert.clone(), key.clone(), self.serving.span) {
            Ok(certificate) => {
                tracing::info!(listener, file, "certificate read again");
                refreshes.taken.fetch_add(1, Ordering::Relaxed);
                self.seen = certificate.stamps.clone();
                self.serving = Arc::new(certificate);
                self.refused = None;
            }
            Err(fault) => {
                let (error, help) = (&fault.what, fault.help);
                tracing::warn!(listener, file, %error, help, "changed certificate refused; the one before goes on being served");
                refreshes.refused.fetch_add(1, Ordering::Relaxed);
                let told = format!(
                    "certificate {file} changed and was refused, the one before is served: {error}"
                );
                self.refused = Some(told.into());
            }
        }
        true
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().certificates.resolve(client_hello)
    }
}
