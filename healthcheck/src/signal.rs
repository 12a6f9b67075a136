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

    /// Takes the mark away. The board's to call, after a probe that began after the mark passed.
    pub fn clear(&self) {
        self.suspect.store(false, Ordering::Release);
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

    /// Marks the target suspect; the first mark sends one event. When the queue is full the mark
    /// is taken back, so that the next failure tries again.
    pub fn report(&self, signal: &Arc<Signal>, event: PassiveEvent) {
        if signal.mark() && self.events.try_send(event).is_err() {
            signal.clear();
        }
    }
}
