//! A worker's end of the logs: one ring for exchanges, one for flows that have a log of their own, one
//! for clients' connections.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering, fence};
use std::thread::Thread;

use super::flow::{FlowRecord, SkippedRecord};
use super::json::{Line, quoted};
use super::record::ExchangeRecord;
use super::time::LastSecond;
use super::{ConnectionRecord, alb, aws};
use crate::metrics::{PerWorker, WorkerCounters};

/// What workers and the writer both look at.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// By lane. False: records are not even formatted.
    pub(super) enabled: [AtomicBool; LANES],
    /// True: flows go to the lane of their own.
    pub(super) flows_apart: AtomicBool,
    /// True: exchanges are written as ALB does.
    pub(super) exchanges_as_aws: AtomicBool,
    /// One exchange of so many is logged.
    pub(super) sample: AtomicU32,
    /// True: flows are written as AWS does.
    pub(super) flows_as_aws: AtomicBool,
    /// True: connections are written as ALB does.
    pub(super) connections_as_aws: AtomicBool,
    /// Whether the writer waits, and for what: one of the constants of [`rest`].
    pub(super) rest: AtomicU8,
}

/// What the writer is at.
pub(super) mod rest {
    /// Looking at the rings, or about to.
    pub(crate) const AWAKE: u8 = 0;
    /// Letting records come together for a while; to be woken when a ring is half full.
    pub(crate) const GATHERING: u8 = 1;
    /// Waiting for any record.
    pub(crate) const ASLEEP: u8 = 2;
}

/// What of an exchange is worth keeping for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// Nothing: there is no log.
    Off,
    /// What JSON shows.
    Plain,
    /// What ALB shows too: some fields of the request.
    Full,
    /// The head besides: for past requests.
    Whole,
}

/// Ways from each worker to the writer, each with a destination.
pub(super) const LANES: usize = 3;
/// Exchanges, and flows that have no log of their own.
pub(super) const ACCESS: usize = 0;
/// Flows.
pub(super) const FLOW: usize = 1;
/// Clients' connections.
pub(super) const CONNECTION: usize = 2;

/// Bytes a ring holds: about 1000 records.
pub(super) const RING_BYTES: usize = 256 * 1024;

/// One worker's rings. Records that do not fit are dropped and counted.
pub struct LogRing {
    /// Exchanges left out since the last one that was logged.
    turn: Cell<u32>,
    inner: RefCell<Inner>,
    shared: Arc<Shared>,
    writer: Thread,
    counters: PerWorker<WorkerCounters>,
    worker: usize,
}

struct Inner {
    rings: [rtrb::Producer<u8>; LANES],
    scratch: Vec<u8>,
    second: LastSecond,
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
        rings: [rtrb::Producer<u8>; LANES],
        shared: Arc<Shared>,
        writer: Thread,
        counters: PerWorker<WorkerCounters>,
        worker: usize,
    ) -> Self {
        let scratch = Vec::with_capacity(1024);
        Self {
            turn: Cell::new(0),
            inner: RefCell::new(Inner {
                rings,
                scratch,
                second: LastSecond::default(),
            }),
            shared,
            writer,
            counters,
            worker,
        }
    }

    /// False when records of exchanges go nowhere: then spare the work of making them.
    pub fn is_on(&self) -> bool {
        self.is_enabled(ACCESS)
    }

    /// False when records of flows go nowhere.
    pub fn logs_flows(&self) -> bool {
        self.is_enabled(self.lane_of_flows())
    }

    /// False when records of connections go nowhere.
    pub fn logs_connections(&self) -> bool {
        self.is_enabled(CONNECTION)
    }

    /// What of an exchange is worth keeping for its record.
    pub(crate) fn detail(&self) -> Detail {
        match (self.is_on(), self.writes_as_alb()) {
            (false, _) => Detail::Off,
            (true, false) => Detail::Plain,
            (true, true) => Detail::Full,
        }
    }

    fn writes_as_alb(&self) -> bool {
        self.shared.exchanges_as_aws.load(Ordering::Relaxed)
    }

    /// True when it is an exchange's turn to be logged.
    fn is_sampled(&self) -> bool {
        let sample = self.shared.sample.load(Ordering::Relaxed);
        if sample <= 1 {
            return true;
        }
        let turn = self.turn.get();
        self.turn.set(if turn + 1 >= sample { 0 } else { turn + 1 });
        turn == 0
    }

    /// Logs an HTTP exchange, if it went wrong or has its turn.
    pub fn exchange(&self, record: &ExchangeRecord<'_>) {
        if !self.is_sampled() && !record.is_remarkable() {
            return;
        }
        let as_alb = self.writes_as_alb();
        // Else it would lead nowhere.
        let shows_connection = self.logs_connections();
        self.write(ACCESS, |out, second| {
            if as_alb {
                return alb::write(out, record);
            }
            let mut line = Line::begin(out, second, record.time);
            record.write(&mut line);
            if shows_connection {
                line.display(quoted!("conn_trace_id"), record.connection);
            }
            line.end();
        });
    }

    /// Logs a flow.
    pub fn flow(&self, record: &FlowRecord<'_>) {
        let as_aws = self.shared.flows_as_aws.load(Ordering::Relaxed);
        self.write(self.lane_of_flows(), |out, second| {
            if as_aws {
                return aws::write(out, record);
            }
            let mut line = Line::begin(out, second, record.time);
            record.write(&mut line);
            line.end();
        });
    }

    /// Logs a client's connection.
    pub fn connection(&self, record: &ConnectionRecord<'_>) {
        let as_aws = self.shared.connections_as_aws.load(Ordering::Relaxed);
        self.write(CONNECTION, |out, second| {
            if as_aws {
                return alb::write_connection(out, record);
            }
            let mut line = Line::begin(out, second, record.time);
            record.write(&mut line);
            line.end();
        });
    }

    /// Logs that refused datagrams went unrecorded.
    pub fn skipped(&self, record: &SkippedRecord<'_>) {
        let as_aws = self.shared.flows_as_aws.load(Ordering::Relaxed);
        self.write(self.lane_of_flows(), |out, second| {
            if as_aws {
                return aws::write_skipped(out, record);
            }
            let mut line = Line::begin(out, second, record.time);
            record.write(&mut line);
            line.end();
        });
    }

    fn is_enabled(&self, lane: usize) -> bool {
        let enabled = self.shared.enabled.get(lane);
        enabled.is_some_and(|enabled| enabled.load(Ordering::Relaxed))
    }

    fn lane_of_flows(&self) -> usize {
        match self.shared.flows_apart.load(Ordering::Relaxed) {
            true => FLOW,
            false => ACCESS,
        }
    }

    fn write(&self, lane: usize, fill: impl FnOnce(&mut Vec<u8>, &mut LastSecond)) {
        if !self.is_enabled(lane) {
            return;
        }
        let Inner {
            rings,
            scratch,
            second,
        } = &mut *self.inner.borrow_mut();
        let Some(ring) = rings.get_mut(lane) else {
            return;
        };
        scratch.clear();
        fill(scratch, second);
        match ring.push_entire_slice(scratch) {
            Ok(()) => self.wake_writer(ring),
            Err(_full) => self.counters.of(self.worker).log_dropped.add(1),
        }
    }

    /// Wakes the writer if it waits for what `ring` holds now. The fence orders the push before the
    /// look at the flag; the writer has its own between setting the flag and looking at the rings.
    fn wake_writer(&self, ring: &rtrb::Producer<u8>) {
        fence(Ordering::SeqCst);
        let is_awaited = match self.shared.rest.load(Ordering::Relaxed) {
            rest::ASLEEP => true,
            rest::GATHERING => ring.slots() < RING_BYTES / 2,
            _ => false,
        };
        if is_awaited && self.shared.rest.swap(rest::AWAKE, Ordering::AcqRel) != rest::AWAKE {
            self.writer.unpark();
        }
    }
}
