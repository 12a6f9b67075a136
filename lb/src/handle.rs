//! [`Lb`]: the root package's hand on the load balancer.
//!
//! Used on the control plane only: reload (prepare, commit), the admin API's questions, metrics,
//! shutdown. Its locks are held for table look-ups, never across an await, and no worker takes
//! them.
#![expect(
    clippy::disallowed_types,
    reason = "control plane: reload, admin API and scrapes look the same tables up"
)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use conf::{Address, Config, Diagnostic, ListenerProtocol};
use healthcheck::SlotMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::access_log::LogControl;
use crate::acknowledge::Acknowledgements;
use crate::connect::may_come_from_clients;
use crate::control::Commit;
use crate::explain::{self, RequestExplanation, RequestQuestion};
use crate::limits::{Budget, ListenerLoad};
use crate::metrics;
use crate::past::{self, PastQuestion, PastReport, PastRings};
use crate::plan::Names;
use crate::snapshot::{Plan, Snapshot};
use crate::sockets::{Bind, Descriptors, Opened, SocketFile, SocketKey, binds, open_missing};
use crate::start::Acknowledge;
use crate::tls::{self, Refreshes, Terminators};
use crate::worker::Command;

/// What the handles and the control task share.
pub(crate) struct Shared {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) acknowledgements: Arc<Acknowledgements>,
    /// Mailboxes.
    pub(crate) workers: Vec<mpsc::Sender<Command>>,
    pub(crate) names: Mutex<Names>,
    /// The open sockets' real addresses.
    pub(crate) sockets: Mutex<HashMap<SocketKey, Address>>,
    /// The files of open Unix sockets.
    pub(crate) files: Mutex<HashMap<SocketKey, SocketFile>>,
    pub(crate) descriptors: Descriptors,
    pub(crate) budget: Arc<Budget>,
    pub(crate) log: LogControl,
    pub(crate) past: PastRings,
    pub(crate) acknowledge: Acknowledge,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("descriptors", &self.descriptors)
            .finish_non_exhaustive()
    }
}

/// What is wrong with groups whose connections are to come from clients' addresses: the system's
/// permission, asked for once.
fn foreign_sources(config: &Config) -> Option<Diagnostic> {
    let mut groups = config.target_groups.iter();
    let group = groups.find(|group| group.preserve_client_ip)?;
    let error = may_come_from_clients().err()?;
    let message = format!(
        "connections to target group `{}` cannot come from clients' addresses: {error}",
        group.name
    );
    let problem = Diagnostic::error("foreign-source", group.span, message)
        .consequence("its targets would see this machine's address")
        .help("give the program CAP_NET_ADMIN (start it as root, or `setcap cap_net_admin+ep`), or use `proxy-protocol-out`");
    Some(problem)
}

/// A table that a panic elsewhere cannot have left half changed: every change is one insertion.
fn look<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Keeps the file of an open Unix socket until that is closed.
    pub(crate) fn keep_file(&self, key: SocketKey, file: SocketFile) {
        look(&self.files).insert(key, file);
    }

    /// The count of certificate files that were read again.
    pub(crate) fn refreshes(&self) -> Arc<Refreshes> {
        look(&self.names).counters.refreshes.clone()
    }

    /// Makes a new key for stickiness cookies when it is time to.
    pub(crate) fn rotate_keys(&self) {
        let ring = look(&self.names).ring().cloned();
        if let Some(ring) = ring {
            ring.rotate(SystemTime::now());
        }
    }

    /// The plan of a configuration that is committed.
    pub(crate) fn plan(
        &self,
        config: &Config,
        generation: u64,
        slots: Arc<SlotMap>,
        terminators: &Terminators,
    ) -> Plan {
        if let Err(error) = self.log.set(&config.logs) {
            tracing::error!(%error, "access, flow and connection log stay where they were");
        }
        self.past.resize(config.logs.past_requests);
        let bound = look(&self.sockets);
        let names = &mut look(&self.names);
        Plan::new(config, generation, slots, &bound, names, terminators)
    }

    /// Begins to read the key sets of token issuers that are due.
    pub(crate) fn poll_keys(&self) {
        look(&self.names).keyrings.poll(Instant::now());
    }

    /// Enters the sockets that `opened` adds and takes out those that `config` no longer names:
    /// what to close and what to open.
    pub(crate) fn exchange_sockets(
        &self,
        config: &Config,
        opened: Vec<Opened>,
    ) -> (Vec<SocketKey>, Vec<Opened>) {
        let mut files = look(&self.files);
        let permit = |bind: Bind<'_>| {
            if let Some(file) = files.get(&bind.key) {
                file.permit(&bind.listener.unix);
            }
            bind.key
        };
        let wanted: HashSet<_> = binds(config).into_iter().map(permit).collect();
        // Their files go before the sockets do: no new client comes meanwhile.
        files.retain(|key, _| wanted.contains(key));
        let mut sockets = look(&self.sockets);
        let close = sockets
            .keys()
            .filter(|key| !wanted.contains(key))
            .cloned()
            .collect();
        sockets.retain(|key, _| wanted.contains(key));
        let (open, _taken): (Vec<_>, Vec<_>) = opened
            .into_iter()
            .partition(|opened| !sockets.contains_key(&opened.key));
        sockets.extend(open.iter().map(|opened| (opened.key.clone(), opened.bound)));
        (close, open)
    }
}

/// The load balancer's handle. Cheap to clone; for the control plane.
#[derive(Debug, Clone)]
pub struct Lb {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commits: mpsc::Sender<Commit>,
}

/// A configuration whose new sockets are bound, but nothing of which is visible yet. Dropping it
/// closes them.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) config: Arc<Config>,
    pub(crate) generation: u64,
    pub(crate) slots: Arc<SlotMap>,
    pub(crate) opened: Vec<Opened>,
    pub(crate) terminators: Terminators,
}

/// A listener for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// Addresses it accepts on, with their real ports.
    pub bound: Vec<Address>,
    /// Open client connections.
    pub open_connections: usize,
    /// Changed files of its TLS that were refused, each with the reason.
    pub refused_certificates: Vec<Arc<str>>,
    /// The certificates that are shown, the default one first.
    pub certificates: Vec<CertificateStatus>,
}

/// A served certificate for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Its file, or `local-ca`.
    pub file: String,
    /// Names it is for.
    pub names: Vec<String>,
    /// Last second of its validity, in seconds since 1970.
    pub not_after: i64,
}

impl CertificateStatus {
    fn of(certificate: &Arc<conf::Certificate>) -> Self {
        Self {
            file: certificate.cert.display().to_string(),
            names: certificate.facts.names.clone(),
            not_after: certificate.facts.not_after,
        }
    }
}

/// A target's live numbers for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetStatus {
    /// Exchanges and flows running on it.
    pub in_flight: u32,
    /// Times it was given work since it was registered.
    pub selected: u64,
    /// True while traffic found it unreachable and no later probe has passed.
    pub suspect: bool,
}

impl Lb {
    /// Checks limits against the file-descriptor budget and binds the addresses that are new.
    /// Changes nothing visible.
    ///
    /// # Errors
    /// Every limit that cannot be kept and every address that cannot be bound.
    pub fn prepare(
        &self,
        config: &Arc<Config>,
        generation: u64,
        slots: &Arc<SlotMap>,
    ) -> Result<Prepared, Vec<Diagnostic>> {
        let workers = self.shared.workers.len();
        let mut problems = self.shared.descriptors.check(config, workers);
        problems.extend(foreign_sources(config));
        let open = look(&self.shared.sockets).clone();
        let opened = open_missing(config, &open, workers).unwrap_or_else(|more| {
            problems.extend(more);
            Vec::new()
        });
        let terminators = tls::terminators(config, self.ticket_keys()).unwrap_or_else(|more| {
            problems.extend(more);
            Terminators::new()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Prepared {
            terminators,
            config: config.clone(),
            generation,
            slots: slots.clone(),
            opened,
        })
    }

    /// The keys of session tickets that are in use.
    fn ticket_keys(&self) -> Option<Arc<tls::TicketKeys>> {
        let snapshot = self.shared.snapshot.load();
        let mut listeners = snapshot.listeners().iter();
        listeners.find_map(|listener| Some(listener.tls.as_ref()?.keys.clone()))
    }

    /// Serves a prepared configuration; returns when every worker does. Flows and exchanges in
    /// hand go on. Needs [`Control::run`](crate::Control::run) and the workers under way.
    pub async fn commit(&self, prepared: Prepared) {
        let generation = prepared.generation;
        let (published, workers_told) = oneshot::channel();
        let commit = Commit {
            prepared,
            published,
        };
        if self.commits.send(commit).await.is_err() {
            return;
        }
        for changed in workers_told.await.unwrap_or_default() {
            // An error says that the worker has ended.
            let _ = changed.await;
        }
        self.shared.acknowledgements.config(generation).await;
        (self.shared.acknowledge)(generation);
    }

    /// Returns when every worker serves a snapshot made from at least this health table.
    pub async fn applied(&self, health_generation: u64) {
        self.shared.acknowledgements.health(health_generation).await;
    }

    /// The listeners, in the order of the file.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        let snapshot = self.shared.snapshot.load();
        let status = |listener: &Arc<crate::Listener>| ListenerStatus {
            name: listener.name.to_string(),
            protocol: listener.protocol,
            bound: listener.addresses().collect(),
            open_connections: listener.load.open(),
            refused_certificates: listener
                .tls
                .as_ref()
                .map_or_else(Vec::new, |tls| tls.refused()),
            certificates: listener.tls.as_ref().map_or_else(Vec::new, |tls| {
                let certificates = tls.shelf.certificates();
                certificates.iter().map(CertificateStatus::of).collect()
            }),
        };
        snapshot.listeners().iter().map(status).collect()
    }

    /// What would become of a request, and why; sends nothing and counts nothing. `config` is the
    /// configuration that serves.
    ///
    /// # Errors
    /// A sentence, when no listener would get it.
    pub fn explain(
        &self,
        config: &Config,
        question: &RequestQuestion,
    ) -> Result<RequestExplanation, String> {
        explain::explain(config, &self.shared.snapshot.load(), question)
    }

    /// What became of requests that have ended, newest first; `None` when they are not remembered.
    /// `config` is the configuration that serves.
    pub fn past(&self, config: &Config, question: &PastQuestion) -> Option<Vec<PastReport>> {
        let generation = self.shared.snapshot.load().config_generation();
        let rings = &self.shared.past;
        rings
            .is_on()
            .then(|| past::find(rings, question, config, generation))
    }

    /// A target's live numbers; `None` when it is neither registered nor in its deregistration
    /// delay.
    pub fn target_status(&self, group: &str, target: impl Into<Address>) -> Option<TargetStatus> {
        let snapshot = self.shared.snapshot.load();
        let live = snapshot.target(group, target.into())?;
        Some(TargetStatus {
            in_flight: live.in_flight(),
            selected: live.selected(),
            suspect: live.is_suspect(),
        })
    }

    /// The file-descriptor budget, to print at start.
    pub fn descriptors(&self) -> Descriptors {
        self.shared.descriptors
    }

    /// The metrics of the data path.
    pub fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        let snapshot = self.shared.snapshot.load();
        let names = look(&self.shared.names);
        let loads: Vec<(Arc<str>, Arc<ListenerLoad>)> = names
            .loads
            .iter()
            .map(|(name, load)| (name.clone(), load.clone()))
            .collect();
        metrics::collect(&names.counters, &loads, &snapshot, &names.keyrings)
    }

    /// Closes the listening sockets, after accepting what waits on them. Connections go on.
    pub fn stop_accepting(&self) {
        look(&self.shared.sockets).clear();
        look(&self.shared.files).clear();
        for worker in &self.shared.workers {
            // A full mailbox is being emptied by a worker that `finish` will stop as well.
            let _ = worker.try_send(Command::StopAccepting);
        }
    }

    /// Lets running work end within `grace`, then ends the rest and the workers; writes the access
    /// log out. A second call with a shorter grace cuts the first one short.
    pub async fn finish(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        for worker in &self.shared.workers {
            // An error says that the worker has ended.
            let _ = worker.send(Command::Finish(deadline)).await;
        }
        for worker in &self.shared.workers {
            worker.closed().await;
        }
        self.shared.log.close().await;
    }

    /// Opens the access log's file anew, after it was renamed.
    pub fn reopen_logs(&self) {
        self.shared.log.reopen();
    }

    /// Client connections the process can hold at once.
    pub fn connection_budget(&self) -> usize {
        self.shared.budget.limit()
    }
}

#[cfg(test)]
impl Lb {
    /// The sum of what `pick` reads of each worker's own counters.
    pub(crate) fn shared_counters(&self, pick: impl Fn(&metrics::WorkerCounters) -> u64) -> u64 {
        look(&self.shared.names).counters.by_worker.sum(pick)
    }
}

#[cfg(test)]
mod tests;
