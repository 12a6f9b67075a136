//! Round-trip times by client network: sans-io, `now` is passed in.
//!
//! A /24 or /48 counts once enough of its connections ended. What is told of it changes only when
//! what it comes to has moved by 10 ms and by a tenth, or when it stands on twice as many connections:
//! answers must not flap because one connection was slow. Networks that were not seen for a week are
//! forgotten, and those with the fewest to say when there are more than 4,096.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use dns::MeasuredRtt;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::time::Instant;

/// Client networks at most: each may get a plan of its own.
const NETWORKS: usize = 4096;
/// How long a network that is not seen any more is remembered.
const EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Connections that count: more would make a network that moved look as if it had not.
const SAMPLES: u32 = 200;
/// What the last of them weighs at least, so that old ones fade.
const WEIGHT: f64 = 1.0 / 8.0;
/// Nothing is told anew that moved by less, in milliseconds and as a share.
const STEP_MS: f64 = 10.0;
const STEP_SHARE: f64 = 0.1;

/// Every client network that is known.
#[derive(Debug)]
pub(super) struct Table {
    min_samples: u32,
    networks: HashMap<IpNet, Entry>,
}

#[derive(Debug)]
struct Entry {
    ms: f64,
    samples: u32,
    seen: Instant,
    told: Option<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    ms: f64,
    samples: u32,
}

/// One of them, to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    pub(super) network: IpNet,
    pub(super) ms: f64,
    pub(super) samples: u32,
    pub(super) used: Option<f64>,
    pub(super) seen: Instant,
}

impl Table {
    /// Nothing, where a network counts with `min_samples` connections.
    pub(super) fn new(min_samples: u32) -> Self {
        Self {
            min_samples: min_samples.max(1),
            networks: HashMap::new(),
        }
    }

    /// The same with another threshold, for networks that do not count yet.
    pub(super) fn with_min_samples(self, min_samples: u32) -> Self {
        Self {
            min_samples: min_samples.max(1),
            ..self
        }
    }

    /// Takes in a connection that ended.
    pub(super) fn take(&mut self, client: IpAddr, time: Duration, now: Instant) {
        let network = network_of(client);
        let ms = time.as_secs_f64() * 1000.0;
        if let Some(entry) = self.networks.get_mut(&network) {
            let weight = WEIGHT.max(1.0 / f64::from(entry.samples + 1));
            entry.ms += weight * (ms - entry.ms);
            entry.samples = (entry.samples + 1).min(SAMPLES);
            entry.seen = now;
            return;
        }
        if self.networks.len() >= NETWORKS {
            self.make_room();
        }
        let entry = Entry {
            ms,
            samples: 1,
            seen: now,
            told: None,
        };
        self.networks.insert(network, entry);
    }

    /// Forgets what is old and decides what is told from now on; true when that is another thing.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        let mut changed = false;
        self.networks.retain(|_, entry| {
            let keep = now.saturating_duration_since(entry.seen) < EXPIRY;
            changed |= !keep && entry.told.is_some();
            keep
        });
        for entry in self.networks.values_mut() {
            if entry.is_news(self.min_samples) {
                let (ms, samples) = (entry.ms, entry.samples);
                entry.told = Some(Told { ms, samples });
                changed = true;
            }
        }
        changed
    }

    /// What is told.
    pub(super) fn used(&self) -> Vec<MeasuredRtt> {
        let told = self.networks.iter().filter_map(|(network, entry)| {
            let Told { ms, samples } = entry.told?;
            let network = *network;
            Some(MeasuredRtt {
                network,
                ms,
                samples,
            })
        });
        let mut told: Vec<MeasuredRtt> = told.collect();
        told.sort_by_key(|one| one.network);
        told
    }

    /// All that is known.
    pub(super) fn networks(&self) -> impl Iterator<Item = Network> {
        self.networks.iter().map(|(network, entry)| Network {
            network: *network,
            ms: entry.ms,
            samples: entry.samples,
            used: entry.told.map(|told| told.ms),
            seen: entry.seen,
        })
    }

    /// Forgets a network: of those that do not count yet, else of all, the one not seen for longest.
    fn make_room(&mut self) {
        let key = |entry: &Entry| (entry.told.is_some(), entry.seen);
        let oldest = self.networks.iter().min_by_key(|(_, entry)| key(entry));
        if let Some(network) = oldest.map(|(network, _)| *network) {
            self.networks.remove(&network);
        }
    }
}

impl Entry {
    /// True when something else should be told of it.
    fn is_news(&self, min_samples: u32) -> bool {
        let Some(told) = self.told else {
            return self.samples >= min_samples;
        };
        let moved = (self.ms - told.ms).abs();
        moved >= STEP_MS.max(STEP_SHARE * told.ms) || self.samples >= told.samples.saturating_mul(2)
    }
}

/// The network by which a client is known: what resolvers tell of clients, too (RFC 7871 section
/// 11.1).
fn network_of(client: IpAddr) -> IpNet {
    match client.to_canonical() {
        IpAddr::V4(v4) => Ipv4Net::new_assert(v4, 24).trunc().into(),
        IpAddr::V6(v6) => Ipv6Net::new_assert(v6, 48).trunc().into(),
    }
}

#[cfg(test)]
mod tests;
