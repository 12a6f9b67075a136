//! One key: seals sessions into tickets and opens them.
//!
//! A ticket is the key's name, a random nonce, and the time of sealing with the session, encrypted
//! and authenticated (AES-256-GCM, RFC 5116) together with the name and what the listener's tickets are bound to.
//! A key serves for half a day: 2^32 tickets, after which random nonces would be too likely to meet
//! (NIST SP 800-38D section 8.3), are 99,000 in every second of it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use conf::{TICKET_SECRET_BYTES, TicketSecret};

use super::Binding;

const NAME: usize = 16;
const NONCE: usize = 12;
const TAG: usize = 16;
const HEADER: usize = NAME + NONCE;
/// Of the time of sealing.
const TIME: usize = 8;

/// Length of a key's name, for derivation.
struct NameLength;

impl KeyType for NameLength {
    fn len(&self) -> usize {
        NAME
    }
}

/// One key.
#[derive(Debug)]
pub(super) struct TicketKey {
    /// When it was made, in seconds since 1970; 0 = whoever gave it knows.
    pub(super) made: u64,
    pub(super) secret: TicketSecret,
    name: [u8; NAME],
    key: LessSafeKey,
}

impl TicketKey {
    /// The key that belongs to `secret`; `None` when the library will not derive it.
    pub(super) fn new(made: u64, secret: TicketSecret) -> Option<Self> {
        let salt = Salt::new(HKDF_SHA256, b"pointsman session tickets");
        let derived = salt.extract(&secret.0);
        let mut name = [0; NAME];
        derived
            .expand(&[b"name"], NameLength)
            .and_then(|name_of| name_of.fill(&mut name))
            .ok()?;
        let key = derived.expand(&[b"key"], &AES_256_GCM).ok()?;
        Some(Self {
            made,
            name,
            key: LessSafeKey::new(UnboundKey::from(key)),
            secret,
        })
    }

    /// A new key of random bytes.
    pub(super) fn generate(now: u64) -> Option<Self> {
        let mut secret = [0; TICKET_SECRET_BYTES];
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        Self::new(now, TicketSecret(secret))
    }

    /// True when it sealed `ticket`, by what that says.
    pub(super) fn is_of(&self, ticket: &[u8]) -> bool {
        ticket.starts_with(&self.name)
    }

    fn bound_to(&self, binding: &Binding) -> Aad<[u8; NAME + size_of::<Binding>()]> {
        let mut bound = [0; NAME + size_of::<Binding>()];
        let parts = self.name.iter().chain(binding);
        for (to, from) in bound.iter_mut().zip(parts) {
            *to = *from;
        }
        Aad::from(bound)
    }

    /// A ticket of `session`.
    pub(super) fn seal(&self, binding: &Binding, now: u64, session: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(HEADER + TIME + session.len() + TAG);
        ticket.extend(self.name);
        ticket.extend(nonce);
        ticket.extend(now.to_be_bytes());
        ticket.extend(session);
        let sealed = ticket.get_mut(HEADER..)?;
        let (nonce, bound) = (Nonce::assume_unique_for_key(nonce), self.bound_to(binding));
        let tag = self.key.seal_in_place_separate_tag(nonce, bound, sealed);
        ticket.extend(tag.ok()?.as_ref());
        Some(ticket)
    }

    /// When `ticket` was sealed, and its session.
    pub(super) fn open(&self, binding: &Binding, ticket: &[u8]) -> Option<(u64, Vec<u8>)> {
        let (nonce, sealed) = ticket.get(NAME..)?.split_first_chunk::<NONCE>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut sealed = sealed.to_vec();
        let bound = self.bound_to(binding);
        let opened = self.key.open_in_place(nonce, bound, &mut sealed).ok()?;
        let (time, session) = opened.split_first_chunk::<TIME>()?;
        Some((u64::from_be_bytes(*time), session.to_vec()))
    }
}
