//! One target's live numbers: what must be exact for the process and survive reloads.
//!
//! Made by `compile`, shared by `Arc` between snapshots and the work in hand; written by workers
//! (in flight, selected) and, for the fate alone, by the control task. Never decides health.
//!
//! Cost: `begin` two atomic additions on one cache line of this target, `end` one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use conf::Address;
use healthcheck::{Signal, SlotId};
use tokio::time::Instant;

use crate::latency::Latency;
use crate::queue::Queue;

/// A value alone on its pair of cache lines, so that writing it slows no neighbour down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

/// What is to happen to work in hand on a target. Set by the control task only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Fate {
    /// Work in hand goes on.
    #[default]
    Serving = 0,
    /// Probes found it unhealthy and the group has `connection-termination`: flows end.
    Unhealthy = 1,
    /// The deregistration delay has passed, with `connection-termination`: everything ends.
    Deregistered = 2,
    /// The deregistration delay has passed, without `connection-termination`: exchanges end,
    /// flows go on.
    DeregisteredKeepingFlows = 3,
}

/// What kind of work is in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    /// An HTTP exchange.
    Exchange,
    /// A TCP flow (or an upgraded connection).
    Flow,
}

/// Why work was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Probes found the target unhealthy.
    TargetUnhealthy,
    /// The target's deregistration delay has passed.
    TargetDeregistered,
    /// The process ends, and its grace is over.
    Shutdown,
}

impl Fate {
    fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Unhealthy,
            2 => Self::Deregistered,
            3 => Self::DeregisteredKeepingFlows,
            _ => Self::Serving,
        }
    }

    /// Whether, and why, this fate ends work of `kind`.
    pub fn ends(self, kind: WorkKind) -> Option<End> {
        match (self, kind) {
            (Self::Unhealthy, WorkKind::Flow) => Some(End::TargetUnhealthy),
            (Self::Deregistered, _) | (Self::DeregisteredKeepingFlows, WorkKind::Exchange) => {
                Some(End::TargetDeregistered)
            }
            _ => None,
        }
    }
}

/// Live numbers of one target; identity is (group, address).
#[derive(Debug)]
pub struct Target {
    group: Arc<str>,
    address: Address,
    /// `address` as text, for logs and labels.
    name: Arc<str>,
    slot: SlotId,
    signal: Arc<Signal>,
    latency: Latency,
    load: Padded<Load>,
    /// Work it may have at a time; 0 = any.
    limit: AtomicU32,
    /// Who waits for a place on it or another of its group.
    queue: Arc<Queue>,
    fate: AtomicU8,
}

#[derive(Debug, Default)]
struct Load {
    in_flight: AtomicU32,
    selected: AtomicU64,
}

impl Target {
    /// A target with nothing in flight.
    pub fn new(
        group: Arc<str>,
        address: impl Into<Address>,
        slot: SlotId,
        signal: Arc<Signal>,
    ) -> Self {
        let address = address.into();
        Self {
            group,
            address,
            name: address.to_string().into(),
            slot,
            signal,
            latency: Latency::new(Instant::now()),
            load: Padded::default(),
            limit: AtomicU32::new(0),
            queue: Arc::default(),
            fate: AtomicU8::new(Fate::Serving as u8),
        }
    }

    /// The same, with its group's queue.
    pub(crate) fn with_queue(self, queue: Arc<Queue>) -> Self {
        Self { queue, ..self }
    }

    /// The name of its group.
    pub fn group(&self) -> &Arc<str> {
        &self.group
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Its address as text, for logs and labels.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its place in the health table.
    pub fn slot(&self) -> SlotId {
        self.slot
    }

    /// The live marks it shares with the board.
    pub fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// True while some worker found it unreachable and no later probe has passed.
    pub fn is_suspect(&self) -> bool {
        self.signal.is_suspect()
    }

    /// How long its answers take to begin.
    pub(crate) fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Exchanges and flows running on it, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.load.0.in_flight.load(Ordering::Relaxed)
    }

    /// Times work was begun on it since it was registered.
    pub fn selected(&self) -> u64 {
        self.load.0.selected.load(Ordering::Relaxed)
    }

    /// What is to happen to work in hand.
    pub fn fate(&self) -> Fate {
        Fate::from_bits(self.fate.load(Ordering::Acquire))
    }

    /// Decides what is to happen to work in hand; workers act on it when they next adopt a
    /// snapshot whose fate epoch differs.
    pub(crate) fn set_fate(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::Release);
    }

    /// Sets how much work it may have at a time; 0 = any. What it has beyond a lowered limit stays.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// True while it has as much work as it may have.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        limit != 0 && self.load.0.in_flight.load(Ordering::SeqCst) >= limit
    }

    /// Counts work that begins; `end` must follow. False, and nothing counted, when it is full.
    #[must_use]
    pub(crate) fn begin(&self) -> bool {
        let in_flight = &self.load.0.in_flight;
        match self.limit.load(Ordering::Relaxed) {
            0 => drop(in_flight.fetch_add(1, Ordering::Relaxed)),
            limit => {
                let add = |now: u32| (now < limit).then_some(now + 1);
                let order = Ordering::SeqCst;
                if in_flight.fetch_update(order, order, add).is_err() {
                    return false;
                }
            }
        }
        self.load.0.selected.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Counts work that begins whatever the limit is; `end` must follow.
    pub(crate) fn begin_beyond(&self) {
        self.load.0.in_flight.fetch_add(1, Ordering::SeqCst);
        self.load.0.selected.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts work that ended.
    pub(crate) fn end(&self) {
        // Before the queue is looked at: who enters it looks at this afterwards.
        self.load.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.limit.load(Ordering::Relaxed) != 0 {
            self.queue.free();
        }
    }
}
