//! Tokens that were good a moment ago, so that a signature is verified once and not for each of a
//! client's requests.
//!
//! Bounded: each digest has one place, which the next one with the same place takes over. Keeps
//! SHA-256 digests, never tokens. A change of the issuer's keys makes all of it void.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest as sha256};

/// Places: 12 KiB a worker and rule.
const PLACES: usize = 256;

/// SHA-256 of a token.
pub(super) type Digest = [u8; 32];

/// The digest of a token.
pub(super) fn digest(token: &[u8]) -> Digest {
    let mut digest = Digest::default();
    let whole = sha256(&SHA256, token);
    digest
        .iter_mut()
        .zip(whole.as_ref())
        .for_each(|(to, from)| *to = *from);
    digest
}

/// Digest in four words, generation of the keys (0 = empty), end.
type Place = [AtomicU64; 6];

/// One worker's tokens, which only that worker changes. Takes its room with the first of them.
#[derive(Debug, Default)]
pub(super) struct Cache(OnceLock<Box<[Place]>>);

impl Cache {
    /// True when the token was verified with these keys and is still good at `now`.
    pub(super) fn is_good(&self, digest: &Digest, generation: u64, now: u64) -> bool {
        let place = self.0.get().and_then(|places| places.get(index(digest)));
        place.is_some_and(|place| {
            let held = place.each_ref().map(|word| word.load(Ordering::Relaxed));
            let [a, b, c, d, keys, until] = held;
            [a, b, c, d] == words(digest) && keys == generation && now < until
        })
    }

    /// Keeps that the token is good until `until`.
    pub(super) fn keep(&self, digest: &Digest, generation: u64, until: u64) {
        let empty = || (0..PLACES).map(|_| Place::default()).collect();
        let places = self.0.get_or_init(empty);
        if let Some(place) = places.get(index(digest)) {
            let [a, b, c, d] = words(digest);
            let fresh = [a, b, c, d, generation, until];
            for (word, value) in place.iter().zip(fresh) {
                word.store(value, Ordering::Relaxed);
            }
        }
    }
}

fn words(digest: &Digest) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.chunks(8)) {
        *word = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    }
    words
}

fn index(digest: &Digest) -> usize {
    let [first, ..] = digest;
    usize::from(*first) % PLACES
}
