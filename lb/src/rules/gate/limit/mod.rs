//! Rate limits compiled: who shares a limit, and whether a request is within it.
//!
//! Made with the plan; asked by the gate once per request and limit. What keys have used survives
//! reloads by listener, rule and place. Sans-io: `now` is the moment the request began to come.
//!
//! Cost: without a key one compare-and-swap; with one a hash, and the table's.

mod gcra;
mod table;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conf::LimitKey;
use tokio::time::Instant;

use self::gcra::Rate;
use self::table::Table;
use super::Passing;
use super::key::{cookie, prefix};
use crate::target::Padded;

/// A compiled limit.
#[derive(Debug)]
pub(crate) struct Limit {
    rate: Rate,
    key: LimitKey,
    dry_run: bool,
    usage: Arc<Usage>,
}

/// What was used of a limit; survives reloads.
#[derive(Debug)]
pub(crate) struct Usage {
    origin: Instant,
    /// Keyed at random, so that nobody can choose keys that share an entry.
    hash: RandomState,
    /// Of all requests together.
    together: Padded<AtomicU64>,
    /// By key; `None` for a limit without.
    by_key: Option<Table>,
    refused: AtomicU64,
    passed_over: AtomicU64,
}

/// What a limit counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LimitCounts {
    /// Requests refused.
    pub(crate) refused: u64,
    /// Requests let through because it is a dry run.
    pub(crate) dry_run: u64,
    /// Busy keys forgotten for want of room.
    pub(crate) evicted: u64,
}

/// A request over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It is refused, for so many seconds.
    Refused(u32),
    /// It passes all the same.
    DryRun,
}

impl Usage {
    fn new(keyed: bool) -> Self {
        Self {
            origin: Instant::now(),
            hash: RandomState::new(),
            together: Padded::default(),
            by_key: keyed.then(Table::new),
            refused: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
        }
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> LimitCounts {
        LimitCounts {
            refused: self.refused.load(Ordering::Relaxed),
            dry_run: self.passed_over.load(Ordering::Relaxed),
            evicted: self.by_key.as_ref().map_or(0, Table::evicted),
        }
    }
}

impl Limit {
    /// The configured limit. It goes on with `usage` where that is of the same kind.
    pub(crate) fn new(limit: &conf::RequestLimit, usage: Option<Arc<Usage>>) -> Self {
        let keyed = limit.key != LimitKey::All;
        let usage = usage.filter(|usage| usage.by_key.is_some() == keyed);
        Self {
            rate: Rate::new(limit),
            key: limit.key.clone(),
            dry_run: limit.dry_run,
            usage: usage.unwrap_or_else(|| Arc::new(Usage::new(keyed))),
        }
    }

    /// What was used of it.
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// Takes one request; says so when it is over the limit.
    pub(super) fn take(&self, passing: Passing<'_, '_>) -> Option<Over> {
        let usage = &*self.usage;
        let since = passing.now.saturating_duration_since(usage.origin);
        let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let taken = match &usage.by_key {
            Some(table) => table.take(self.hash(passing), self.rate, now),
            None => self.take_together(now),
        };
        let wait = taken.err()?;
        let (counter, over) = match self.dry_run {
            true => (&usage.passed_over, Over::DryRun),
            false => (&usage.refused, Over::Refused(seconds(wait))),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Some(over)
    }

    fn take_together(&self, now: u64) -> Result<(), u64> {
        let mut wait = 0;
        let relaxed = Ordering::Relaxed;
        let next = |arrival| match self.rate.decide(arrival, now) {
            Ok(next) => Some(next),
            Err(needed) => {
                wait = needed;
                None
            }
        };
        let taken = self.usage.together.0.fetch_update(relaxed, relaxed, next);
        taken.map(drop).map_err(|_| wait)
    }

    fn hash(&self, passing: Passing<'_, '_>) -> u64 {
        let mut hasher = self.usage.hash.build_hasher();
        let fields = passing.head.fields;
        match &self.key {
            LimitKey::All => {}
            LimitKey::Source => match prefix(passing.peer) {
                IpAddr::V4(address) => hasher.write(&address.octets()),
                IpAddr::V6(address) => hasher.write(&address.octets()),
            },
            LimitKey::Header(name) => {
                let named = fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
                for field in named {
                    hasher.write_usize(field.value.len());
                    hasher.write(field.value);
                }
            }
            LimitKey::Cookie(name) => {
                if let Some(value) = cookie(fields, name) {
                    hasher.write_u8(1);
                    hasher.write(value);
                }
            }
        }
        hasher.finish()
    }
}

/// Whole seconds, rounded up: a client that waits so long is not refused for the same reason.
fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1_000_000_000).max(1)).unwrap_or(u32::MAX)
}
