//! What the balancer tells health about real traffic: the `suspect` mark, passive events, outcomes.
//!
//! Called from every worker's hot path. Cost: `is_suspect` one relaxed load; `report` one swap and,
//! only for the first of a burst, one `try_send`; `observe` one load where nobody counts outcomes,
//! else what [`Traffic`] costs. Never blocks, never allocates on the good path.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use crate::{SlotId, Traffic, TrafficOutcome};

/// Live marks of one target, shared by the board and all workers; survives reloads.
#[derive(Debug, Default)]
pub struct Signal {
    suspect: AtomicBool,
    doubted: AtomicBool,
    /// Counts of outcomes; made by the board once the target's group has `passive-health`.
    /// Boxed: targets of other groups need not carry the room for it.
    traffic: OnceLock<Box<Traffic>>,
}

impl Signal {
    /// The counts of outcomes; `None` where nobody ever asked for them.
    pub fn traffic(&self) -> Option<&Traffic> {
        self.traffic.get().map(|traffic| &**traffic)
    }

    /// The counts of outcomes, made now for so many workers if there are none.
    pub(crate) fn count_traffic(&self, workers: usize) -> &Traffic {
        self.traffic.get_or_init(|| Box::new(Traffic::new(workers)))
    }

    /// True while some worker found the target unreachable and no later probe has passed.
    pub fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Marks the target; true when it was not marked before.
    pub fn mark(&self) -> bool {
        !self.suspect.swap(true, Ordering::AcqRel)
    }

    /// Takes the mark, or the doubt, away. The board's to call, after a probe begun later passed.
    pub fn clear(&self) {
        self.suspect.store(false, Ordering::Release);
        self.doubted.store(false, Ordering::Release);
    }

    /// Doubts the target without marking it; true when it was not doubted before.
    fn doubt(&self) -> bool {
        !self.doubted.swap(true, Ordering::AcqRel)
    }
}

/// How a target failed real traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassiveFailure {
    /// The connection was refused.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// The connect timed out.
    ConnectTimeout,
}

impl PassiveFailure {
    /// True when the failure alone says that nobody listens. A connect that timed out may also
    /// mean a full accept queue: then only the probe it asks for decides.
    pub fn is_proof(self) -> bool {
        self != Self::ConnectTimeout
    }

    /// The words for logs and descriptions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "no route to target",
            Self::ConnectTimeout => "connect timed out",
        }
    }
}

/// One failure seen by a worker.
#[derive(Debug, Clone, Copy)]
pub struct PassiveEvent {
    /// The target.
    pub slot: SlotId,
    /// What happened.
    pub failure: PassiveFailure,
    /// When the failed attempt ended; only probes begun later can clear the mark.
    pub at: tokio::time::Instant,
}

/// What workers tell the board.
#[derive(Debug, Clone, Copy)]
pub enum PassiveReport {
    /// A target could not be reached.
    Unreached(PassiveEvent),
    /// So many failures in a row as its group's `passive-health` has.
    InARow(SlotId),
}

/// A worker's way to tell the board. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reporter {
    events: mpsc::Sender<PassiveReport>,
}

impl Reporter {
    /// A reporter that sends into `events`.
    pub fn new(events: mpsc::Sender<PassiveReport>) -> Self {
        Self { events }
    }

    /// Counts what a request or flow came to, on worker number `worker`, if somebody wants to
    /// know; tells the board of enough failures in a row. Should its queue be full, the next ones
    /// are told.
    pub fn observe(&self, signal: &Signal, slot: SlotId, worker: usize, outcome: TrafficOutcome) {
        let Some(traffic) = signal.traffic() else {
            return;
        };
        if traffic.observe(worker, outcome) {
            let _full = self.events.try_send(PassiveReport::InARow(slot));
        }
    }

    /// Marks the target suspect, or doubts it when the failure proves less; the first of a burst
    /// sends one event: true then. When the queue is full that is taken back, so that the next
    /// failure tries again.
    pub fn report(&self, signal: &Signal, event: PassiveEvent) -> bool {
        let first = if event.failure.is_proof() {
            signal.mark()
        } else {
            signal.doubt()
        };
        let told = PassiveReport::Unreached(event);
        if first && self.events.try_send(told).is_err() {
            signal.clear();
            return false;
        }
        first
    }
}
