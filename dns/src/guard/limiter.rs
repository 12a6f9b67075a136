//! Response rate limiting: like answers to one network, so that forged senders gain nothing.
//!
//! One table for the process, of a fixed size, shared by every UDP thread and asked for each answer
//! that goes to a sender who has shown nothing. A cell is one number: whose it is, and when its
//! next answer is due if all had come evenly (the generic cell rate algorithm); a second's worth
//! may come at once. When all cells of a row are busy the one with the least to pay gives way.
//! Cost: one hash, one row of four cells, one compare-and-swap; no lock, no allocation.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use conf::RateLimit;
use ipnet::IpNet;

/// Rows of four cells: 512 KiB, so many networks and names at once.
const ROWS: usize = 1 << 14;
const ROW: usize = 4;
/// Low bits of a cell hold the time, in units of 16 microseconds: good for eight years.
const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const UNITS_PER_SECOND: u64 = 62_500;

/// What kind of answer it is: each is limited by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind<'n> {
    /// Records, or that the name has none of the type: by name and type.
    Answer(&'n [u8], u16),
    /// The name does not exist: by zone, for random names are the usual attack.
    Missing(u16),
    /// An error or a refusal.
    Error,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent.
    Send,
    /// An empty one is sent that asks for TCP.
    Truncate,
    /// Nothing is sent.
    Drop,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Limiter {
    settings: RateLimit,
    /// Units of time that one answer costs.
    cost: u64,
    keys: RandomState,
    cells: Box<[AtomicU64]>,
    limited: AtomicU32,
    /// Answers dropped and truncated.
    pub(crate) dropped: AtomicU64,
    /// The same, truncated.
    pub(crate) truncated: AtomicU64,
}

impl Limiter {
    /// An empty table.
    pub(super) fn new(settings: &RateLimit) -> Self {
        let rate = u64::from(settings.responses_per_second.max(1));
        Self {
            settings: settings.clone(),
            // Rates past one answer a unit are as good as no limit.
            cost: (UNITS_PER_SECOND / rate).max(1),
            keys: RandomState::new(),
            cells: (0..ROWS * ROW).map(|_| AtomicU64::new(0)).collect(),
            limited: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
            truncated: AtomicU64::new(0),
        }
    }

    /// What it was made from.
    pub(super) fn settings(&self) -> &RateLimit {
        &self.settings
    }

    /// True when answers to this sender are never limited.
    pub(crate) fn exempts(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        let holds = |network: &IpNet| network.contains(&source);
        source.is_loopback() || self.settings.exempt.iter().any(holds)
    }

    /// Counts an answer at `micros` (of a clock that never goes back) and says what becomes of it.
    pub(crate) fn verdict(&self, source: IpAddr, kind: Kind<'_>, micros: u64) -> Verdict {
        let key = (network(source), kind);
        if self.take(self.keys.hash_one(key), micros / 16) {
            return Verdict::Send;
        }
        let count = self.limited.fetch_add(1, Ordering::Relaxed);
        let verdict = match self.settings.slip {
            0 => Verdict::Drop,
            slip if count % slip == slip - 1 => Verdict::Truncate,
            _ => Verdict::Drop,
        };
        let counter = match verdict {
            Verdict::Truncate => &self.truncated,
            _ => &self.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if self.settings.dry_run {
            Verdict::Send
        } else {
            verdict
        }
    }

    /// Pays for one answer; false when there is no credit.
    fn take(&self, hash: u64, now: u64) -> bool {
        // Now is never 0, so that an empty cell is one whose answer was due long ago.
        let now = (now + 1) & TIME_MASK;
        let tag = hash & !TIME_MASK;
        let row = (hash as usize % ROWS) * ROW;
        let Some(row) = self.cells.get(row..row + ROW) else {
            return true;
        };
        loop {
            let seen = row.iter().map(|cell| (cell, cell.load(Ordering::Relaxed)));
            let mine = seen.clone().find(|(_, value)| value & !TIME_MASK == tag);
            let place = mine.or_else(|| seen.min_by_key(|(_, value)| value & TIME_MASK));
            let Some((cell, value)) = place else {
                return true;
            };
            let due = match mine {
                Some(_) => (value & TIME_MASK).max(now),
                None => now,
            };
            if due - now > UNITS_PER_SECOND.saturating_sub(self.cost) {
                return false;
            }
            let next = tag | ((due + self.cost) & TIME_MASK);
            let swapped = cell.compare_exchange(value, next, Ordering::Relaxed, Ordering::Relaxed);
            if swapped.is_ok() {
                return true;
            }
        }
    }
}

/// An IPv4 /24 or an IPv6 /56: who could forge one address could forge its neighbours.
fn network(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
        IpAddr::V6(v6) => ((u128::from(v6) >> 72) as u64) | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: u32, slip: u32) -> Limiter {
        Limiter::new(&RateLimit {
            responses_per_second: rate,
            slip,
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
            dry_run: false,
        })
    }

    fn sent(limiter: &Limiter, source: &str, times: std::ops::Range<u64>) -> usize {
        let source = source.parse().unwrap();
        let kind = Kind::Answer(b"\x01a\0", 1);
        times
            .filter(|&micros| limiter.verdict(source, kind, micros) == Verdict::Send)
            .count()
    }

    #[test]
    fn a_network_gets_its_rate_and_no_more() {
        let limiter = limiter(50, 2);
        assert_eq!(sent(&limiter, "192.0.2.1", 0..1000), 50);
        // Its neighbour shares what is left, which is nothing; another network has its own.
        assert_eq!(sent(&limiter, "192.0.2.200", 1000..1100), 0);
        assert_eq!(sent(&limiter, "192.0.3.1", 1100..1200), 50);
        assert_eq!(sent(&limiter, "2001:db8::1", 1200..1300), 50);
        let later = 1_000_000..1_000_100;
        assert!((49..=50).contains(&sent(&limiter, "192.0.2.1", later)));
        let limited = limiter.dropped.load(Ordering::Relaxed);
        let truncated = limiter.truncated.load(Ordering::Relaxed);
        assert!(limited.abs_diff(truncated) <= 1, "{limited} {truncated}");
    }

    #[test]
    fn threads_share_one_limit() {
        for threads in [2, 4] {
            let limiter = limiter(100, 0);
            let count = || sent(&limiter, "192.0.2.1", 0..1000);
            let total: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
                threads.into_iter().map(|t| t.join().unwrap()).sum()
            });
            assert_eq!(total, 100);
        }
    }

    #[test]
    fn kinds_are_limited_apart_and_names_of_a_zone_together() {
        let limiter = limiter(1, 1);
        let source = "192.0.2.1".parse().unwrap();
        let verdicts = [
            (Kind::Answer(b"\x01a\0", 1), Verdict::Send),
            (Kind::Answer(b"\x01a\0", 28), Verdict::Send),
            (Kind::Answer(b"\x01b\0", 1), Verdict::Send),
            (Kind::Missing(1), Verdict::Send),
            (Kind::Missing(1), Verdict::Truncate),
            (Kind::Missing(2), Verdict::Send),
            (Kind::Error, Verdict::Send),
            (Kind::Error, Verdict::Truncate),
        ];
        for (kind, verdict) in verdicts {
            assert_eq!(limiter.verdict(source, kind, 7), verdict, "{kind:?}");
        }
    }

    #[test]
    fn loopback_and_named_networks_are_exempt() {
        let limiter = limiter(1, 2);
        for (source, exempt) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.9.8.7", true),
            ("192.0.2.1", false),
        ] {
            assert_eq!(limiter.exempts(source.parse().unwrap()), exempt, "{source}");
        }
    }

    #[test]
    fn a_full_table_still_limits_who_asks_most() {
        let limiter = limiter(2, 0);
        for number in 0..300_000_u32 {
            let source = IpAddr::from((number << 8).to_be_bytes());
            limiter.verdict(source, Kind::Error, u64::from(number));
        }
        assert_eq!(sent(&limiter, "203.0.113.1", 300_000..300_100), 2);
    }
}
