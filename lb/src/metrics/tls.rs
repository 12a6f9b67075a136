//! Handshakes of a listener at which TLS ends: done, by version and resumption, and failed, by reason.

use super::Counter;
use crate::tls::{HandshakeReason, Session};

/// What one worker counts for one listener at which TLS ends.
#[derive(Debug, Default)]
pub struct TlsCounters {
    /// Handshakes done: in full over TLS 1.2, resumed; the same over TLS 1.3.
    handshakes: [Counter; 4],
    failed: [Counter; HandshakeReason::ALL.len()],
}

impl TlsCounters {
    /// Labels of `handshakes`: protocol, and whether an earlier session went on.
    pub(crate) const KINDS: [(&'static str, &'static str); 4] = [
        ("TLSv1.2", "full"),
        ("TLSv1.2", "resumed"),
        ("TLSv1.3", "full"),
        ("TLSv1.3", "resumed"),
    ];

    /// Counts a handshake that is done.
    pub(crate) fn done(&self, session: &Session) {
        let kind = (
            session.version,
            if session.resumed { "resumed" } else { "full" },
        );
        let place = Self::KINDS.iter().position(|known| *known == kind);
        if let Some(counter) = place.and_then(|place| self.handshakes.get(place)) {
            counter.add(1);
        }
    }

    /// Counts a handshake that failed.
    pub(crate) fn fail(&self, reason: HandshakeReason) {
        self.failed[reason as usize].add(1);
    }

    /// Handshakes of the kind at this place of [`TlsCounters::KINDS`].
    pub(crate) fn handshakes(&self, place: usize) -> u64 {
        self.handshakes.get(place).map_or(0, Counter::value)
    }

    /// Failures for `reason`.
    pub(crate) fn failed(&self, reason: HandshakeReason) -> u64 {
        self.failed[reason as usize].value()
    }
}
