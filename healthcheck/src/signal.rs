//! What the balancer tells health about real traffic: the `suspect` mark and passive events.
//!
//! Called from every worker's hot path. Cost: `is_suspect` one relaxed load; `report` one swap and,
//! only for the first of a burst, one `try_send`. Never blocks, never allocates on the good path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use crate::SlotId;

/// Live marks of one target, shared by the board and all workers; survives reloads.
#[derive(Debug, Default)]
pub struct Signal {
    suspect: AtomicBool,
    doubted: AtomicBool,
}

impl Signal {
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

/// A worker's way to tell the board. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reporter {
    events: mpsc::Sender<PassiveEvent>,
}

impl Reporter {
    /// A reporter that sends into `events`.
    pub fn new(events: mpsc::Sender<PassiveEvent>) -> Self {
        Self { events }
    }

    /// Marks the target suspect, or doubts it when the failure proves less; the first of a burst
    /// sends one event. When the queue is full that is taken back, so that the next failure tries
    /// again.
    pub fn report(&self, signal: &Arc<Signal>, event: PassiveEvent) {
        let first = if event.failure.is_proof() {
            signal.mark()
        } else {
            signal.doubt()
        };
        if first && self.events.try_send(event).is_err() {
            signal.clear();
        }
    }
}
