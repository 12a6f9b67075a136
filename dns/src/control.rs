//! The control task: the one owner of what is bound and of what is published.
//!
//! Runs on the control thread. Follows the health table, carries out commits, and drops replaced
//! snapshots here, so that no answering thread pays for it.

mod serving;
mod updates;
mod zones;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use healthcheck::HealthTable;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::compile::{Compiled, Parts, Relocated};
use crate::explain::Explainer;
use crate::forward::Forward;
use crate::handle::{Prepared, Shared, Status, ZoneStatus};
use crate::location::Measured;
use crate::metrics::Counters;
use crate::policy::{Decisions, Under};
use crate::relocate::{self, Told};
use crate::secondary::{self, Event, Notified};
use crate::server::order::Order;
use crate::server::tcp::TcpCommand;
use crate::snapshot::Snapshot;
use crate::tap;
use crate::transfer::{Outgoing, notify};
pub(crate) use serving::Bound;
pub(crate) use updates::Updating;

/// How often replaced snapshots are looked at while there are some.
const RETIRE_INTERVAL: Duration = Duration::from_millis(500);

/// How often weights that grow are published: seconds are what `slow-start` is counted in.
const GROWTH_INTERVAL: Duration = Duration::from_secs(1);

/// What the handle asks for.
pub(crate) enum Command {
    /// Serve this; tell when it is served.
    Commit(Box<Prepared>, oneshot::Sender<()>),
    /// The own listeners leave DNS.
    Withdraw,
    /// Go by these round-trip times of clients.
    Measured(Measured),
    /// Stop serving; tell when everything is closed.
    Stop(oneshot::Sender<()>),
}

/// Tells the board that a configuration generation is served, so that slots older ones used may
/// be used again.
pub(crate) type Acknowledge = Box<dyn Fn(u64) + Send>;

/// The control task.
pub struct Control {
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) health: watch::Receiver<Arc<HealthTable>>,
    pub(crate) acknowledge: Acknowledge,
    pub(crate) shared: Arc<Shared>,
    pub(crate) workers: Vec<mpsc::UnboundedSender<TcpCommand>>,
    pub(crate) applied: watch::Sender<u64>,
    pub(crate) compiled: Compiled,
    /// The task that finds out where clients are while a configuration serves, once it runs.
    pub(crate) places: Option<mpsc::UnboundedSender<Told>>,
    /// What `compiled` was made from, as far as zones change by themselves.
    pub(crate) parts: Parts,
    /// The task of secondary zones, once it runs.
    pub(crate) secondaries: Option<mpsc::UnboundedSender<secondary::Command>>,
    /// What it is told by threads that answer; nothing once it runs.
    pub(crate) notified_queue: Option<mpsc::Receiver<Notified>>,
    /// Where they put it.
    pub(crate) notified: mpsc::Sender<Notified>,
    /// What it tells.
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) events_queue: mpsc::UnboundedReceiver<Event>,
    /// Updates that threads which answer pass on.
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) orders_queue: mpsc::Receiver<Order>,
    /// Questions for other servers; the queue is gone once the task that answers them runs.
    pub(crate) forwards: mpsc::Sender<Forward>,
    pub(crate) forwards_queue: Option<mpsc::Receiver<Forward>>,
    /// Steps that each zone's journal got since it was written anew.
    pub(crate) steps_written: HashMap<String, usize>,
    /// Updates being carried out, with `parts` and `steps_written`.
    pub(crate) updating: Option<Updating>,
    /// The addresses of the configuration, in its order.
    pub(crate) binds: Vec<SocketAddr>,
    /// The task that tells secondaries of changes, once it runs.
    pub(crate) notify: Option<mpsc::UnboundedSender<Arc<Outgoing>>>,
    /// What the writer of query log and dnstap is made from; nothing once it runs.
    pub(crate) writer: Option<(std::sync::mpsc::Receiver<tap::Command>, Arc<tap::Flags>)>,
    /// Counters of UDP threads that ended, for those that start.
    pub(crate) spare: Vec<Arc<Counters>>,
    /// What is bound, by configured address.
    pub(crate) bound: BTreeMap<SocketAddr, Bound>,
    /// Replaced snapshots that threads may still hold.
    pub(crate) retired: Vec<Arc<Snapshot>>,
    /// The health generation the published decisions follow from.
    pub(crate) since: u64,
    pub(crate) withdrawn: bool,
    /// Weights may be growing.
    pub(crate) growing: bool,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    /// Follows health and commits until [`Dns::stop`](crate::Dns::stop), or until every handle is
    /// gone.
    pub async fn run(mut self) {
        let mut board_lives = true;
        let (notify, changes) = mpsc::unbounded_channel();
        self.notify = Some(notify);
        let mut notifier = std::pin::pin!(notify::run(changes));
        let (places, told) = mpsc::unbounded_channel();
        self.places = Some(places);
        let (give, mut relocated) = mpsc::unbounded_channel();
        let mut follower = std::pin::pin!(relocate::run(told, give));
        loop {
            let retiring = !self.retired.is_empty();
            let updating = self.updating.is_some();
            tokio::select! {
                // What was asked for before a table came is done before the table is followed.
                biased;
                // What changes zones waits until updates being carried out are served.
                command = self.commands.recv(), if !updating => match command {
                    Some(Command::Commit(prepared, done)) => {
                        self.commit(*prepared).await;
                        // A caller that went away needs no answer, here and below.
                        let _ = done.send(());
                    }
                    Some(Command::Withdraw) => self.withdraw(),
                    Some(Command::Measured(measured)) => self.tell_places(Told::Measured(measured)),
                    Some(Command::Stop(done)) => {
                        self.stop().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.stop().await,
                },
                changed = self.health.changed(), if board_lives => match changed {
                    Ok(()) => self.follow_health(),
                    Err(_) => board_lives = false,
                },
                work = updates::carried_out(&mut self.updating) => self.updated(work),
                Some(relocated) = relocated.recv(), if !updating => self.relocate(relocated),
                // There is always a sender: this task's own.
                Some(event) = self.events_queue.recv(), if !updating => self.changed(event),
                Some(order) = self.orders_queue.recv(), if !updating => self.update(order),
                // These end with this task, never before.
                () = &mut notifier => {}
                () = &mut follower => {}
                () = tokio::time::sleep(GROWTH_INTERVAL), if self.growing => self.grow(),
                () = tokio::time::sleep(RETIRE_INTERVAL), if retiring => {
                    self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
                }
            }
        }
    }

    fn follow_health(&mut self) {
        let health = self.health.borrow_and_update().clone();
        let current = self.shared.snapshot.load_full();
        let under = self.under(&health);
        let began = Instant::now();
        let next = self.compiled.next_snapshot(&current, self.since, under);
        drop(current);
        if let Some(next) = next {
            self.publish(next);
            self.shared.follows.count(began.elapsed());
        }
        self.now_at(&health);
    }

    fn withdraw(&mut self) {
        self.withdrawn = true;
        self.publish_anew();
    }

    /// Compiles every decision, after what was decided before of the same records, and publishes.
    fn publish_anew(&mut self) {
        let before = self.shared.snapshot.load_full();
        self.publish_after(&before.decisions);
    }

    fn publish_after(&mut self, before: &Decisions) {
        let health = self.health.borrow_and_update().clone();
        let under = self.under(&health);
        self.publish(self.compiled.snapshot_after(Some(before), under));
        self.now_at(&health);
    }

    /// Publishes weights that grew since.
    fn grow(&mut self) {
        let health = self.health.borrow().clone();
        let current = self.shared.snapshot.load_full();
        // Only decisions that were made under this table may grow under it.
        let next = match health.generation() == self.since {
            true => self.compiled.grown(&current, self.under(&health)),
            false => None,
        };
        self.growing = next.is_some();
        if let Some(next) = next {
            self.publish(next);
            self.now_at(&health);
        }
    }

    fn under<'h>(&self, health: &'h HealthTable) -> Under<'h> {
        Under {
            health,
            withdrawn: self.withdrawn,
            now: Clock::new().at(Instant::now()).unix,
        }
    }

    fn publish(&mut self, snapshot: Snapshot) {
        let old = self.shared.snapshot.swap(Arc::new(snapshot));
        self.retired.push(old);
        // Looked at once more at least; most configurations have nothing that grows.
        self.growing = true;
    }

    fn now_at(&mut self, health: &Arc<HealthTable>) {
        self.explain(health);
        self.since = health.generation();
        self.applied.send_replace(self.since);
    }

    fn explain(&self, health: &Arc<HealthTable>) {
        self.shared.explainer.store(Arc::new(Explainer {
            compiled: self.compiled.clone(),
            snapshot: self.shared.snapshot.load_full(),
            health: health.clone(),
            withdrawn: self.withdrawn,
            now: None,
        }));
    }

    /// Has the peers of zones that changed told.
    fn tell_peers(&self) {
        if let Some(notify) = &self.notify {
            // It ends with this task.
            let _ = notify.send(self.compiled.transfers.clone());
        }
    }

    /// Answers from now on by where clients are now, unless another generation came meanwhile.
    fn relocate(&mut self, relocated: Relocated) {
        if Arc::ptr_eq(&relocated.from, &self.compiled.routes) {
            self.compiled.routes = relocated.routes;
            self.compiled.located = relocated.located;
            self.publish_anew();
        }
        self.follow_places();
    }

    fn follow_places(&self) {
        self.tell_places(Told::Serves(self.compiled.clone()));
    }

    fn tell_places(&self, told: Told) {
        if let Some(places) = &self.places {
            // It ends with this task, never before.
            let _ = places.send(told);
        }
    }

    async fn commit(&mut self, prepared: Prepared) {
        let before = self.shared.snapshot.load_full();
        let inherited = prepared
            .compiled
            .inherit(&self.compiled.routes, &before.decisions);
        drop(before);
        self.compiled = prepared.compiled;
        self.follow_places();
        self.parts = prepared.parts;
        self.shared
            .limits
            .set(prepared.tcp_max_connections, prepared.tcp_idle_timeout);
        self.publish_after(&inherited);
        self.record(&prepared.service);
        for (configured, sockets) in prepared.sockets {
            self.open(configured, sockets);
        }
        let gone: Vec<SocketAddr> = self
            .bound
            .keys()
            .filter(|address| !prepared.binds.contains(address))
            .copied()
            .collect();
        for address in gone {
            self.close(address).await;
        }
        self.binds = prepared.binds;
        self.show_status();
        // After the addresses serve: a secondary that hears of a change asks at once.
        self.tell_peers();
        self.configure(prepared.secondaries);
        self.start_forwarding();
        self.take_updatable(prepared.updatable);
        (self.acknowledge)(self.compiled.config_generation);
    }

    async fn stop(&mut self) {
        let addresses: Vec<SocketAddr> = self.bound.keys().copied().collect();
        for address in addresses {
            self.close(address).await;
        }
        if self.writer.is_none() {
            let (done, closed) = oneshot::channel();
            self.shared.tap.tell(tap::Command::Close(done));
            // An error says that the writer has ended already.
            let _ = closed.await;
        }
        // Without a sender the workers end.
        self.workers.clear();
        self.secondaries = None;
        self.binds.clear();
        self.show_status();
    }

    /// Shows what is served, bound addresses in the order of the configuration.
    fn show_status(&self) {
        let of = |configured| {
            let bound = self.bound.get(configured)?;
            Some((*configured, bound.address))
        };
        let zones = self.compiled.zones.zones().iter().map(|zone| ZoneStatus {
            id: zone.id.to_string(),
            name: zone.name.to_string(),
            serial: zone.serial,
            records: zone.records,
            state: zone.state,
        });
        self.shared.status.store(Arc::new(Status {
            bound: self.binds.iter().filter_map(of).collect(),
            zones: zones.collect(),
        }));
    }
}
