//! Which certificate a client is shown: ELB's smart selection.
//!
//! Among those for the name it asked for (exactly, else by wildcard), those it can verify (before
//! TLS 1.3 also by the curves it names, RFC 8422); of these
//! ones that are valid now before others, ECDSA before RSA, then the longer key, then the one that
//! is valid longest. A client that names no server, or an unknown one, is shown the default
//! certificate, or one like it that it can verify. Asked once per full handshake.
//!
//! Cost: one or two hash look-ups, a reading of the clock, no lock, no allocation but the name's.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use conf::{Certificate, CertificateFacts, KeyKind};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, Error, NamedGroup};

/// The first byte of every suite of TLS 1.3 (RFC 8446 appendix B.4).
const TLS13_SUITES: u16 = 0x13;

thread_local! {
    static CHOSEN: Cell<Option<Arc<str>>> = const { Cell::new(None) };
}

/// The name of the certificate that was chosen on this thread since the last call. rustls does not tell
/// which one it shows; but it asks while the bytes of one connection are processed, so that what is here
/// right after them is that connection's.
pub(super) fn chosen() -> Option<Arc<str>> {
    CHOSEN.take()
}

/// One certificate, ready to sign.
#[derive(Debug)]
struct Entry {
    /// The name of its file.
    name: Arc<str>,
    key: Arc<CertifiedKey>,
    facts: CertificateFacts,
}

/// One listener's certificates.
#[derive(Debug)]
pub(super) struct Certificates {
    entries: Vec<Entry>,
    /// Places in `entries` by name, in order of preference; wildcards by what follows the `*`.
    exact: HashMap<Box<str>, Vec<usize>>,
    wildcard: HashMap<Box<str>, Vec<usize>>,
}

impl Certificates {
    /// Those of a listener; the first is the default.
    pub(super) fn new<'c>(
        certificates: impl IntoIterator<Item = &'c Arc<Certificate>>,
    ) -> Result<Self, Error> {
        let mut found = Self {
            entries: Vec::new(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        for certificate in certificates {
            let signer = any_supported_type(&certificate.private_key)?;
            let key = CertifiedKey::new(certificate.chain.clone(), signer);
            let name = certificate.cert.file_name().unwrap_or_default();
            found.add(Entry {
                name: name.to_string_lossy().into(),
                key: Arc::new(key),
                facts: certificate.facts.clone(),
            });
        }
        found.sort();
        Ok(found)
    }

    fn add(&mut self, entry: Entry) {
        let place = self.entries.len();
        for name in &entry.facts.names {
            let (names, name) = match name.strip_prefix('*') {
                Some(rest) if rest.starts_with('.') => (&mut self.wildcard, rest),
                _ => (&mut self.exact, name.as_str()),
            };
            names.entry(name.into()).or_default().push(place);
        }
        self.entries.push(entry);
    }

    fn sort(&mut self) {
        let entries = &self.entries;
        let rank = |place: &usize| {
            let facts = entries.get(*place).map(|entry| &entry.facts);
            facts.map(|facts| {
                let longer = std::cmp::Reverse((facts.key_bits, facts.not_after));
                (facts.key, longer)
            })
        };
        let lists = self.exact.values_mut().chain(self.wildcard.values_mut());
        for places in lists {
            places.sort_by_key(rank);
            places.dedup();
        }
    }

    /// The places for a name, best first.
    fn for_name(&self, name: &str) -> &[usize] {
        let lower;
        let name = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => {
                lower = name.to_ascii_lowercase();
                lower.as_str()
            }
            false => name,
        };
        if let Some(places) = self.exact.get(name) {
            return places;
        }
        // A wildcard stands for one label (RFC 6125 section 6.4.3).
        let rest = name.find('.').and_then(|dot| name.get(dot..));
        let places = rest.and_then(|rest| self.wildcard.get(rest));
        places.map_or(&[], Vec::as_slice)
    }

    /// The certificate for a client that asks for `name` and can verify what `can_verify` says, at
    /// `now` in seconds since 1970.
    fn choose(
        &self,
        name: Option<&str>,
        can_verify: impl Fn(&Entry) -> bool,
        now: i64,
    ) -> Option<&Entry> {
        let named = name.map_or(&[][..], |name| self.for_name(name));
        let found = self.best(named, &can_verify, now);
        found.or_else(|| self.default(&can_verify, now))
    }

    /// The default certificate; another one for the same name when the client cannot verify it.
    fn default(&self, can_verify: &impl Fn(&Entry) -> bool, now: i64) -> Option<&Entry> {
        let first = self.entries.first()?;
        if can_verify(first) {
            return Some(first);
        }
        let name = first.facts.names.first().map_or("", String::as_str);
        let like = self.best(self.for_name(name), can_verify, now);
        Some(like.unwrap_or(first))
    }

    /// The first of `places` that the client can verify and that is valid, else the first one that
    /// it can verify.
    fn best(
        &self,
        places: &[usize],
        can_verify: &impl Fn(&Entry) -> bool,
        now: i64,
    ) -> Option<&Entry> {
        let usable = places
            .iter()
            .filter_map(|place| self.entries.get(*place))
            .filter(|entry| can_verify(entry));
        let is_valid = |entry: &&Entry| {
            let facts = &entry.facts;
            (facts.not_before..=facts.not_after).contains(&now)
        };
        let found = usable.clone().find(is_valid);
        found.or_else(|| usable.clone().next())
    }
}

impl Certificates {
    /// The certificate for a client.
    pub(super) fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = client_hello.signature_schemes();
        let curves = curves(client_hello.cipher_suites(), client_hello.named_groups());
        let can_verify = |entry: &Entry| {
            entry.key.key.choose_scheme(schemes).is_some()
                && curves.is_none_or(|curves| is_on(&entry.facts, curves))
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
        let chosen = self.choose(client_hello.server_name(), can_verify, now)?;
        CHOSEN.set(Some(chosen.name.clone()));
        Some(chosen.key.clone())
    }
}

/// True unless it is an ECDSA key on a curve that is not among `curves`.
fn is_on(facts: &CertificateFacts, curves: &[NamedGroup]) -> bool {
    let curve = match (facts.key, facts.key_bits) {
        (KeyKind::Ecdsa, 256) => NamedGroup::secp256r1,
        (KeyKind::Ecdsa, 384) => NamedGroup::secp384r1,
        (KeyKind::Ecdsa, 521) => NamedGroup::secp521r1,
        _ => return true,
    };
    curves.contains(&curve)
}

/// The curves on which an ECDSA key must be for a client; `None` where that is said by the signature
/// schemes. Before TLS 1.3 these say nothing about curves, and a key on another one than the client
/// names would end the handshake (RFC 8422 section 5.1); a client that names none takes any.
fn curves<'h>(suites: &[CipherSuite], named: Option<&'h [NamedGroup]>) -> Option<&'h [NamedGroup]> {
    let is_of_tls13 = |suite: &CipherSuite| u16::from(*suite) >> 8 == TLS13_SUITES;
    named.filter(|_| !suites.iter().any(is_of_tls13))
}

#[cfg(test)]
mod tests;
