//! An issuer's keys, ready to verify with.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use conf::{Jwk, JwkKey, JwtAlgorithm};

use super::TokenFault;
use super::token::Token;

/// Keys that are tried for a token that names none.
const MAX_TRIES: usize = 10;

/// Number of the next set.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// A key set.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    generation: u64,
}

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    algorithm: JwtAlgorithm,
    key: ParsedPublicKey,
}

impl KeySet {
    /// The keys of a set that can be used; those that are no keys after all are left out.
    pub fn new(keys: Vec<Jwk>) -> Self {
        let keys = keys.into_iter().filter_map(|jwk| {
            let algorithm = jwk.key.algorithm();
            let key = parsed(jwk.key)?;
            Some(Key {
                kid: jwk.kid,
                algorithm,
                key,
            })
        });
        Self {
            keys: keys.collect(),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// A number that no other set has.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the token's signature is that of a key for its own algorithm: what kind a key is
    /// decides the issuer, never the token.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), TokenFault> {
        let fits = |key: &&Key| {
            let named = token.kid.is_none() || token.kid == key.kid;
            named && key.algorithm == token.algorithm
        };
        let mut keys = self.keys.iter().filter(fits).take(MAX_TRIES).peekable();
        if keys.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        let verifies = |key: &Key| key.key.verify_sig(token.signed, &token.signature).is_ok();
        match keys.any(verifies) {
            true => Ok(()),
            false => Err(TokenFault::Signature),
        }
    }
}

fn parsed(key: JwkKey) -> Option<ParsedPublicKey> {
    match key {
        JwkKey::Rsa { n, e } => RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .ok(),
        JwkKey::P256 { x, y } => {
            // An uncompressed point (SEC 1 section 2.3.3).
            let point = [&[4][..], &x, &y].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()
        }
    }
}
