//! The board: one task that owns every state machine, the schedule and the published table.
//!
//! The root package starts it on a thread of its own; everybody else talks to it through a
//! [`BoardHandle`]. Inputs are commands, passive events and probe results; the output is the next
//! [`HealthTable`](crate::HealthTable). Inputs that are ready together are taken together and
//! published once. Nothing here blocks, and no lock is held: the task is the lock.

mod anomalies;
mod checks;
mod controls;
mod ejections;
mod entries;
mod handle;
mod keeper;
mod operator;
mod probing;
mod publication;
mod reload;
mod slow_start;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub use controls::ControlOutcome;
pub use handle::{BoardHandle, FirstRound, Prepared, UnknownTarget};

use crate::allocation::{Acknowledgements, Allocation};
use crate::log::{self, HealthLog};
use crate::metrics::Metrics;
use crate::probe::{Network, Probe};
use crate::schedule::Schedule;
use crate::{HealthTable, MemorySettings, Observation, PassiveReport, SlotId};
use controls::Controls;
use entries::{CheckEntry, GroupEntry, TargetEntry, TargetKey};
use handle::Command;
use keeper::Keeper;
use probing::{BEAT, RunningProbes};
use publication::Publication;

/// Commands that may wait for the board.
const COMMANDS: usize = 64;
/// Passive events that may wait; one per target at most, as a mark sends only its first.
const EVENTS: usize = 4096;
/// Inputs of one kind taken before the others get their turn and the table is published.
const BATCH: usize = 256;

/// How the board works.
#[derive(Debug, Clone)]
pub struct BoardSettings {
    /// Seeds the jitter of the schedule and of ejections.
    pub seed: u64,
    /// Workers that count what traffic comes to.
    pub workers: usize,
    /// Where health outlives the process; `None` = nowhere.
    pub memory: Option<MemorySettings>,
    /// The file that keeps routing controls as they were turned; `None` = nothing does.
    pub controls: Option<PathBuf>,
}

impl Default for BoardSettings {
    fn default() -> Self {
        Self {
            seed: rand::random(),
            workers: 1,
            memory: None,
            controls: None,
        }
    }
}

/// Makes a board and the handle to it. Nothing runs until [`Board::run`].
pub fn start(settings: BoardSettings) -> (Board, BoardHandle) {
    start_with(settings, Arc::new(Network))
}

/// [`start`] with another way to probe.
fn start_with(settings: BoardSettings, prober: Arc<dyn Probe>) -> (Board, BoardHandle) {
    let (command_sender, commands) = mpsc::channel(COMMANDS);
    let (event_sender, events) = mpsc::channel(EVENTS);
    let (table_sender, table) = watch::channel(Arc::new(HealthTable::default()));
    let acknowledgements = Arc::new(Acknowledgements::default());
    let metrics = Arc::new(Metrics::new());
    let log = log::new(metrics.log_dropped());
    let handle = BoardHandle::new(
        command_sender,
        event_sender,
        table,
        acknowledgements.clone(),
        metrics.clone(),
        log.control(),
    );
    let board = Board {
        settings,
        prober,
        commands,
        events,
        table: table_sender,
        acknowledgements,
        metrics,
        log,
    };
    (board, handle)
}

/// The board before it runs.
pub struct Board {
    settings: BoardSettings,
    prober: Arc<dyn Probe>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Receiver<PassiveReport>,
    table: watch::Sender<Arc<HealthTable>>,
    acknowledgements: Arc<Acknowledgements>,
    metrics: Arc<Metrics>,
    log: HealthLog,
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Board {
    /// Runs until [`BoardHandle::shutdown`] or until every handle is gone. Must run inside a
    /// `LocalSet`, on a thread where nothing else takes long: a probe whose thread ran late is
    /// void.
    pub async fn run(self) {
        let acknowledgements = self.acknowledgements.clone();
        let mut commands = self.commands;
        let mut events = self.events;
        let mut core = Core {
            prober: self.prober,
            targets: HashMap::new(),
            groups: HashMap::new(),
            checks: HashMap::new(),
            target_places: Allocation::default(),
            group_places: Allocation::default(),
            check_places: Allocation::default(),
            acknowledgements: self.acknowledgements,
            schedule: Schedule::new(1, self.settings.seed),
            random: SmallRng::seed_from_u64(self.settings.seed),
            workers: self.settings.workers,
            detection: None,
            probes: JoinSet::new(),
            running: RunningProbes::default(),
            delays: BTreeSet::new(),
            publication: Publication::new(self.table),
            metrics: self.metrics,
            log: self.log,
            controls: Controls::start(self.settings.controls),
            keeper: (self.settings.memory.as_ref())
                .map(|settings| Keeper::start(settings, Instant::now())),
        };
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wake = core.advance();
            let some_wake = wake.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    None => return core.end().await,
                    Some(Command::Shutdown(reply)) => {
                        core.end().await;
                        // A caller that went away does not wait for the answer.
                        let _unheard = reply.send(());
                        return;
                    }
                    Some(command) => core.command(command),
                },
                _ = events.recv_many(&mut batch, BATCH) => {
                    batch.drain(..).for_each(|report| core.passive(&report));
                }
                Some(ended) = core.probes.join_next_with_id() => core.probes_ended(ended),
                () = acknowledgements.changed() => core.reclaim(),
                () = sleep_until(some_wake), if wake.is_some() => {}
            }
        }
    }
}

/// Everything the board task owns.
struct Core {
    prober: Arc<dyn Probe>,
    targets: HashMap<SlotId, TargetEntry>,
    groups: HashMap<u32, GroupEntry>,
    checks: HashMap<u32, CheckEntry>,
    target_places: Allocation<TargetKey>,
    group_places: Allocation<String>,
    check_places: Allocation<String>,
    acknowledgements: Arc<Acknowledgements>,
    schedule: Schedule,
    /// For the jitter of ejections.
    random: SmallRng,
    /// How many count what traffic comes to.
    workers: usize,
    /// When a detector is to be asked next; `None` = to be worked out.
    detection: Option<Option<Instant>>,
    probes: JoinSet<Observation>,
    running: RunningProbes,
    /// When deregistration delays and draining intervals end.
    delays: BTreeSet<(Instant, SlotId)>,
    publication: Publication,
    metrics: Arc<Metrics>,
    log: HealthLog,
    controls: Controls,
    keeper: Option<Keeper>,
}

impl Core {
    /// Ends every probe and saves a last time.
    async fn end(mut self) {
        let last = self.last_memory();
        let controls = self.controls.take_store();
        let log = self.log;
        // Probes end before the last line is written.
        drop(self.probes);
        log.finish().await;
        if let Some(store) = controls {
            store.finish().await;
        }
        if let Some((keeper, memory)) = last {
            keeper.finish(memory).await;
        }
    }

    /// Does everything that is due and says when something will be.
    fn advance(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.notice_lateness(now);
        self.start_probes(now);
        self.end_delays(now);
        let detection = self.detect(now);
        self.publish_if_due(now);
        self.save_if_due(now);
        let beat = (!self.probes.is_empty()).then(|| now + BEAT);
        let delay = self.delays.first().map(|&(at, _)| at);
        let wakes = [
            self.schedule.next_wake(),
            delay,
            detection,
            self.publication.due(),
            self.keeper.as_ref().map(Keeper::due),
            beat,
        ];
        let wake = wakes.into_iter().flatten().min();
        self.running.expect_wake(wake);
        wake
    }
}

#[cfg(test)]
mod tests;
