//! A prober that follows a script, and a running board to test with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

#[expect(
    clippy::disallowed_types,
    reason = "a script shared by the test and its prober"
)]
use std::sync::Mutex;

use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};

use super::config::{ConfigText, address};
use crate::board::{BoardHandle, BoardSettings, start_with};
use crate::probe::{Probe, ProbePlan, RunningProbe};
use crate::*;

/// What probes of each port find, and when they began.
#[derive(Debug)]
#[expect(
    clippy::disallowed_types,
    reason = "a script shared by the test and its prober"
)]
pub(super) struct Script(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    passes: bool,
    exceptions: HashMap<u16, bool>,
    takes: Duration,
    starts: BTreeMap<u16, Vec<Instant>>,
}

impl Script {
    /// Every probe passes.
    pub(super) fn passing() -> Arc<Self> {
        Self::new(true)
    }

    /// Every probe fails.
    pub(super) fn failing() -> Arc<Self> {
        Self::new(false)
    }

    #[expect(
        clippy::disallowed_types,
        reason = "a script shared by the test and its prober"
    )]
    fn new(passes: bool) -> Arc<Self> {
        let lines = Lines {
            passes,
            ..Lines::default()
        };
        Arc::new(Self(Mutex::new(lines)))
    }

    /// Probes of the port pass from now on.
    pub(super) fn pass(&self, port: u16) {
        self.0.lock().unwrap().exceptions.insert(port, true);
    }

    /// Probes of the port fail from now on.
    pub(super) fn fail(&self, port: u16) {
        self.0.lock().unwrap().exceptions.insert(port, false);
    }

    /// Probes begun from now on take this long.
    pub(super) fn take(&self, duration: Duration) {
        self.0.lock().unwrap().takes = duration;
    }

    /// When probes of the port began.
    pub(super) fn starts(&self, port: u16) -> Vec<Instant> {
        let lines = self.0.lock().unwrap();
        lines.starts.get(&port).cloned().unwrap_or_default()
    }
}

impl Probe for Script {
    fn probe(&self, plan: Arc<ProbePlan>) -> RunningProbe {
        let port = plan.address.port().unwrap();
        let started = Instant::now();
        let mut lines = self.0.lock().unwrap();
        lines.starts.entry(port).or_default().push(started);
        let passes = lines.exceptions.get(&port).copied();
        let passes = passes.unwrap_or(lines.passes);
        let takes = lines.takes;
        Box::pin(async move {
            if !takes.is_zero() {
                sleep(takes).await;
            }
            let (outcome, seen) = if passes {
                (Outcome::Passed, "HTTP/1.1 200 OK")
            } else {
                (Outcome::Failed, "connection refused")
            };
            Observation {
                outcome,
                seen: seen.into(),
                phases: Phases::default(),
                agent: None,
                started,
                ended: Instant::now(),
            }
        })
    }
}

/// A running board and what its tests ask of it.
pub(super) struct Running {
    pub(super) handle: BoardHandle,
    slots: std::cell::RefCell<Arc<SlotMap>>,
}

impl Running {
    /// Prepares and commits a configuration.
    pub(super) async fn serve(&self, config: ConfigText, generation: u64) -> Arc<HealthTable> {
        let prepared = self.handle.prepare(&config.build(), generation).await;
        self.adopt(prepared.slots());
        self.handle.commit(prepared).await
    }

    /// Looks things up in these slots from now on.
    pub(super) fn adopt(&self, slots: &Arc<SlotMap>) {
        *self.slots.borrow_mut() = slots.clone();
    }

    pub(super) fn slots(&self) -> Arc<SlotMap> {
        self.slots.borrow().clone()
    }

    pub(super) fn slot(&self, group: &str, port: u16) -> (SlotId, Arc<Signal>) {
        let slots = self.slots();
        let (slot, signal) = slots.target(group, address(port)).unwrap();
        (slot, signal.clone())
    }

    pub(super) fn signal(&self, group: &str, port: u16) -> Arc<Signal> {
        self.slot(group, port).1
    }

    /// A target's health in the latest table.
    pub(super) fn target(&self, group: &str, port: u16) -> TargetHealth {
        let (slot, _) = self.slot(group, port);
        self.handle.table().target(slot).unwrap().clone()
    }

    /// A group's roll-up in the latest table.
    pub(super) fn group(&self, group: &str) -> GroupHealth {
        let id = self.slots().group(group).unwrap();
        self.handle.table().group(id).unwrap()
    }

    /// Waits for a table that shows the target in `state`.
    pub(super) async fn until(&self, group: &str, port: u16, state: TargetState) {
        let (slot, _) = self.slot(group, port);
        let mut tables = self.handle.subscribe();
        let shown = |table: &Arc<HealthTable>| table.target(slot).unwrap().state == state;
        let waited = tokio::time::timeout(Duration::from_secs(60), tables.wait_for(shown));
        waited
            .await
            .expect("the state comes within a minute")
            .unwrap();
    }

    /// Traffic was refused just now.
    pub(super) fn report(&self, group: &str, port: u16) {
        let (slot, signal) = self.slot(group, port);
        let event = PassiveEvent {
            slot,
            failure: PassiveFailure::Refused,
            at: Instant::now(),
        };
        self.handle.reporter().report(&signal, event);
    }
}

/// Runs a test beside a board that probes by `prober`.
pub(super) async fn started<P: Probe + 'static>(
    prober: Arc<P>,
    test: impl AsyncFnOnce(&Running, &P),
) {
    remembering(None, prober, test).await;
}

/// As [`started`], with a memory.
pub(super) async fn remembering<P: Probe + 'static>(
    memory: Option<MemorySettings>,
    prober: Arc<P>,
    test: impl AsyncFnOnce(&Running, &P),
) {
    let settings = BoardSettings {
        seed: 7,
        workers: 2,
        memory,
        controls: None,
    };
    let (board, handle) = start_with(settings, prober.clone());
    let local = LocalSet::new();
    let running = Running {
        handle,
        slots: Default::default(),
    };
    local
        .run_until(async {
            let board = spawn_local(board.run());
            test(&running, &prober).await;
            running.handle.shutdown().await;
            board.await.unwrap();
        })
        .await;
}
