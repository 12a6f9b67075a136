//! JWT validation: whether a request carries a good token of an issuer.
//!
//! Asked by a rule's gate for each of its requests. Does no I/O: keys are read by the control
//! task. Tokens are never logged, and never kept but as digests.
//!
//! Cost: a digest of the token and one look into the worker's cache; for a token that is not there
//! one signature (25 to 70 µs) and two small JSON texts.

mod cache;
mod claims;
mod fault;
mod fetch;
mod keyring;
mod keys;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use conf::JwtValidation;
use httparse::Header;

pub use fault::TokenFault;
pub(crate) use keyring::{Keyring, Keyrings};
pub use keys::KeySet;

use crate::target::Padded;
use cache::Cache;
use token::Token;

/// What an issuer's tokens are checked by.
#[derive(Debug)]
pub struct Validator {
    settings: JwtValidation,
    keyring: Arc<Keyring>,
    /// By worker, each of which has its own.
    caches: Box<[Padded<Cache>]>,
}

impl Validator {
    /// A validator with the keys of `keyring`, for so many workers.
    pub(crate) fn new(settings: &JwtValidation, keyring: Arc<Keyring>, workers: usize) -> Self {
        Self {
            settings: settings.clone(),
            keyring,
            caches: (0..workers).map(|_| Padded::default()).collect(),
        }
    }

    /// A validator that has its keys, for one worker: to try tokens without a balancer.
    pub fn with_keys(settings: &JwtValidation, keys: KeySet) -> Self {
        let keyring = Keyring::with_keys(&settings.keys, keys);
        Self::new(settings, Arc::new(keyring), 1)
    }

    /// Whether these fields carry a good token at `now`. `worker` is the one that asks;
    /// anybody else has no cache.
    ///
    /// # Errors
    /// What is wrong with the token, or with the keys.
    pub fn check(
        &self,
        fields: &[Header<'_>],
        now: SystemTime,
        worker: usize,
    ) -> Result<(), TokenFault> {
        let token = bearer(fields)?;
        let keys = self.keyring.keys().ok_or(TokenFault::NoKeys)?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let digest = cache::digest(token);
        let cache = self.caches.get(worker).map(|cache| &cache.0);
        let known = |cache: &Cache| cache.is_good(&digest, keys.generation(), now);
        if cache.is_some_and(known) {
            return Ok(());
        }
        let until = self.verify(token, &keys, now)?;
        if let Some(cache) = cache {
            cache.keep(&digest, keys.generation(), until);
        }
        Ok(())
    }

    /// Until when the token is good, in seconds of Unix time.
    fn verify(&self, token: &[u8], keys: &KeySet, now: u64) -> Result<u64, TokenFault> {
        let token = Token::parse(token)?;
        let allowed = self.settings.algorithms.contains(&token.algorithm);
        if !allowed {
            return Err(TokenFault::Algorithm);
        }
        let verified = keys.verify(&token);
        if verified == Err(TokenFault::UnknownKey) {
            // The issuer may have new ones.
            self.keyring.want();
        }
        verified?;
        claims::check(&self.settings, &token.claims()?, now)
    }
}

/// The token of the only Authorization field (RFC 6750 section 2.1).
fn bearer<'b>(fields: &[Header<'b>]) -> Result<&'b [u8], TokenFault> {
    let mut found = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("authorization"));
    let value = found.next().ok_or(TokenFault::Missing)?.value;
    if found.next().is_some() {
        return Err(TokenFault::Malformed);
    }
    let (scheme, rest) = value.split_at_checked(6).ok_or(TokenFault::Missing)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(TokenFault::Missing);
    }
    let token = rest.trim_ascii();
    match rest.first() {
        Some(b' ') if !token.is_empty() => Ok(token),
        _ => Err(TokenFault::Malformed),
    }
}
