//! Work in hand on one worker: which exchanges and flows run on which target, so that they can be
//! ended from outside.
//!
//! Filled by [`WorkerContext::begin`](crate::WorkerContext::begin); walked by the worker's control
//! loop when a snapshot says that some target's fate changed. Never ends anything itself: it tells
//! the task that owns the work.
//!
//! Cost: begin and end touch one slab entry (no allocation once warm) and the target's counters.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::target::{End, Target, WorkKind};

/// One worker's work in hand.
#[derive(Debug, Default, Clone)]
pub(crate) struct WorkTable(Rc<RefCell<Slab<Entry>>>);

#[derive(Debug)]
struct Entry {
    target: Arc<Target>,
    kind: WorkKind,
    end: Option<End>,
    waker: Option<Waker>,
}

impl WorkTable {
    /// Counts and registers work that begins on `target`; `None` when it is full.
    pub(crate) fn begin(&self, target: &Arc<Target>, kind: WorkKind) -> Option<Work> {
        target.begin().then(|| self.enter(target, kind))
    }

    /// The same, whatever the target's limit is.
    pub(crate) fn begin_beyond(&self, target: &Arc<Target>, kind: WorkKind) -> Work {
        target.begin_beyond();
        self.enter(target, kind)
    }

    fn enter(&self, target: &Arc<Target>, kind: WorkKind) -> Work {
        let entry = Entry {
            target: target.clone(),
            kind,
            end: None,
            waker: None,
        };
        Work {
            key: self.0.borrow_mut().insert(entry),
            target: target.clone(),
            table: self.clone(),
        }
    }

    /// Tells all work whose target's fate ends it.
    pub(crate) fn tell_ends(&self) {
        let mut told = Vec::new();
        for (_, entry) in self.0.borrow_mut().iter_mut() {
            if entry.end.is_none() {
                entry.end = entry.target.fate().ends(entry.kind);
                if entry.end.is_some() {
                    told.extend(entry.waker.take());
                }
            }
        }
        told.into_iter().for_each(Waker::wake);
    }

    /// Makes all work end: to be seen when its task is polled next.
    pub(crate) fn end_all(&self) {
        for (_, entry) in self.0.borrow_mut().iter_mut() {
            entry.end.get_or_insert(End::Shutdown);
        }
    }
}

/// An exchange or flow running on a target. Counted as in flight until dropped.
#[derive(Debug)]
pub struct Work {
    table: WorkTable,
    key: usize,
    target: Arc<Target>,
}

impl Work {
    /// The target it runs on.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Makes it a flow: an exchange that was upgraded.
    pub(crate) fn become_flow(&self) {
        if let Some(entry) = self.table.0.borrow_mut().get_mut(self.key) {
            entry.kind = WorkKind::Flow;
        }
    }

    /// Why it must end now, if it must.
    pub fn end(&self) -> Option<End> {
        self.table.0.borrow().get(self.key)?.end
    }

    /// Ready when the work must end; else the task is woken when that changes. Cheap to poll
    /// again: the waker is kept while it stays the same task's.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        let mut table = self.table.0.borrow_mut();
        let Some(entry) = table.get_mut(self.key) else {
            return Poll::Pending;
        };
        if let Some(end) = entry.end {
            return Poll::Ready(end);
        }
        if !entry
            .waker
            .as_ref()
            .is_some_and(|w| w.will_wake(cx.waker()))
        {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until the work must end.
    pub async fn ended(&self) -> End {
        std::future::poll_fn(|cx| self.poll_end(cx)).await
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.table.0.borrow_mut().try_remove(self.key);
        self.target.end();
    }
}
