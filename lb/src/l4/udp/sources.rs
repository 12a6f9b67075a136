//! How many flows, or connections, each client address has, exact over all workers.
//!
//! Asked once per flow or connection, and only of listeners with `max-flows-per-source` or
//! `max-connections-per-source`. A fixed table of
//! counters, no lock: an address is its keyed hash, and has one counter among the few of its
//! bucket. With more addresses than fit at a time some go uncounted; the listener's and the
//! process's own limits still hold.
//!
//! Cost: one hash and a few atomic operations on one pair of cache lines.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::target::Padded;

/// Buckets: with the counters of each, room for 16,384 addresses in 256 KiB.
const BUCKETS: usize = 2048;

/// Counters of a bucket.
const WIDTH: usize = 8;

/// Low bits of a counter that count; the others are the address's tag.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Attempts to enter an address that others enter at the same moment.
const ATTEMPTS: usize = 64;

type Bucket = Padded<[AtomicU64; WIDTH]>;

/// Flows by client address.
#[derive(Debug)]
pub(crate) struct Sources {
    buckets: Box<[Bucket]>,
    /// Keyed at random, so that nobody can choose addresses that share a counter.
    hash: RandomState,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(),
            hash: RandomState::new(),
        }
    }
}

/// A flow's place among those of its source; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct SourcePlace {
    sources: Arc<Sources>,
    /// Bucket and tag; `None` = not counted.
    counted: Option<(usize, u64)>,
}

impl Sources {
    /// A place for one more flow of `source`; `None` when it has `limit` of them.
    pub(crate) fn take(self: &Arc<Self>, source: IpAddr, limit: u32) -> Option<SourcePlace> {
        let hash = self.hash.hash_one(source.to_canonical());
        let bucket = (hash as usize) % BUCKETS;
        // Never 0, which is a free counter.
        let tag = (hash | 1 << 63) & !COUNT_MASK;
        let counted = self.enter(bucket, tag, u64::from(limit))?;
        Some(SourcePlace {
            sources: self.clone(),
            counted: counted.then_some((bucket, tag)),
        })
    }

    /// Counts one more; false when there is no counter to be had, `None` at the limit.
    fn enter(&self, bucket: usize, tag: u64, limit: u64) -> Option<bool> {
        let counters = &self.buckets[bucket].0;
        for _ in 0..ATTEMPTS {
            if let Some(counter) = find(counters, tag) {
                let add = |value: u64| {
                    let known = value & !COUNT_MASK == tag;
                    (known && value & COUNT_MASK < limit).then_some(value + 1)
                };
                match counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add) {
                    Ok(_) => return Some(true),
                    Err(value) if value & !COUNT_MASK == tag => return None,
                    // Its last flow just ended: look again.
                    Err(_) => continue,
                }
            }
            let Some(free) = counters.iter().find(|c| c.load(Ordering::SeqCst) == 0) else {
                return Some(false);
            };
            let (seq, first) = (Ordering::SeqCst, tag | 1);
            if free.compare_exchange(0, first, seq, seq).is_err() {
                continue;
            }
            let twins = counters.iter();
            let twins = twins.filter(|c| c.load(Ordering::SeqCst) & !COUNT_MASK == tag);
            if twins.count() == 1 {
                return Some(true);
            }
            // Another worker entered the same address elsewhere in the bucket meanwhile.
            release(free);
        }
        Some(false)
    }
}

impl Drop for SourcePlace {
    fn drop(&mut self) {
        if let Some((bucket, tag)) = self.counted
            && let Some(counter) = find(&self.sources.buckets[bucket].0, tag)
        {
            release(counter);
        }
    }
}

fn find(counters: &[AtomicU64; WIDTH], tag: u64) -> Option<&AtomicU64> {
    let mut counters = counters.iter();
    counters.find(|counter| counter.load(Ordering::SeqCst) & !COUNT_MASK == tag)
}

/// Counts one less; the last one frees the counter.
fn release(counter: &AtomicU64) {
    let less = |value: u64| match value & COUNT_MASK {
        0 | 1 => Some(0),
        _ => Some(value - 1),
    };
    // Always some: never fails.
    let _ = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn limits_are_exact_with_two_and_four_threads() {
        for threads in [2, 4] {
            let sources = Arc::new(Sources::default());
            let take = |_| {
                let sources = sources.clone();
                let run = move || {
                    let tries = (0..2000u32).map(|n| ip(n % 10));
                    let taken = tries.filter_map(|ip| sources.take(ip, 25));
                    taken.collect::<Vec<_>>()
                };
                std::thread::spawn(run)
            };
            let running: Vec<_> = (0..threads).map(take).collect();
            let kept: Vec<_> = running.into_iter().map(|t| t.join().unwrap()).collect();
            assert_eq!(kept.iter().map(Vec::len).sum::<usize>(), 250, "{threads}");
            drop(kept);
            let counters = sources.buckets.iter().flat_map(|bucket| &bucket.0);
            assert!(counters.into_iter().all(|c| c.load(Ordering::SeqCst) == 0));
        }
    }

    #[test]
    fn a_source_that_ends_a_flow_may_have_another() {
        let sources = Arc::new(Sources::default());
        let one = sources.take(ip(1), 1).unwrap();
        assert!(sources.take(ip(1), 1).is_none());
        let _other = sources.take(ip(2), 1).unwrap();
        drop(one);
        assert!(sources.take(ip(1), 1).is_some());
    }

    #[test]
    fn addresses_past_the_table_are_not_refused() {
        let sources = Arc::new(Sources::default());
        let kept: Vec<_> = (0..40_000).map(|n| sources.take(ip(n), 1)).collect();
        assert!(kept.iter().all(Option::is_some));
        assert!(kept.iter().flatten().any(|place| place.counted.is_none()));
    }
}
