//! Which streams a target has ended, for when its connection dies.
//!
//! The h2 crate forgets that a response is whole when the connection fails before the request is: where
//! its length was not told, nothing else would say so. Noted by the [`Meter`](super::meter) of a target's
//! connection, asked by a body that meets an error.
//!
//! Cost: a store per response.

use std::cell::Cell;

/// Streams remembered: more than a target lets be open at a time, usually (RFC 9113 section 6.5.2 wants
/// 100 at least).
const REMEMBERED: usize = 128;

/// The streams that ended last.
#[derive(Debug)]
pub struct Ended {
    streams: [Cell<u32>; REMEMBERED],
    next: Cell<usize>,
}

impl Default for Ended {
    fn default() -> Self {
        Self {
            streams: [const { Cell::new(0) }; REMEMBERED],
            next: Cell::new(0),
        }
    }
}

impl Ended {
    /// Remembers `stream`.
    pub(super) fn add(&self, stream: u32) {
        if let Some(place) = self.streams.get(self.next.get() % REMEMBERED) {
            place.set(stream);
        }
        self.next.set(self.next.get().wrapping_add(1));
    }

    /// True when `stream` is remembered.
    pub(super) fn has(&self, stream: u32) -> bool {
        self.streams.iter().any(|place| place.get() == stream)
    }
}
