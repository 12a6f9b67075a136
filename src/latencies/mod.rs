//! Measured round-trip times: what the balancer tells of its clients' connections, gathered by client
//! network and handed to DNS.
//!
//! The seam between the two planes, which do not know each other. `follow` runs on the control thread;
//! the admin surface shows what it found. Decides nothing about answers.

mod follow;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use conf::Config;
use ipnet::IpNet;
use tokio::sync::watch;

pub(crate) use follow::follow;

/// What was measured, and whether anything is. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: watch::Sender<Option<Settings>>,
    round_trips: lb::RoundTrips,
    shown: ArcSwap<Vec<Shown>>,
    taken: AtomicU64,
}

/// What a configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    region: String,
    min_samples: u32,
}

/// What is known of one client network.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) network: IpNet,
    /// Where the times lead to.
    pub(crate) region: String,
    /// Milliseconds there and back, as connections say.
    pub(crate) ms: f64,
    /// Connections that say so.
    pub(crate) samples: u32,
    /// Milliseconds that DNS goes by; `None` while there are too few connections.
    pub(crate) used: Option<f64>,
    /// When the last of them ended.
    pub(crate) seen: SystemTime,
}

impl Latencies {
    /// Nothing is measured yet.
    pub(crate) fn new(round_trips: lb::RoundTrips) -> Self {
        Self(Arc::new(Inner {
            settings: watch::Sender::new(None),
            round_trips,
            shown: ArcSwap::default(),
            taken: AtomicU64::new(0),
        }))
    }

    /// Measures, or not, as a configuration that serves from now on says.
    pub(crate) fn serves(&self, config: &Config) {
        let service = config.dns.as_ref().map(|dns| &dns.service);
        let settings = service.and_then(|service| service.measured_latency);
        let settings = settings.map(|measured| Settings {
            region: config.region(measured.region).name.clone(),
            min_samples: measured.min_samples,
        });
        self.0.round_trips.set(settings.is_some());
        self.0.settings.send_if_modified(|now| {
            let differs = *now != settings;
            *now = settings;
            differs
        });
    }

    /// Every client network that is known.
    pub(crate) fn shown(&self) -> Arc<Vec<Shown>> {
        self.0.shown.load_full()
    }

    /// Connections whose time was taken, and those whose time was not because too many ended at once.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.0.taken.load(Ordering::Relaxed),
            self.0.round_trips.dropped(),
        )
    }
}
