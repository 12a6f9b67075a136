//! Session tickets: what lets a client that was here before go on without a certificate and a
//! signature.
//!
//! One ring of keys serves all listeners and workers ([`ring`]); it outlives reloads, and by its file
//! restarts too. What a listener seals no other one opens: the listener's name, its policy and
//! whom it trusts are part of what is authenticated, so that nobody comes by a ticket into where a
//! certificate would have been asked for. A ticket is good for 12 hours, whatever its key is.
//!
//! Cost: a handshake seals one or two tickets and opens one at most: AES-256-GCM over a few hundred
//! bytes, one reading of the clock, one allocation each.

mod key;
mod ring;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::server::ProducesTickets;

pub(crate) use ring::TicketKeys;

/// Seconds for which a ticket is good: half a day, within which most clients come back. Who steals
/// the keys can read what was sent in that time by clients of TLS 1.2 (RFC 8446 section 8.1 allows
/// seven days).
const LIFETIME: u32 = 12 * 60 * 60;

/// What one listener's tickets are bound to.
pub(super) type Binding = [u8; 32];

/// The digest of what a listener's tickets are bound to.
pub(super) fn binding(parts: &[&[u8]]) -> Binding {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // With their lengths: no two lists of parts look alike.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut binding = Binding::default();
    for (to, from) in binding.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    binding
}

/// One listener's tickets.
#[derive(Debug)]
pub(super) struct Tickets {
    keys: Arc<TicketKeys>,
    binding: Binding,
}

impl Tickets {
    pub(super) fn new(keys: Arc<TicketKeys>, binding: Binding) -> Self {
        Self { keys, binding }
    }

    fn seal(&self, session: &[u8], now: u64) -> Option<Vec<u8>> {
        let ring = self.keys.current();
        ring.sealing()?.seal(&self.binding, now, session)
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let ring = self.keys.current();
        let (sealed, session) = ring.of(ticket)?.open(&self.binding, ticket)?;
        // Clocks of processes that share keys may differ: the future is no reason to refuse.
        (now.saturating_sub(sealed) < u64::from(LIFETIME)).then_some(session)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, now())
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
