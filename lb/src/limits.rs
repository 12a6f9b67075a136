//! Limits on open client connections, exact over all workers.
//!
//! Asked once per accepted connection. Cost: one compare-and-swap on the listener's counter and
//! one addition on the process's; the same again when the connection ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::target::Padded;

/// One listener's open connections and their limit; survives reloads by name.
#[derive(Debug, Default)]
pub struct ListenerLoad {
    open: Padded<AtomicUsize>,
    /// 0 = unlimited.
    limit: AtomicUsize,
}

impl ListenerLoad {
    /// Connections open now, over all workers.
    pub fn open(&self) -> usize {
        self.open.0.load(Ordering::Relaxed)
    }

    /// Sets the limit; 0 = unlimited. Connections over a lowered limit stay.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    fn admit(&self) -> bool {
        let limit = match self.limit.load(Ordering::Relaxed) {
            0 => usize::MAX,
            limit => limit,
        };
        let admit = |open| (open < limit).then_some(open + 1);
        let relaxed = Ordering::Relaxed;
        self.open.0.fetch_update(relaxed, relaxed, admit).is_ok()
    }
}

/// Open client connections of the whole process against the file-descriptor budget.
#[derive(Debug)]
pub(crate) struct Budget {
    open: Padded<AtomicUsize>,
    limit: usize,
}

impl Budget {
    /// A budget of `limit` connections.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            open: Padded::default(),
            limit,
        }
    }

    /// Connections that fit.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// False while accepting should pause. Workers may overshoot by one connection each, which
    /// the descriptor reserve covers.
    pub(crate) fn has_room(&self) -> bool {
        self.open.0.load(Ordering::Relaxed) < self.limit
    }
}

/// A client connection's place within the limits; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    listener: Arc<ListenerLoad>,
    budget: Arc<Budget>,
}

impl Admission {
    /// Takes a place; `None` when the listener has its maximum open.
    pub(crate) fn take(listener: &Arc<ListenerLoad>, budget: &Arc<Budget>) -> Option<Self> {
        if !listener.admit() {
            return None;
        }
        budget.open.0.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            listener: listener.clone(),
            budget: budget.clone(),
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.listener.open.0.fetch_sub(1, Ordering::Relaxed);
        self.budget.open.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted_by_threads(threads: usize, limit: usize) -> usize {
        let load = Arc::new(ListenerLoad::default());
        load.set_limit(limit);
        let budget = Arc::new(Budget::new(usize::MAX));
        let take = |_| {
            let (load, budget) = (load.clone(), budget.clone());
            std::thread::spawn(move || {
                let taken = (0..1000).filter_map(|_| Admission::take(&load, &budget));
                taken.collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..threads).map(take).collect();
        let kept: Vec<_> = threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect();
        assert_eq!(load.open(), kept.len());
        let count = kept.len();
        drop(kept);
        assert_eq!(load.open(), 0);
        count
    }

    #[test]
    fn limit_is_exact_with_two_and_four_threads() {
        assert_eq!(admitted_by_threads(2, 1500), 1500);
        assert_eq!(admitted_by_threads(4, 777), 777);
    }
}
