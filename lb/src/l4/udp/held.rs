//! Datagrams that wait for a target: as requests do, for at most the group's `hold`.
//!
//! Filled by the shell when a group has targets but none can be used, emptied in the order of
//! arrival when that may have changed. Bounded: what does not fit is lost, as on a full queue.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::batch::Arrival;

/// Datagrams held at most, by one socket of one worker.
const MAX_DATAGRAMS: usize = 256;

/// Their bytes at most.
const MAX_BYTES: usize = 1024 * 1024;

/// A datagram that waits.
#[derive(Debug)]
pub(super) struct HeldDatagram {
    pub(super) from: Arrival,
    pub(super) payload: Box<[u8]>,
    /// When it is given up.
    pub(super) until: Instant,
}

/// Datagrams that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    queue: VecDeque<HeldDatagram>,
    bytes: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Holds a datagram; false when there is no room.
    pub(super) fn push(&mut self, from: Arrival, payload: &[u8], until: Instant) -> bool {
        let room = self.queue.len() < MAX_DATAGRAMS && self.bytes + payload.len() <= MAX_BYTES;
        if room {
            self.bytes += payload.len();
            let payload = payload.into();
            self.queue.push_back(HeldDatagram {
                from,
                payload,
                until,
            });
        }
        room
    }

    /// Everything, oldest first.
    pub(super) fn take(&mut self) -> VecDeque<HeldDatagram> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }

    /// Puts one of [`Held::take`] back.
    pub(super) fn put_back(&mut self, datagram: HeldDatagram) {
        self.bytes += datagram.payload.len();
        self.queue.push_back(datagram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_in_number_and_bytes() {
        let from = Arrival {
            client: "127.0.0.1:1".parse().unwrap(),
            own: None,
        };
        let until = Instant::now();
        let mut held = Held::default();
        assert!((0..MAX_DATAGRAMS).all(|_| held.push(from, b"x", until)));
        assert!(!held.push(from, b"x", until));
        assert_eq!(held.take().len(), MAX_DATAGRAMS);
        assert!(held.is_empty());
        let large = vec![0; 65_000];
        let fitting = (0..).take_while(|_| held.push(from, &large, until));
        assert_eq!(fitting.count(), MAX_BYTES / large.len());
        let all = held.take();
        for datagram in all {
            held.put_back(datagram);
        }
        assert!(!held.push(from, &large, until));
    }
}
