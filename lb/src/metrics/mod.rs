//! Counters of the data path: one set per worker, merged when somebody scrapes.
//!
//! Workers write through [`PerWorker::of`] (single writer, relaxed, no hashing); `collect` sums.
//! Sets are kept by name in the [`Registry`], so that they survive reloads. Nothing here decides
//! anything.
//!
//! Cost: a count is one relaxed load and one relaxed store on a line of this worker's own.

mod collect;
mod exchange;
mod flows;
mod histogram;
mod http2;
mod listener;
mod names;
mod reject;
mod requests;
mod retries;
mod sticky;
mod tls;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use exchange::{CODE_CLASSES, ExchangeCounters};
pub use flows::{FlowCounters, FlowSide, UdpCounters};
pub use histogram::Histogram;
pub(crate) use http2::{Http2Counters, Http2End};
pub use listener::ListenerCounters;
pub use reject::RejectReason;
pub(crate) use requests::RequestCounters;
use retries::RefusedRetries;
pub use retries::{RetryReason, RetryRefusal};
use sticky::StickyCounters;
pub use sticky::StickyOutcome;
pub use tls::TlsCounters;

use crate::target::Padded;
use crate::tls::Refreshes;
pub(crate) use collect::collect;

/// A number that one worker adds to and anybody reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. For the one worker that owns the counter.
    pub fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One `T` per worker, each on cache lines of its own.
#[derive(Debug)]
pub struct PerWorker<T>(Arc<[Padded<T>]>);

impl<T> Clone for PerWorker<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> PerWorker<T> {
    /// A set for `workers` workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Padded::default()).collect())
    }
}

impl<T> PerWorker<T> {
    /// The part of worker number `worker`. Only that worker may write to it.
    ///
    /// # Panics
    /// On a worker number that was never given out.
    pub fn of(&self, worker: usize) -> &T {
        &self.0[worker].0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }

    /// The sum over the workers of what `pick` reads.
    pub(crate) fn sum(&self, pick: impl Fn(&T) -> u64) -> u64 {
        self.iter().map(pick).sum()
    }
}

/// What one worker counts for itself.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    retries: [Counter; RetryReason::ALL.len()],
    sticky: StickyCounters,
    refused_retries: RefusedRetries,
    /// Times accepting paused because the process had no descriptor to spare.
    pub accept_pauses: Counter,
    /// Access-log records dropped because the ring was full.
    pub log_dropped: Counter,
    /// Pipes open for spliced flows, as a level: opened.
    pub pipes_opened: Counter,
    /// Pipes closed again.
    pub pipes_closed: Counter,
}

impl WorkerCounters {
    /// Counts an attempt that made another target necessary.
    pub fn retry(&self, reason: RetryReason) {
        self.retries[reason as usize].add(1);
    }

    /// Retries for `reason`.
    pub fn retries(&self, reason: RetryReason) -> u64 {
        self.retries[reason as usize].value()
    }
}

/// Every set of counters, by name. Owned by the control plane; grows by one entry for each
/// listener name and (listener, group) pair the process has ever served.
#[derive(Debug)]
pub(crate) struct Registry {
    workers: usize,
    pub(crate) by_worker: PerWorker<WorkerCounters>,
    pub(crate) refreshes: Arc<Refreshes>,
    pub(crate) listeners: HashMap<Arc<str>, PerWorker<ListenerCounters>>,
    pub(crate) exchanges: HashMap<(Arc<str>, Arc<str>), PerWorker<ExchangeCounters>>,
}

impl Registry {
    /// An empty registry for `workers` workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            by_worker: PerWorker::new(workers),
            refreshes: Arc::default(),
            listeners: HashMap::new(),
            exchanges: HashMap::new(),
        }
    }

    /// How many workers write to each set.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// The counters of a listener.
    pub(crate) fn listener(&mut self, name: &Arc<str>) -> PerWorker<ListenerCounters> {
        let workers = self.workers;
        let entry = self.listeners.entry(name.clone());
        entry.or_insert_with(|| PerWorker::new(workers)).clone()
    }

    /// The counters of a (listener, group) pair.
    pub(crate) fn exchange(
        &mut self,
        listener: &Arc<str>,
        group: &Arc<str>,
    ) -> PerWorker<ExchangeCounters> {
        let workers = self.workers;
        let entry = self.exchanges.entry((listener.clone(), group.clone()));
        entry.or_insert_with(|| PerWorker::new(workers)).clone()
    }
}
