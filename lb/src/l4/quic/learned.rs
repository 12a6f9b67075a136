//! Connection IDs that targets chose, learned from their long headers: which target each belongs to.
//!
//! One table per target group, shared by all workers, so that a client whose new address the kernel
//! gives to another worker is known there as well. Fixed in size: an entry is a tag of the keyed
//! hash of an ID, the target's slot, and when it was last used; the one longest unused in its bucket
//! goes first. Two IDs can be taken for one with a chance below one in a million; a stranger's
//! datagram then reaches a target that does not know it either.
//!
//! Cost: one hash and at most eight loads, all of one pair of cache lines; a store every few seconds
//! of use.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use healthcheck::SlotId;
use tokio::time::Instant;

use super::MAX_ID;
use crate::target::Padded;

/// Buckets: with eight entries each, 131,072 connection IDs in 2 MiB.
const BUCKETS: usize = 16_384;
const WIDTH: usize = 8;

const TAG_BITS: u32 = 24;
const SLOT_BITS: u32 = 24;
const TIME_BITS: u32 = 16;
const TAG_SHIFT: u32 = SLOT_BITS + TIME_BITS;

/// The unit of an entry's time.
const TICK: Duration = Duration::from_secs(4);

/// Ticks after which an unused entry counts for nothing (about an hour): targets end connections
/// that are idle for far less.
const OLD: u16 = 900;

type Bucket = Padded<[AtomicU64; WIDTH]>;

/// Which target each known connection ID belongs to.
#[derive(Debug)]
pub(crate) struct Learned {
    buckets: Box<[Bucket]>,
    /// Bit n: some ID has n bytes.
    lengths: AtomicU32,
    hash: RandomState,
    epoch: Instant,
}

impl Default for Learned {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(),
            lengths: AtomicU32::new(0),
            hash: RandomState::new(),
            epoch: Instant::now(),
        }
    }
}

impl Learned {
    /// Learns that `id` belongs to the target of `slot`.
    pub(crate) fn learn(&self, id: &[u8], slot: SlotId, now: Instant) {
        if id.is_empty() || id.len() > MAX_ID || slot.0 >= 1 << SLOT_BITS {
            return;
        }
        let bit = 1 << id.len();
        if self.lengths.load(Ordering::Relaxed) & bit == 0 {
            self.lengths.fetch_or(bit, Ordering::Relaxed);
        }
        let (bucket, tag) = self.place(id);
        let time = self.time(now);
        let entry = tag << TAG_SHIFT | u64::from(slot.0) << TIME_BITS | u64::from(time);
        let same = |value: u64| value != 0 && value >> TAG_SHIFT == tag;
        let known = bucket.iter().find(|e| same(e.load(Ordering::Relaxed)));
        let unused = |e: &&AtomicU64| match e.load(Ordering::Relaxed) {
            0 => u16::MAX,
            value => time.wrapping_sub(value as u16),
        };
        if let Some(place) = known.or_else(|| bucket.iter().max_by_key(unused)) {
            // Two workers at once: one entry is lost and learned again with its target's next
            // long header; until then the address tells the flow.
            place.store(entry, Ordering::Relaxed);
        }
    }

    /// The target of `id`.
    pub(crate) fn find(&self, id: &[u8], now: Instant) -> Option<SlotId> {
        if id.is_empty() || id.len() > MAX_ID {
            return None;
        }
        let (bucket, tag) = self.place(id);
        let time = self.time(now);
        for entry in bucket {
            let value = entry.load(Ordering::Relaxed);
            let unused = time.wrapping_sub(value as u16);
            if value == 0 || value >> TAG_SHIFT != tag || unused > OLD {
                continue;
            }
            if unused > 0 {
                let fresh = value & !0xffff | u64::from(time);
                let relaxed = Ordering::Relaxed;
                // Somebody else changed it: then it is fresh, or no longer ours.
                let _ = entry.compare_exchange(value, fresh, relaxed, relaxed);
            }
            let slot = (value >> TIME_BITS) & ((1 << SLOT_BITS) - 1);
            return Some(SlotId(slot as u32));
        }
        None
    }

    /// The target of a short header, whose ID has one of the lengths that were learned.
    pub(crate) fn find_short(&self, rest: &[u8], now: Instant) -> Option<SlotId> {
        let lengths = self.lengths.load(Ordering::Relaxed);
        let known = (1..=MAX_ID).rev().filter(|len| lengths & 1 << len != 0);
        let mut ids = known.filter_map(|len| rest.get(..len));
        ids.find_map(|id| self.find(id, now))
    }

    fn place(&self, id: &[u8]) -> (&[AtomicU64; WIDTH], u64) {
        let hash = self.hash.hash_one(id);
        let bucket = &self.buckets[(hash as usize) % BUCKETS];
        // Never 0, so that no entry is.
        (&bucket.0, hash >> (64 - TAG_BITS) | 1)
    }

    fn time(&self, now: Instant) -> u16 {
        (now.saturating_duration_since(self.epoch).as_secs() / TICK.as_secs()) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_every_length_and_for_an_hour() {
        let table = Learned::default();
        let now = table.epoch + Duration::from_secs(1000);
        table.learn(&[1; 8], SlotId(7), now);
        table.learn(&[2; 20], SlotId(9), now);
        assert_eq!(table.find(&[1; 8], now), Some(SlotId(7)));
        assert_eq!(table.find_short(&[1; 30], now), Some(SlotId(7)));
        assert_eq!(table.find_short(&[2; 30], now), Some(SlotId(9)));
        assert_eq!(table.find_short(&[3; 30], now), None);
        assert_eq!(table.find_short(&[1; 7], now), None);
        table.learn(&[1; 8], SlotId(8), now);
        assert_eq!(table.find(&[1; 8], now), Some(SlotId(8)));
        let mut later = now;
        for _ in 0..5 {
            later += Duration::from_secs(3000);
            assert_eq!(
                table.find(&[1; 8], later),
                Some(SlotId(8)),
                "used entries stay"
            );
        }
        assert_eq!(table.find(&[1; 8], later + Duration::from_secs(4000)), None);
    }

    #[test]
    fn the_newest_ids_stay_when_there_are_too_many() {
        let table = Learned::default();
        let mut now = table.epoch;
        let id = |n: u32| [n.to_be_bytes(), [5; 4]].concat();
        for n in 0..300_000 {
            if n % 1000 == 0 {
                now += TICK;
            }
            table.learn(&id(n), SlotId(n % 100), now);
        }
        let found =
            (250_000..300_000).filter(|n| table.find(&id(*n), now) == Some(SlotId(n % 100)));
        let found = found.count();
        assert!(found > 48_000, "{found}");
    }

    #[test]
    fn nothing_is_learned_of_what_cannot_be_an_id() {
        let table = Learned::default();
        let now = table.epoch;
        table.learn(&[], SlotId(1), now);
        table.learn(&[1; 21], SlotId(1), now);
        table.learn(&[1; 8], SlotId(1 << SLOT_BITS), now);
        assert_eq!(table.lengths.load(Ordering::Relaxed), 0);
    }
}
