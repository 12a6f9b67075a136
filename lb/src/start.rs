//! Starting: settings in, handle, control future and workers out.

use std::sync::Arc;

use conf::AccessLog;
use healthcheck::{BoardHandle, HealthTable, Plane, Reporter};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::access_log;
use crate::acknowledge::Acknowledgements;
use crate::control::{Control, nothing_yet};
use crate::handle::{Lb, Shared};
use crate::limits::Budget;
use crate::metrics::Registry;
use crate::past::PastRings;
use crate::plan::Names;
use crate::round_trips::RoundTrips;
use crate::sockets::Descriptors;
use crate::worker::Worker;

/// Commands a worker's mailbox holds; reloads wait for room, so a few are enough.
const MAILBOX: usize = 16;

/// Configurations waiting to be committed; the root package commits one at a time.
const COMMITS: usize = 4;

/// What the load balancer needs to start.
#[derive(Debug)]
pub struct Settings {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Where health comes from and real traffic's failures go to.
    pub board: BoardHandle,
    /// Where the access log goes until a configuration says otherwise.
    pub access_log: AccessLog,
    /// Where round-trip times of clients go, once they are measured.
    pub round_trips: RoundTrips,
}

/// Why the load balancer could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The access log's file or its thread.
    #[error("cannot open the access log: {0}")]
    AccessLog(#[source] std::io::Error),
}

/// Tells the board that a configuration generation is served.
pub(crate) type Acknowledge = Box<dyn Fn(u64) + Send + Sync>;

/// The board as this crate sees it.
pub(crate) struct Feed {
    pub(crate) health: watch::Receiver<Arc<HealthTable>>,
    pub(crate) reporter: Reporter,
    pub(crate) acknowledge: Acknowledge,
}

impl From<BoardHandle> for Feed {
    fn from(board: BoardHandle) -> Self {
        Self {
            health: board.subscribe(),
            reporter: board.reporter(),
            acknowledge: Box::new(move |generation| board.acknowledge(Plane::Lb, generation)),
        }
    }
}

/// Makes the handle, the control future and one worker per thread. Raises the process's limit of
/// open files and starts the access log's writer thread; serves nothing before the first commit.
///
/// # Errors
/// [`StartError`].
pub fn start(settings: Settings) -> Result<(Lb, Control, Vec<Worker>), StartError> {
    start_with(
        settings.workers,
        &settings.access_log,
        settings.board.into(),
        &settings.round_trips,
    )
}

/// [`start`] on any source of health.
pub(crate) fn start_with(
    workers: usize,
    access_log: &AccessLog,
    feed: Feed,
    round_trips: &RoundTrips,
) -> Result<(Lb, Control, Vec<Worker>), StartError> {
    let workers = workers.max(1);
    let counters = Registry::new(workers);
    let (log, rings) = access_log::start(access_log, workers, &counters.by_worker)
        .map_err(StartError::AccessLog)?;
    let (past, pasts) = PastRings::new(workers);
    let descriptors = Descriptors::raise(workers);
    let budget = Arc::new(Budget::new(descriptors.connections));
    let snapshot = nothing_yet();
    let acknowledgements = Arc::new(Acknowledgements::new(workers));
    let (publications, published) = watch::channel(0);
    let mut mailboxes = Vec::with_capacity(workers);
    let make = |(number, (log, past))| {
        let (mailbox, commands) = mpsc::channel(MAILBOX);
        mailboxes.push(mailbox);
        Worker {
            number,
            snapshot: snapshot.clone(),
            published: published.clone(),
            commands,
            acknowledgements: acknowledgements.clone(),
            reporter: feed.reporter.clone(),
            counters: counters.by_worker.clone(),
            log,
            past,
            budget: budget.clone(),
            round_trips: round_trips.clone(),
        }
    };
    let workers: Vec<_> = rings.into_iter().zip(pasts).enumerate().map(make).collect();
    let shared = Shared {
        snapshot,
        acknowledgements,
        workers: mailboxes,
        names: Names::new(counters).into(),
        sockets: Default::default(),
        files: Default::default(),
        descriptors,
        budget,
        log,
        past,
        acknowledge: feed.acknowledge,
    };
    let shared = Arc::new(shared);
    let (commits, committed) = mpsc::channel(COMMITS);
    let control = Control {
        published: Instant::now(),
        shared: shared.clone(),
        health: feed.health,
        commits: committed,
        publications,
        retired: Vec::new(),
    };
    Ok((Lb { shared, commits }, control, workers))
}
