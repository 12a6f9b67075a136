//! Which snapshot each worker has adopted, and waiting for all of them.
//!
//! Workers write when they adopt; the control plane waits. Never used per request.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A generation that every wait is satisfied by: of a worker that has ended.
const ENDED: u64 = u64::MAX;

/// Every worker's adopted generations.
#[derive(Debug)]
pub(crate) struct Acknowledgements {
    workers: Vec<Adopted>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Adopted {
    config: AtomicU64,
    health: AtomicU64,
}

impl Acknowledgements {
    /// Nothing adopted by any of `workers` workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| Adopted::default()).collect(),
            changed: Notify::new(),
        }
    }

    /// Worker number `worker` serves a snapshot of these generations.
    pub(crate) fn adopted(&self, worker: usize, config: u64, health: u64) {
        if let Some(adopted) = self.workers.get(worker) {
            adopted.config.store(config, Ordering::Release);
            adopted.health.store(health, Ordering::Release);
            self.changed.notify_waiters();
        }
    }

    /// Worker number `worker` serves nothing any more.
    pub(crate) fn ended(&self, worker: usize) {
        self.adopted(worker, ENDED, ENDED);
    }

    /// Waits until every worker serves at least this configuration generation.
    pub(crate) async fn config(&self, generation: u64) {
        self.wait(|adopted| adopted.config.load(Ordering::Acquire) >= generation)
            .await;
    }

    /// Waits until every worker serves at least this health generation.
    pub(crate) async fn health(&self, generation: u64) {
        self.wait(|adopted| adopted.health.load(Ordering::Acquire) >= generation)
            .await;
    }

    /// Ready when some worker has adopted something since this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    async fn wait(&self, satisfied: impl Fn(&Adopted) -> bool) {
        loop {
            let changed = self.changed.notified();
            if self.workers.iter().all(&satisfied) {
                return;
            }
            changed.await;
        }
    }
}
