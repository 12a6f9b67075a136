//! Work that waits for a place on targets that have as much as they may have (`max-in-flight`).
//!
//! One queue per group, shared by all workers: whichever of them ends work on a limited target wakes
//! the one that has waited longest. Who comes later does not overtake. Waiting is the worker
//! context's; nothing is decided here.
//!
//! Cost: one atomic load when work on a limited target ends; nothing for groups without limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::{Notified, OwnedNotified};

/// A group's queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: AtomicUsize,
    freed: Arc<Notify>,
}

/// Counts as waiting until dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Queue>);

impl Queue {
    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Counts one more as waiting. Look for a place once more after this: one that became free
    /// before was told to nobody.
    pub(crate) fn enter(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self.clone())
    }

    /// Ready when a place became free and it is this one's turn.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// The same, for who keeps it.
    pub(crate) fn freed_owned(&self) -> OwnedNotified {
        self.freed.clone().notified_owned()
    }

    /// Tells that a place became free.
    pub(crate) fn free(&self) {
        if self.waiting() > 0 {
            self.freed.notify_one();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
