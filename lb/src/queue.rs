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
    /// Places told of that nobody has looked for yet.
    told: AtomicUsize,
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
            self.told.fetch_add(1, Ordering::SeqCst);
            self.freed.notify_one();
        }
    }

    /// Whose turn it is has been told, and has looked.
    pub(crate) fn heard(&self) {
        let less = |told: usize| told.checked_sub(1);
        // None is left where the last one that waited has gone meanwhile.
        let _ = self
            .told
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    /// True while whose turn it is has been told and has not looked yet: on a busy machine that takes
    /// a while, in which nobody else is to take its place.
    pub(crate) fn is_promised(&self) -> bool {
        self.told.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.told.store(0, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_promised_until_who_was_told_of_it_has_looked() {
        let queue = Arc::<Queue>::default();
        queue.free();
        assert!(!queue.is_promised(), "nobody waits");
        let waiting = [queue.enter(), queue.enter()];
        queue.free();
        queue.free();
        queue.heard();
        assert!(queue.is_promised());
        queue.heard();
        assert!(!queue.is_promised());
        // One that was told of is given up with those who waited.
        queue.free();
        drop(waiting);
        assert!(!queue.is_promised());
        queue.heard();
        assert!(!queue.is_promised());
    }
}
