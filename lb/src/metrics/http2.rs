//! What is counted of clients' HTTP/2 connections.

use super::Counter;
use crate::l7::http2::Http2Excess;

/// Why a connection was ended that its client would have gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http2End {
    /// Too many frames of a kind that carries nothing.
    Excess(Http2Excess),
    /// Too many resets or too much that waits, as the h2 crate counts them.
    Calm,
    /// The client broke the protocol.
    Protocol,
}

/// What one worker counts for one listener.
#[derive(Debug, Default)]
pub(crate) struct Http2Counters {
    /// Streams that clients opened.
    pub(crate) streams: Counter,
    ends: [Counter; Http2Excess::ALL.len() + 2],
}

impl Http2Counters {
    /// Labels, in the order of the counts.
    pub(crate) fn reasons() -> impl Iterator<Item = &'static str> {
        let excesses = Http2Excess::ALL.into_iter().map(Http2Excess::as_str);
        excesses.chain(["calm", "protocol-error"])
    }

    /// Counts a connection that was ended.
    pub(crate) fn end(&self, end: Http2End) {
        let place = match end {
            Http2End::Excess(excess) => excess as usize,
            Http2End::Calm => Http2Excess::ALL.len(),
            Http2End::Protocol => Http2Excess::ALL.len() + 1,
        };
        if let Some(counter) = self.ends.get(place) {
            counter.add(1);
        }
    }

    /// How many were ended for the reason at `place`.
    pub(crate) fn ended(&self, place: usize) -> u64 {
        self.ends.get(place).map_or(0, Counter::value)
    }
}
