//! The rings: one per worker, written by it, read by the control thread.
//!
//! The lock is held for a push, or for cloning the list: never while anything is looked for.
#![expect(
    clippy::disallowed_types,
    reason = "only where past requests are kept; held for a push or a copy of pointers"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{PastRequest, Remembered};

/// Emptied requests a worker keeps to be used again: as many as it has exchanges at once, as a rule.
const SPARE: usize = 64;

/// What a worker and the control thread share.
#[derive(Debug, Default)]
struct Shared {
    /// Requests that are kept; 0 = none is.
    capacity: AtomicUsize,
    /// Oldest first.
    kept: Mutex<VecDeque<Remembered>>,
}

impl Shared {
    /// A list that a panic elsewhere cannot have left half changed.
    fn kept(&self) -> MutexGuard<'_, VecDeque<Remembered>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's end.
#[derive(Debug)]
pub(crate) struct PastRing {
    shared: Arc<Shared>,
    spare: RefCell<Vec<Remembered>>,
}

impl PastRing {
    /// True when exchanges are to be remembered.
    pub(crate) fn is_on(&self) -> bool {
        self.shared.capacity.load(Ordering::Relaxed) > 0
    }

    /// What an exchange that begins now, under a configuration generation, is to note itself in; `None`
    /// when nothing is remembered.
    pub(crate) fn begin(&self, generation: u64) -> Option<Remembered> {
        self.is_on().then(|| self.empty(generation))
    }

    #[inline(never)]
    fn empty(&self, generation: u64) -> Remembered {
        let spare = self.spare.borrow_mut().pop();
        let mut past = spare.unwrap_or_default();
        if let Some(unshared) = Arc::get_mut(&mut past) {
            unshared.generation = generation;
        }
        past
    }

    /// Keeps an exchange that has ended, and forgets the oldest ones that there is no room for.
    pub(crate) fn keep(&self, past: Remembered) {
        let capacity = self.shared.capacity.load(Ordering::Relaxed);
        let Some(mut oldest) = self.push(past, capacity) else {
            return;
        };
        let mut spare = self.spare.borrow_mut();
        // Not when somebody is reading it.
        if spare.len() < SPARE
            && let Some(unshared) = Arc::get_mut(&mut oldest)
        {
            unshared.clear();
            spare.push(oldest);
        }
    }

    /// Nothing is looked at or freed under the lock but what there is too much of after a resize.
    fn push(&self, past: Remembered, capacity: usize) -> Option<Remembered> {
        let mut kept = self.shared.kept();
        kept.push_back(past);
        let surplus = kept.len().checked_sub(capacity.saturating_add(1))?;
        kept.drain(..surplus);
        kept.pop_front()
    }
}

/// The control thread's end of all rings.
#[derive(Debug, Clone)]
pub(crate) struct PastRings(Arc<[Arc<Shared>]>);

impl PastRings {
    /// Rings for so many workers; nothing is kept yet.
    pub(crate) fn new(workers: usize) -> (Self, Vec<PastRing>) {
        let shared: Arc<[Arc<Shared>]> = (0..workers).map(|_| Arc::default()).collect();
        let ring = |shared: &Arc<Shared>| PastRing {
            shared: shared.clone(),
            spare: RefCell::default(),
        };
        let rings = shared.iter().map(ring).collect();
        (Self(shared), rings)
    }

    /// Has each worker keep so many from now on.
    pub(crate) fn resize(&self, capacity: usize) {
        for shared in self.0.iter() {
            shared.capacity.store(capacity, Ordering::Relaxed);
            let mut kept = shared.kept();
            let surplus = kept.len().saturating_sub(capacity);
            kept.drain(..surplus);
            kept.shrink_to(capacity);
        }
    }

    /// Everything that is kept.
    pub(super) fn all(&self) -> Vec<Arc<PastRequest>> {
        let mut all = Vec::new();
        for shared in self.0.iter() {
            all.extend(shared.kept().iter().cloned());
        }
        all
    }

    /// True when exchanges are remembered.
    pub(crate) fn is_on(&self) -> bool {
        let mut shared = self.0.iter();
        shared.any(|shared| shared.capacity.load(Ordering::Relaxed) > 0)
    }
}
