//! The handle the root package holds, and how the plane is started.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use conf::{Config, Diagnostic, DnsService};
use healthcheck::{BoardHandle, HealthTable, Plane, SlotMap};
use prometheus::proto::MetricFamily;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::compile::{Compiled, Kept, Parts};
use crate::control::{Acknowledge, Command, Control};
use crate::explain::Explainer;
use crate::forward;
use crate::load::{ParsedRecord, ZoneState, Zones};
use crate::location::{Measured, MeasuredRtt};
use crate::metrics::{self, Counters, Follows, ZoneLabels};
use crate::secondary::{self, Held, SecondaryStatus, Statuses};
use crate::server::bind::{self, Sockets};
use crate::server::tcp::{TcpLimits, TcpWorker};
use crate::snapshot::Snapshot;
use crate::tap::{self, Command as TapCommand, Hub, Tap};
use crate::updates::{self, Updated};
use crate::wire::Transport;

/// Notifications that may wait to be looked at; more come again by their senders.
const NOTIFIED: usize = 1024;

/// Updates that may wait to be carried out; more are dropped, and asked for again.
const ORDERS: usize = 256;

/// What the plane is started with.
#[derive(Debug)]
pub struct Settings {
    /// UDP threads for each address; at least one is started.
    pub udp_threads: usize,
    /// TCP workers: one for each of the balancer's.
    pub tcp_workers: usize,
    /// Where health comes from.
    pub board: BoardHandle,
}

/// A zone being served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneStatus {
    /// Its id.
    pub id: String,
    /// Its apex, with the final dot.
    pub name: String,
    /// Serial of its SOA.
    pub serial: u32,
    /// Records it holds; a record with a policy counts once.
    pub records: usize,
    /// Whether it is answered from.
    pub state: ZoneState,
}

/// What is served, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Configured and real address.
    pub(crate) bound: Vec<(SocketAddr, SocketAddr)>,
    pub(crate) zones: Vec<ZoneStatus>,
}

/// What handle, control task and threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// The same with what it was made from, for explanations.
    pub(crate) explainer: ArcSwap<Explainer>,
    pub(crate) status: ArcSwap<Status>,
    pub(crate) labels: ArcSwap<ZoneLabels>,
    pub(crate) counters: ArcSwap<Vec<Arc<Counters>>>,
    /// How long answers took to follow health.
    pub(crate) follows: Follows,
    /// Round-trip times of clients, for what is compiled from now on.
    pub(crate) measured: ArcSwap<Vec<MeasuredRtt>>,
    pub(crate) limits: Arc<TcpLimits>,
    pub(crate) tap: Arc<Hub>,
    /// Copies of secondary zones, by id.
    pub(crate) copies: ArcSwap<HashMap<String, Held>>,
    /// Zones that clients may change, by id.
    pub(crate) updates: ArcSwap<HashMap<String, Updated>>,
    /// How the secondary zones are.
    pub(crate) statuses: Arc<Statuses>,
}

/// The DNS server's handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dns {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    applied: watch::Receiver<u64>,
    udp_threads: usize,
    tcp_workers: usize,
}

/// A configuration ready to be served: zones compiled, new addresses bound. Dropping it closes
/// them again.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) compiled: Compiled,
    pub(crate) binds: Vec<SocketAddr>,
    pub(crate) sockets: Vec<(SocketAddr, Sockets)>,
    pub(crate) tcp_max_connections: usize,
    pub(crate) tcp_idle_timeout: Duration,
    pub(crate) service: DnsService,
    pub(crate) parts: Parts,
    pub(crate) secondaries: Vec<secondary::Settings>,
    pub(crate) updatable: Vec<updates::Settings>,
}

/// Makes the plane; nothing is bound before the first commit.
pub fn start(settings: Settings) -> (Dns, Control, Vec<TcpWorker>) {
    let Settings {
        udp_threads,
        tcp_workers,
        board,
    } = settings;
    let health = board.subscribe();
    let acknowledge = Box::new(move |generation| board.acknowledge(Plane::Dns, generation));
    start_with(udp_threads, tcp_workers, health, acknowledge)
}

/// The same with health from anywhere.
fn start_with(
    udp_threads: usize,
    tcp_workers: usize,
    health: watch::Receiver<Arc<HealthTable>>,
    acknowledge: Acknowledge,
) -> (Dns, Control, Vec<TcpWorker>) {
    let compiled = Compiled::empty();
    let snapshot = Arc::new(compiled.snapshot(&HealthTable::default(), false));
    let (hub, writer) = tap::hub();
    let shared = Arc::new(Shared {
        snapshot: Arc::new(ArcSwap::new(snapshot.clone())),
        explainer: ArcSwap::from_pointee(Explainer {
            compiled: compiled.clone(),
            snapshot,
            health: Arc::default(),
            withdrawn: false,
            now: None,
        }),
        status: ArcSwap::default(),
        labels: ArcSwap::default(),
        counters: ArcSwap::default(),
        follows: Follows::default(),
        measured: ArcSwap::default(),
        limits: Arc::new(TcpLimits::new(0, Duration::ZERO)),
        tap: Arc::new(hub),
        copies: ArcSwap::default(),
        updates: ArcSwap::default(),
        statuses: Arc::default(),
    });
    let (notified, notified_queue) = mpsc::channel(NOTIFIED);
    let (events, events_queue) = mpsc::unbounded_channel();
    let (orders, orders_queue) = mpsc::channel(ORDERS);
    let (forwards, forwards_queue) = mpsc::channel(forward::WAITING);
    let mut workers = Vec::new();
    let mut senders = Vec::new();
    for _ in 0..tcp_workers {
        let (sender, commands) = mpsc::unbounded_channel();
        senders.push(sender);
        workers.push(TcpWorker {
            commands,
            snapshot: shared.snapshot.clone(),
            counters: Arc::new(Counters::new(Transport::Tcp)),
            limits: shared.limits.clone(),
            tap: Tap::new(shared.tap.clone()),
            notified: notified.clone(),
            orders: orders.clone(),
            forwards: forwards.clone(),
        });
    }
    let counters = workers.iter().map(|worker| worker.counters.clone());
    shared.counters.store(Arc::new(counters.collect()));
    let (commands, receiver) = mpsc::unbounded_channel();
    let (tell_applied, applied) = watch::channel(0);
    let dns = Dns {
        shared: shared.clone(),
        commands,
        applied,
        udp_threads: udp_threads.max(1),
        tcp_workers,
    };
    let control = Control {
        commands: receiver,
        health,
        acknowledge,
        shared,
        workers: senders,
        applied: tell_applied,
        compiled,
        places: None,
        parts: Parts::default(),
        secondaries: None,
        notified_queue: Some(notified_queue),
        notified,
        events,
        events_queue,
        orders,
        orders_queue,
        forwards,
        forwards_queue: Some(forwards_queue),
        steps_written: HashMap::new(),
        updating: None,
        binds: Vec::new(),
        notify: None,
        writer: Some(writer),
        spare: Vec::new(),
        bound: std::collections::BTreeMap::new(),
        retired: Vec::new(),
        since: 0,
        withdrawn: false,
        growing: false,
    };
    (dns, control, workers)
}

impl Dns {
    /// Compiles zones that loaded without an error and binds addresses that are new. Nothing
    /// visible changes.
    ///
    /// # Errors
    /// One diagnostic for each address that cannot be bound.
    pub fn prepare(
        &self,
        config: &Arc<Config>,
        mut zones: Zones,
        generation: u64,
        slots: &Arc<SlotMap>,
    ) -> Result<Prepared, Vec<Diagnostic>> {
        let mut sockets = Vec::new();
        let mut problems = Vec::new();
        let status = self.shared.status.load();
        let wanted = config.dns.as_ref().map_or(&[][..], |dns| &dns.binds);
        for bind in wanted {
            if status.bound.iter().any(|(have, _)| *have == bind.value) {
                continue;
            }
            match bind::bind(bind, self.udp_threads, self.tcp_workers) {
                Ok(bound) => sockets.push((bind.value, bound)),
                Err(problem) => problems.push(*problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let secondaries = secondary::prepare(config, &mut zones, &self.shared.copies.load());
        let updatable = updates::prepare(config, &mut zones, &self.shared.updates.load());
        let ids = zones.zones.iter().map(|zone| zone.id.as_str());
        let labels = ZoneLabels::extend(&self.shared.labels, ids);
        let labels = ZoneLabels::clone(&labels);
        let limits = config.dns.as_ref();
        let current = self.shared.snapshot.load();
        let now = Clock::new().at(Instant::now()).unix;
        let measured = Measured::from(self.shared.measured.load().as_slice());
        let kept = Kept::new(config, &mut zones, &current, labels, now).with_measured(measured);
        let compiled = Compiled::after(kept, config, &zones, generation, slots);
        Ok(Prepared {
            parts: Parts::new(zones, slots, &compiled),
            secondaries,
            updatable,
            compiled,
            binds: wanted.iter().map(|bind| bind.value).collect(),
            sockets,
            tcp_max_connections: limits.map_or(0, |dns| dns.tcp_max_connections),
            tcp_idle_timeout: limits.map_or(Duration::ZERO, |dns| dns.tcp_idle_timeout),
            service: limits.map_or_else(DnsService::default, |dns| dns.service.clone()),
        })
    }

    /// Serves what was prepared; returns when every answer from now on comes from it and
    /// addresses that are no longer wanted are closed. [`Control::run`] must be running.
    pub async fn commit(&self, prepared: Prepared) {
        let (done, wait) = oneshot::channel();
        self.ask(Command::Commit(Box::new(prepared), done), wait)
            .await;
    }

    /// The addresses served, with their real ports, in the order of the configuration; UDP and
    /// TCP each.
    pub fn bound(&self) -> Vec<SocketAddr> {
        let status = self.shared.status.load();
        status.bound.iter().map(|(_, real)| *real).collect()
    }

    /// The zones served.
    pub fn zones(&self) -> Vec<ZoneStatus> {
        self.shared.status.load().zones.clone()
    }

    /// A zone being served.
    pub fn zone(&self, id: &str) -> Option<ZoneStatus> {
        let status = self.shared.status.load();
        status.zones.iter().find(|zone| zone.id == id).cloned()
    }

    /// Serial and records of a zone that changes by itself, as they are now; `None` for other zones.
    pub fn live_records(&self, id: &str) -> Option<(u32, Vec<ParsedRecord>)> {
        if let Some(updated) = self.shared.updates.load().get(id) {
            let serial = self.zone(id).map_or(0, |zone| zone.serial);
            return Some((serial, updated.current.records()));
        }
        let copies = self.shared.copies.load();
        let held = copies.get(id)?;
        Some((held.copy.serial, held.copy.records.clone()))
    }

    /// How the secondary zones are, by id.
    pub fn secondaries(&self) -> Arc<BTreeMap<String, Arc<SecondaryStatus>>> {
        self.shared.statuses.all()
    }

    /// The snapshot being served, for asking it what it would answer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// What is served with all that it follows from, for asking why.
    pub fn explainer(&self) -> Arc<Explainer> {
        self.shared.explainer.load_full()
    }

    /// Takes the own listeners out of DNS, for good: aliases to them count as unhealthy, and where
    /// nothing else can answer the answer is empty (NOERROR with the SOA), not their address.
    pub fn withdraw_listeners(&self) {
        // Without a control task nothing is served that could be withdrawn.
        let _ = self.commands.send(Command::Withdraw);
    }

    /// Goes by these round-trip times of clients from soon on, and by no others.
    pub fn measured(&self, times: Vec<MeasuredRtt>) {
        let measured = Measured::from(times.as_slice());
        self.shared.measured.store(Arc::new(times));
        // Without a control task nothing is served that could go by them.
        let _ = self.commands.send(Command::Measured(measured));
    }

    /// Returns when answers follow from the health table of that generation or a later one.
    pub async fn applied(&self, health_generation: u64) {
        let mut applied = self.applied.clone();
        // An error means that the control task has ended: nothing will follow.
        let _ = applied
            .wait_for(|generation| *generation >= health_generation)
            .await;
    }

    /// The plane's metrics.
    pub fn collect(&self) -> Vec<MetricFamily> {
        let counters = self.shared.counters.load();
        let labels = self.shared.labels.load();
        let mut families = metrics::collect(&labels, counters.iter().map(|counters| &**counters));
        if let Some(limiter) = &self.shared.snapshot.load().guard.limiter {
            families.push(metrics::limited(limiter));
        }
        families.push(self.shared.follows.collect());
        families.push(metrics::unrecorded(self.shared.tap.dropped()));
        let status = self.shared.status.load();
        families.extend(metrics::forwarded(&self.shared.snapshot.load().rules));
        families.extend(metrics::zones(&labels, &status.zones, &self.secondaries()));
        families
    }

    /// Opens the query log anew, after something renamed it.
    pub fn reopen_logs(&self) {
        self.shared.tap.tell(TapCommand::Reopen);
    }

    /// Stops answering: closes every socket and ends the control task and the workers.
    pub async fn stop(&self) {
        let (done, wait) = oneshot::channel();
        self.ask(Command::Stop(done), wait).await;
    }

    async fn ask(&self, command: Command, done: oneshot::Receiver<()>) {
        if self.commands.send(command).is_ok() {
            // An error means that the control task has ended, and with it all it served.
            let _ = done.await;
        }
    }
}

#[cfg(test)]
mod tests;
