//! The control task: the only one that compiles and publishes.
//!
//! The root package runs [`Control::run`] on the control thread. It follows the board's tables and
//! takes prepared configurations from [`Lb::commit`](crate::Lb::commit); every publication is one
//! `ArcSwap` store. Old snapshots are dropped here, never on a worker.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use healthcheck::HealthTable;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use crate::compile::compile;
use crate::handle::Prepared;
use crate::handle::Shared;
use crate::snapshot::{Plan, Snapshot};
use crate::sockets::{Opened, SocketKey};
use crate::tls;
use crate::worker::Command;

/// How often files of certificates are looked at.
const FILES_EVERY: Duration = Duration::from_secs(1);

/// How often shares in slow start are worked out anew: 120 steps in the shortest that ELB has.
const GROWTH: Duration = Duration::from_millis(250);

/// A prepared configuration to serve, and where to tell that workers have been told.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) prepared: Prepared,
    /// Gets one receiver per worker, ready when its sockets have changed.
    pub(crate) published: oneshot::Sender<Vec<oneshot::Receiver<()>>>,
}

/// The control task's state.
#[derive(Debug)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
    pub(crate) health: watch::Receiver<Arc<HealthTable>>,
    pub(crate) commits: mpsc::Receiver<Commit>,
    pub(crate) publications: watch::Sender<u64>,
    /// Snapshots that some worker may still use.
    pub(crate) retired: Vec<Arc<Snapshot>>,
    /// When it last compiled.
    pub(crate) published: Instant,
}

impl Control {
    /// Compiles and publishes until every [`Lb`](crate::Lb) is dropped or the board has ended and
    /// no configuration can come any more.
    pub async fn run(mut self) {
        let mut board_alive = true;
        let mut looking = tokio::time::interval(FILES_EVERY);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let shared = self.shared.clone();
            // Made before looking, so that no adoption falls in between.
            let adopted = shared.acknowledgements.changed();
            let growing = shared.snapshot.load().is_growing();
            self.retired
                .retain(|snapshot| Arc::strong_count(snapshot) > 1);
            tokio::select! {
                biased;
                commit = self.commits.recv() => match commit {
                    Some(commit) => self.commit(commit).await,
                    None => return,
                },
                changed = self.health.changed(), if board_alive => match changed {
                    Ok(()) => self.follow_health(),
                    Err(_board_ended) => board_alive = false,
                },
                _ = looking.tick() => {
                    self.look_at_files();
                    self.shared.rotate_keys();
                }
                () = sleep_until(self.published + GROWTH), if growing => self.follow_health(),
                () = adopted, if !self.retired.is_empty() => {}
            }
        }
    }

    /// Reads certificates again whose files changed. A few `stat`s of files that were just looked
    /// at cost less than a thread to make them.
    fn look_at_files(&self) {
        self.shared.poll_keys();
        let refreshes = self.shared.refreshes();
        let mut looked = false;
        for listener in self.shared.snapshot.load().listeners() {
            if let Some(tls) = &listener.tls {
                if !std::mem::replace(&mut looked, true) {
                    // The process's: the same at each.
                    tls.keys.refresh(tls::now());
                }
                tls.refresh(&refreshes);
            }
        }
    }

    /// Compiles the newest table, at this moment, and publishes.
    fn follow_health(&mut self) {
        let plan = self.shared.snapshot.load().plan.clone();
        self.publish(&plan);
    }

    /// Serves a prepared configuration: first the snapshot, so that what new sockets accept finds
    /// its listener, then the sockets.
    async fn commit(&mut self, commit: Commit) {
        let Prepared {
            config,
            generation,
            slots,
            opened,
            terminators,
        } = commit.prepared;
        let (close, open) = self.shared.exchange_sockets(&config, opened);
        let plan = self.shared.plan(&config, generation, slots, &terminators);
        self.publish(&Arc::new(plan));
        self.shared.poll_keys();
        let changed = self.change_sockets(&close, open).await;
        // Nobody waits any more when the caller of commit was dropped.
        let _ = commit.published.send(changed);
    }

    fn publish(&mut self, plan: &Arc<Plan>) {
        let health = self.health.borrow_and_update().clone();
        let previous = self.shared.snapshot.load_full();
        self.published = Instant::now();
        let compiled = compile(plan, &health, Some(&previous), self.published);
        for (target, fate) in compiled.fates {
            target.set_fate(fate);
        }
        // An agent's word changes limits as a file does; a group that is the same has the same ones.
        for (place, group) in compiled.snapshot.groups.iter().enumerate() {
            let before = previous.groups.get(place);
            if before.is_none_or(|before| !Arc::ptr_eq(before, group)) {
                for member in &group.members {
                    member.target.set_limit(member.max_in_flight);
                }
            }
        }
        self.shared.snapshot.store(Arc::new(compiled.snapshot));
        self.retired.push(previous);
        self.publications.send_modify(|count| *count += 1);
    }

    /// Hands each worker its socket of each opened address.
    async fn change_sockets(
        &self,
        close: &[SocketKey],
        open: Vec<Opened>,
    ) -> Vec<oneshot::Receiver<()>> {
        let workers = self.shared.workers.len();
        let mut by_worker: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        for opened in open {
            let (key, address) = (opened.key.clone(), opened.bound);
            match opened.listen() {
                Ok((sockets, file)) => {
                    if let Some(file) = file {
                        self.shared.keep_file(key.clone(), file);
                    }
                    for (sockets_of_worker, socket) in by_worker.iter_mut().zip(sockets) {
                        sockets_of_worker.push((key.clone(), socket));
                    }
                }
                Err(error) => tracing::error!(%error, %address, "cannot listen"),
            }
        }
        let mut changed = Vec::new();
        for (worker, open) in self.shared.workers.iter().zip(by_worker) {
            let (done, receiver) = oneshot::channel();
            let close = close.to_vec();
            // An error says that the worker has ended; then nobody answers the receiver either.
            let _ = worker.send(Command::Sockets { close, open, done }).await;
            changed.push(receiver);
        }
        changed
    }
}

/// An empty snapshot: what workers serve before the first configuration.
pub(crate) fn nothing_yet() -> Arc<ArcSwap<Snapshot>> {
    Arc::new(ArcSwap::from_pointee(Snapshot {
        plan: Arc::default(),
        health_generation: 0,
        groups: Vec::new(),
        departing: Vec::new(),
        fate_epoch: 0,
    }))
}
