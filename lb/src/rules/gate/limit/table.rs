//! Arrival times by key, exact over all workers: a fixed table, the key that rests longest replaced.
//!
//! A key is its keyed hash, and has one entry among the few of its bucket. An entry of a known key
//! changes by one compare-and-swap, without a lock. Only entering a key takes the bucket's latch,
//! for as long as a look at eight entries takes; whoever reads an entry that is being given to
//! another key meanwhile finds its generation changed, and looks again. Nothing is forgotten but
//! keys that had used nothing lately, and, counted, the one with the least used when a bucket is
//! full of busy ones.
//!
//! Cost: a few atomic operations on three cache lines; no allocation, no syscall.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::gcra::Rate;
use crate::target::Padded;

/// Entries of a bucket: two cache lines of times and tags.
const WIDTH: usize = 8;

/// Buckets: room for 32,768 keys in 640 KiB.
const BUCKETS: usize = 4096;

/// Low bits of an entry's word: the time; nine years of nanoseconds. The others say how often it
/// was given to another key, so that no swap meant for the one hits the other.
const TIME_BITS: u32 = 58;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

#[derive(Debug, Default)]
struct Entry {
    /// The key's hash, never 0; 0 = nobody's.
    tag: AtomicU64,
    /// Generation and arrival time.
    word: AtomicU64,
}

#[derive(Debug, Default)]
struct Bucket {
    entries: [Entry; WIDTH],
    /// True while somebody gives an entry to another key.
    latch: AtomicBool,
}

/// Arrival times by key.
#[derive(Debug)]
pub(super) struct Table {
    buckets: Box<[Padded<Bucket>]>,
    /// Keys that were forgotten though they had used something.
    evicted: AtomicU64,
}

impl Table {
    pub(super) fn new() -> Self {
        Self::with_buckets(BUCKETS)
    }

    fn with_buckets(count: usize) -> Self {
        Self {
            buckets: (0..count).map(|_| Padded::default()).collect(),
            evicted: AtomicU64::new(0),
        }
    }

    /// Keys forgotten so far to make room.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Takes one request of the key with this hash at `now`; else says how long until it may come.
    pub(super) fn take(&self, hash: u64, rate: Rate, now: u64) -> Result<(), u64> {
        let Some(bucket) = self.buckets.get(hash as usize % self.buckets.len()) else {
            return Ok(());
        };
        let (bucket, tag) = (&bucket.0, hash | 1);
        loop {
            match bucket.take(tag, rate, now) {
                Some(Ok(taken)) => return taken,
                // Changed under our hands.
                Some(Err(Changed)) => {}
                None => {
                    if bucket.enter(tag, now) {
                        self.evicted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

/// Somebody else changed the entry first.
struct Changed;

impl Bucket {
    /// `None` when the key has no entry.
    fn take(&self, tag: u64, rate: Rate, now: u64) -> Option<Result<Result<(), u64>, Changed>> {
        // The word before the tag: when the entry is given away in between, the swap fails.
        let mut words = self.entries.iter().map(|entry| {
            let word = entry.word.load(Ordering::Acquire);
            (entry, word, entry.tag.load(Ordering::Acquire))
        });
        let (entry, word, _) = words.find(|(_, _, found)| *found == tag)?;
        let next = match rate.decide(word & TIME_MASK, now) {
            Ok(next) => next.min(TIME_MASK),
            Err(wait) => {
                // A refusal must have been this key's own.
                let same = entry.word.load(Ordering::Acquire) >> TIME_BITS == word >> TIME_BITS;
                return Some(if same { Ok(Err(wait)) } else { Err(Changed) });
            }
        };
        let next = (word & !TIME_MASK) | next;
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let swapped = entry.word.compare_exchange(word, next, success, failure);
        Some(swapped.map(|_| Ok(())).map_err(|_| Changed))
    }

    /// Gives the key an entry unless it has one; true when a key that had used something lost it.
    fn enter(&self, tag: u64, now: u64) -> bool {
        while self.latch.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        let evicted = self.enter_latched(tag, now);
        self.latch.store(false, Ordering::Release);
        evicted
    }

    fn enter_latched(&self, tag: u64, now: u64) -> bool {
        let known = |entry: &Entry| entry.tag.load(Ordering::Acquire) == tag;
        if self.entries.iter().any(known) {
            return false;
        }
        let time = |entry: &&Entry| entry.word.load(Ordering::Acquire) & TIME_MASK;
        let Some(entry) = self.entries.iter().min_by_key(time) else {
            return false;
        };
        // In this order: whoever reads the word after it changed sees that the tag is not the old
        // one, and the swap of whoever read it before fails.
        entry.tag.store(0, Ordering::Release);
        let next = |word: u64| Some((word & !TIME_MASK).wrapping_add(TIME_MASK + 1));
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let last = entry.word.fetch_update(success, failure, next);
        entry.tag.store(tag, Ordering::Release);
        // Always some: never fails.
        last.is_ok_and(|word| word & TIME_MASK > now)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
