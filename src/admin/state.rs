//! What the admin surface knows: the planes' handles and the view of the generation that serves.
//!
//! Made once by `run`; the view is replaced, last of all planes, when a reload commits. Readers take
//! one [`View`] and one health table per request, so that an answer never mixes two generations.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use conf::Config;
use dns::Dns;
use healthcheck::{BoardHandle, SlotMap};
use lb::Lb;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::OwnMetrics;
use super::catalogue::ZoneEntry;
use crate::latencies::Latencies;
use crate::registration::{ChangeRequest, Origins, Reports};
use crate::run::{Phase, ReloadRequest};

/// The admin state, shared by all handlers.
pub(crate) type Shared = Arc<Admin>;

/// One generation as the admin surface shows it.
#[derive(Debug)]
pub(crate) struct View {
    /// Its number.
    pub(crate) generation: u64,
    /// What it says, with the targets of every source.
    pub(crate) config: Arc<Config>,
    /// Who registered its targets.
    pub(crate) origins: Origins,
    /// Where its targets, groups and checks live in health tables.
    pub(crate) slots: Arc<SlotMap>,
    /// Its zones and records by name.
    pub(crate) zones: Vec<Arc<ZoneEntry>>,
    /// When it was applied.
    pub(crate) since: SystemTime,
}

/// Where the admin surface listens.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// TCP, with the real port.
    pub(crate) tcp: SocketAddr,
    /// The unix socket, when it could be made.
    pub(crate) socket: Option<PathBuf>,
}

/// Handles and views.
pub(crate) struct Admin {
    /// Health.
    pub(crate) board: BoardHandle,
    /// The balancer.
    pub(crate) lb: Lb,
    /// The DNS server.
    pub(crate) dns: Dns,
    /// The configuration file.
    pub(crate) file: PathBuf,
    /// Where this surface listens.
    pub(crate) addresses: Addresses,
    /// Worker threads.
    pub(crate) workers: usize,
    /// When the process started serving.
    pub(crate) started: Instant,
    /// What the process is about.
    pub(crate) phase: watch::Receiver<Phase>,
    /// To the control loop.
    pub(crate) reloads: mpsc::Sender<ReloadRequest>,
    /// To the same.
    pub(crate) registrations: mpsc::Sender<ChangeRequest>,
    /// How names and files that targets come from do.
    pub(crate) sources: ArcSwap<Reports>,
    /// Round-trip times that were measured.
    pub(crate) latencies: Latencies,
    /// Metrics of no plane.
    pub(crate) metrics: OwnMetrics,
    /// Set once the first round of probes is over, or had its time.
    pub(crate) ready: AtomicBool,
    /// The generation that serves.
    pub(crate) view: ArcSwap<View>,
}

impl Admin {
    /// The generation that serves.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// True once it may get traffic: see [`super::lifecycle`]. Stays true once it was.
    pub(super) async fn is_ready(&self) -> bool {
        if self.ready.load(Ordering::Relaxed) {
            return true;
        }
        let ready = super::lifecycle::first_round_is_over(self).await;
        if ready {
            self.ready.store(true, Ordering::Relaxed);
        }
        ready
    }
}
