//! Start: from a file to a serving process.
//!
//! Phases: load > bind the admin sockets > start threads (board, workers) > apply the first
//! configuration > serve the admin surface. Runs on the control thread; a failure in any phase ends
//! what was started, because dropping the handles does.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use conf::{Address, Config};
use healthcheck::{BoardSettings, MemorySettings};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::Instant;

use super::capacity;
use super::control::{Inbox, Phase};
use super::holder::{Transport, describe};
use super::memory;
use super::reload::{Candidate, Outcome, Planes, settings_that_wait};
use super::threads::{Threads, be_nice};
use crate::admin::{self, Addresses, Admin, OwnMetrics, Shared, Sockets, View};
use crate::cli::Failure;
use crate::latencies::{self, Latencies};
use crate::registration::Registry;

/// Reloads that may wait for the one at work; more wait in their senders.
const RELOAD_QUEUE: usize = 8;

/// Where health outlives the process, in the state folder.
const HEALTH_FILE: &str = "health.json";
/// Routing controls as they were turned, in the same place.
const CONTROLS_FILE: &str = "controls.json";
/// What the operator registered, in the same place.
const REGISTRATIONS_FILE: &str = "registrations.json";
/// Registrations that may wait for what the control loop is at; more wait in their senders.
const REGISTRATION_QUEUE: usize = 8;

/// Where a process serves, with real ports.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    /// The admin surface.
    pub(crate) admin: Addresses,
    /// Listeners: name, protocol, addresses.
    pub(crate) listeners: Vec<(String, &'static str, Vec<Address>)>,
    /// DNS.
    pub(crate) dns: Vec<SocketAddr>,
}

/// A serving process, as its control thread holds it.
pub(super) struct Process {
    /// The configuration file as it was named: diagnostics name it so.
    pub(super) file: PathBuf,
    pub(super) planes: Planes,
    /// Who is registered.
    pub(super) registry: Registry,
    /// What serving the same zones with other targets takes.
    pub(super) zones: dns::Zones,
    pub(super) threads: Threads,
    pub(super) admin: Shared,
    pub(super) phase: watch::Sender<Phase>,
    /// The admin surface; ends when aborted.
    pub(super) surface: JoinHandle<()>,
}

/// Starts everything.
pub(super) async fn start(file: &Path) -> Result<(Process, Inbox), Failure> {
    let mut candidate = Candidate::load(file);
    if candidate.has_errors() {
        return Err(refused(file, &candidate));
    }
    let workers = capacity::workers(candidate.config.runtime.workers);
    let sockets = bind_admin(&candidate).await?;
    let (mut threads, ended) = Threads::new();
    let (round_trips, trips) = lb::RoundTrips::new();
    let latencies = Latencies::new(round_trips.clone());
    let planes = start_planes(&candidate, workers, round_trips, &mut threads)?;
    let saved = candidate.config.state_dir.join(REGISTRATIONS_FILE);
    let mut registry = Registry::start(candidate.config.clone(), saved).await;
    let zones = candidate.zones_for_other_targets();
    let merged = registry.merge_served();
    let Some(view) = planes.apply(&mut candidate, merged, 1).await else {
        return Err(refused(file, &candidate));
    };
    for line in candidate.report().lines() {
        tracing::warn!("{line}");
    }
    let (reloads, asked) = mpsc::channel(RELOAD_QUEUE);
    let (registrations, changes) = mpsc::channel(REGISTRATION_QUEUE);
    let (phase, phases) = watch::channel(Phase::Serving);
    latencies.serves(&view.config);
    spawn_local(latencies::follow(
        latencies.clone(),
        trips,
        planes.dns.clone(),
    ));
    let addresses = sockets
        .addresses()
        .map_err(|error| Failure::from_error("the admin socket is not usable", &error))?;
    let admin = Arc::new(Admin {
        board: planes.board.clone(),
        lb: planes.lb.clone(),
        dns: planes.dns.clone(),
        file: absolute(file),
        addresses,
        workers,
        started: Instant::now(),
        phase: phases,
        reloads,
        registrations,
        sources: ArcSwap::from_pointee(registry.reports()),
        latencies,
        metrics: OwnMetrics::default(),
        ready: AtomicBool::new(false),
        view: ArcSwap::from_pointee(view),
    });
    planes.board.acknowledge(healthcheck::Plane::Admin, 1);
    be_nice();
    let surface = spawn_local(admin::serve(sockets, admin.clone()));
    let process = Process {
        file: file.to_owned(),
        planes,
        registry,
        zones,
        threads,
        admin,
        phase,
        surface,
    };
    process.announce();
    drop(candidate);
    memory::give_back();
    let inbox = Inbox {
        reloads: asked,
        registrations: changes,
        ended,
    };
    Ok((process, inbox))
}

/// Binds the admin sockets, with a diagnostic of the address when that fails.
async fn bind_admin(candidate: &Candidate) -> Result<Sockets, Failure> {
    let admin = &candidate.config.admin;
    Sockets::bind(admin).await.map_err(|error| {
        let address = admin.bind.value;
        let holder = match error.kind() {
            ErrorKind::AddrInUse => format!(", held by {}", describe(Transport::Tcp, address)),
            _ => String::new(),
        };
        let message = format!("the admin surface cannot listen on {address}{holder}: {error}");
        Failure::Failed(message)
    })
}

/// Starts the board's thread, the workers and both planes' control futures. They serve nothing yet.
fn start_planes(
    candidate: &Candidate,
    workers: usize,
    round_trips: lb::RoundTrips,
    threads: &mut Threads,
) -> Result<Planes, Failure> {
    let (board, handle) = healthcheck::start(board_settings(&candidate.config, workers));
    threads.spawn("board".to_owned(), move || board.run())?;
    let settings = lb::Settings {
        workers,
        board: handle.clone(),
        access_log: candidate.config.logs.access.clone(),
        round_trips,
    };
    let (lb, lb_control, lb_workers) = lb::start(settings)
        .map_err(|error| Failure::from_error("the balancer cannot start", &error))?;
    let (dns, dns_control, tcp_workers) = dns::start(dns::Settings {
        udp_threads: capacity::workers(0),
        tcp_workers: workers,
        board: handle.clone(),
    });
    for (index, (worker, tcp)) in lb_workers.into_iter().zip(tcp_workers).enumerate() {
        let work = move || async {
            tokio::join!(worker.run(), tcp.run());
        };
        threads.spawn(format!("worker-{index}"), work)?;
    }
    spawn_local(lb_control.run());
    // It starts the threads that answer UDP, and a thread inherits niceness: on the control thread
    // those of a later reload would lag behind the first ones.
    threads.spawn("dns-control".to_owned(), move || dns_control.run())?;
    Ok(Planes {
        board: handle,
        lb,
        dns,
    })
}

/// The board's settings; health outlives the process in the state folder.
fn board_settings(config: &Config, workers: usize) -> BoardSettings {
    let age = config.runtime.health_memory;
    let memory = (!age.is_zero()).then(|| MemorySettings {
        file: config.state_dir.join(HEALTH_FILE),
        age,
    });
    BoardSettings {
        workers,
        memory,
        controls: Some(config.state_dir.join(CONTROLS_FILE)),
        ..BoardSettings::default()
    }
}

impl Process {
    /// Where it serves.
    pub(super) fn started(&self) -> Started {
        let listeners = self.planes.lb.listeners().into_iter();
        let shown =
            |live: lb::ListenerStatus| (live.name.to_string(), live.protocol.as_str(), live.bound);
        Started {
            admin: self.admin.addresses.clone(),
            listeners: listeners.map(shown).collect(),
            dns: self.planes.dns.bound(),
        }
    }

    /// Reads the file again and applies it, or says why not.
    pub(super) async fn reload(&mut self, asked_by: &str) -> Outcome {
        let file = self.admin.file.clone();
        let old = self.admin.view();
        tracing::info!("reload asked for by {asked_by}: reading {}", file.display());
        let Some(mut candidate) = Candidate::load_aside(self.file.clone()).await else {
            self.admin.metrics.count_reload(false);
            return Outcome::loader_failed(old.generation);
        };
        let generation = old.generation + 1;
        let zones = candidate.zones_for_other_targets();
        if !candidate.has_errors() {
            self.registry.expect(&candidate.config).await;
        }
        let merged = self.registry.merge(&candidate.config);
        let applied = self.planes.apply(&mut candidate, merged, generation).await;
        self.admin.metrics.count_reload(applied.is_some());
        let Some(view) = applied else {
            self.registry.stays();
            let outcome = Outcome::new(false, old.generation, &candidate);
            let (file, report) = (file.display(), outcome.report());
            tracing::error!(
                "{file} was not applied; generation {} goes on serving\n{report}",
                old.generation
            );
            return outcome;
        };
        self.zones = zones;
        self.registry.serves(candidate.config.clone());
        self.report_sources();
        let waiting = settings_that_wait(&old.config, &view.config);
        candidate.diagnostics.extend(waiting);
        self.show(view);
        let outcome = Outcome::new(true, generation, &candidate);
        for line in outcome.report().lines() {
            tracing::warn!("{line}");
        }
        tracing::info!("generation {generation} of {} serves", file.display());
        drop(candidate);
        memory::give_back();
        outcome
    }

    /// Shows `view` from now on.
    pub(super) fn show(&self, view: View) {
        let generation = view.generation;
        self.admin.latencies.serves(&view.config);
        self.admin.view.store(Arc::new(view));
        let board = &self.planes.board;
        board.acknowledge(healthcheck::Plane::Admin, generation);
    }

    /// Opens log files anew, after something rotated them.
    pub(super) fn reopen_logs(&self) {
        tracing::info!("SIGUSR1: opening log files anew");
        self.planes.lb.reopen_logs();
        self.planes.dns.reopen_logs();
        self.planes.board.reopen_logs();
    }

    fn announce(&self) {
        let started = self.started();
        let version = env!("CARGO_PKG_VERSION");
        let file = self.admin.file.display();
        let workers = self.admin.workers;
        tracing::info!("pointsman {version}: {workers} workers");
        let split = self.planes.lb.descriptors();
        tracing::info!(
            "file descriptors: {} = {} process, {} sockets, {} pipes, 2 for each of {} connections",
            split.limit,
            split.process,
            split.sockets,
            split.pipes,
            split.connections
        );
        for (name, protocol, bound) in &started.listeners {
            tracing::info!("listener {name} ({protocol}) on {}", join(bound));
        }
        if !started.dns.is_empty() {
            tracing::info!("dns on {} (udp and tcp)", join(&started.dns));
        }
        let socket = started.admin.socket.as_ref();
        let socket =
            socket.map_or_else(String::new, |path| format!(" and unix:{}", path.display()));
        tracing::info!("admin on http://{}{socket}", started.admin.tcp);
        tracing::info!("generation 1 of {file} serves");
    }
}

fn join(addresses: &[impl ToString]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

fn refused(file: &Path, candidate: &Candidate) -> Failure {
    let report = candidate.report();
    Failure::Config(format!(
        "{report}pointsman: {} cannot be served",
        file.display()
    ))
}
