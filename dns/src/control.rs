//! The control task: the one owner of what is bound and of what is published.
//!
//! Runs on the control thread. Follows the health table, carries out commits, and drops replaced
//! snapshots here, so that no answering thread pays for it.

mod updates;
mod zones;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use conf::DnsService;
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
use crate::server::bind::Sockets;
use crate::server::order::Order;
use crate::server::tcp::TcpCommand;
use crate::server::udp::UdpThread;
use crate::snapshot::Snapshot;
use crate::tap::{self, Tap};
use crate::transfer::{Outgoing, notify};
use crate::wire::Transport;

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

/// An address being served.
pub(crate) struct Bound {
    address: SocketAddr,
    threads: Vec<(UdpThread, Arc<Counters>)>,
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
            tokio::select! {
                // What was asked for before a table came is done before the table is followed.
                biased;
                command = self.commands.recv() => match command {
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
                Some(relocated) = relocated.recv() => self.relocate(relocated),
                // There is always a sender: this task's own.
                Some(event) = self.events_queue.recv() => self.changed(event),
                Some(order) = self.orders_queue.recv() => self.update(order),
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

    /// Has queries recorded, or no more, as a configuration says.
    fn record(&mut self, service: &DnsService) {
        let wanted = service.query_log.is_some() || service.dnstap.is_some();
        let tap = &self.shared.tap;
        if wanted && let Some((commands, flags)) = self.writer.take() {
            let writer = tap::Writer::new(commands, flags, self.shared.snapshot.clone());
            let thread = std::thread::Builder::new().name("dns-log".to_owned());
            if let Err(error) = thread.spawn(move || writer.run()) {
                tracing::error!(%error, "cannot start the thread of the query log");
            }
        }
        if self.writer.is_none() {
            let identity = service.nsid.clone().or_else(|| service.hostname.clone());
            let (log, dnstap) = (service.query_log.clone(), service.dnstap.clone());
            tap.tell(tap::Command::Set(log, dnstap, identity.unwrap_or_default()));
        }
        let sample = service.query_log.as_ref().map_or(1, |log| log.sample);
        tap.set_sample(if wanted { sample } else { 0 });
    }

    /// Starts serving an address.
    fn open(&mut self, configured: SocketAddr, sockets: Sockets) {
        let mut threads = Vec::new();
        for socket in sockets.udp {
            let counters = self.counters();
            let snapshot = self.shared.snapshot.clone();
            let tap = Tap::new(self.shared.tap.clone());
            let counted = counters.clone();
            let passing = (
                self.notified.clone(),
                self.orders.clone(),
                self.forwards.clone(),
            );
            let started =
                UdpThread::start(socket, sockets.address, snapshot, counted, tap, passing);
            match started {
                Ok(thread) => threads.push((thread, counters)),
                Err(error) => {
                    tracing::error!(address = %sockets.address, %error, "cannot start a DNS thread");
                    self.spare.push(counters);
                }
            }
        }
        for (worker, listener) in self.workers.iter().zip(sockets.tcp) {
            // A worker that ended closes the listener with the command.
            let _ = worker.send(TcpCommand::Serve(configured, listener));
        }
        let bound = Bound {
            address: sockets.address,
            threads,
        };
        self.bound.insert(configured, bound);
    }

    /// Stops serving an address; returns when its UDP sockets are closed.
    async fn close(&mut self, configured: SocketAddr) {
        let Some(bound) = self.bound.remove(&configured) else {
            return;
        };
        for worker in &self.workers {
            let _ = worker.send(TcpCommand::Close(configured));
        }
        for (thread, _) in &bound.threads {
            thread.stop();
        }
        for (thread, counters) in bound.threads {
            thread.ended().await;
            self.spare.push(counters);
        }
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

    /// Counters for a thread: those of one that ended, so that counts neither vanish nor pile up.
    fn counters(&mut self) -> Arc<Counters> {
        if let Some(counters) = self.spare.pop() {
            return counters;
        }
        let counters = Arc::new(Counters::new(Transport::Udp));
        self.shared.counters.rcu(|all| {
            let mut all = Vec::clone(all);
            all.push(counters.clone());
            all
        });
        counters
    }

    /// Shows what is served, bound addresses in the order of the configuration.
    fn show_status(&self) {
        let of = |configured| {
            let bound = self.bound.get(configured)?;
            Some((*configured, bound.address))
        };
        let zones = self.compiled.zones.zones().iter().map(|zone| ZoneStatus {
            id: zone.id.clone(),
            name: zone.name.clone(),
            serial: zone.serial(),
            records: zone.records(),
            state: zone.state,
        });
        self.shared.status.store(Arc::new(Status {
            bound: self.binds.iter().filter_map(of).collect(),
            zones: zones.collect(),
        }));
    }
}
