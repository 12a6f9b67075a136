//! A worker's end of the access log.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;

use super::json::Line;
use super::record::{ExchangeRecord, FlowRecord};
use crate::metrics::{PerWorker, WorkerCounters};

/// What workers and the writer both look at.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// False: records are not even formatted.
    pub(super) enabled: AtomicBool,
    /// True while the writer waits for somebody to wake it.
    pub(super) asleep: AtomicBool,
}

/// One worker's ring. Records that do not fit are dropped and counted.
pub struct LogRing {
    inner: RefCell<Inner>,
    shared: Arc<Shared>,
    writer: Thread,
    counters: PerWorker<WorkerCounters>,
    worker: usize,
}

struct Inner {
    ring: rtrb::Producer<u8>,
    scratch: Vec<u8>,
}

impl std::fmt::Debug for LogRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogRing")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl LogRing {
    pub(super) fn new(
        ring: rtrb::Producer<u8>,
        shared: Arc<Shared>,
        writer: Thread,
        counters: PerWorker<WorkerCounters>,
        worker: usize,
    ) -> Self {
        let scratch = Vec::with_capacity(1024);
        Self {
            inner: RefCell::new(Inner { ring, scratch }),
            shared,
            writer,
            counters,
            worker,
        }
    }

    /// False when records go nowhere: then spare the work of making them.
    pub fn is_on(&self) -> bool {
        self.shared.enabled.load(Ordering::Relaxed)
    }

    /// Logs an HTTP exchange.
    pub fn exchange(&self, record: &ExchangeRecord<'_>) {
        self.write(|line| record.write(line));
    }

    /// Logs a TCP flow.
    pub fn flow(&self, record: &FlowRecord<'_>) {
        self.write(|line| record.write(line));
    }

    fn write(&self, fill: impl FnOnce(&mut Line<'_>)) {
        if !self.is_on() {
            return;
        }
        let Inner { ring, scratch } = &mut *self.inner.borrow_mut();
        let mut line = Line::begin(scratch);
        fill(&mut line);
        line.end();
        match ring.push_entire_slice(scratch) {
            Ok(()) => self.wake_writer(),
            Err(_full) => self.counters.of(self.worker).log_dropped.add(1),
        }
    }

    /// Wakes the writer if it sleeps. The fence orders the push before the look at the flag; the
    /// writer has its own between setting the flag and looking at the rings.
    fn wake_writer(&self) {
        fence(Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::Relaxed)
            && self.shared.asleep.swap(false, Ordering::AcqRel)
        {
            self.writer.unpark();
        }
    }
}
