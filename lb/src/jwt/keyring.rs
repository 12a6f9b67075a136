//! Key sets that are read again from time to time, the last good one kept.
//!
//! A keyring is shared by all validators with the same source and survives reloads. The control
//! task calls [`Keyrings::poll`] every second; when a set is due is a sans-io schedule.
#![expect(
    clippy::disallowed_types,
    reason = "the control plane's own, never locked by a worker"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use conf::{Jwk, JwksLocation, JwtKeys, parse_jwks, read_jwks};
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::fetch;
use super::keys::KeySet;

/// A token with an unknown key makes a set due no sooner after the last time it was read: strangers
/// choose what stands in tokens.
const WANTED_GAP: Duration = Duration::from_secs(10);
/// The first pause after a failure; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Every keyring of the newest configuration.
#[derive(Debug, Default)]
pub(crate) struct Keyrings(Vec<Weak<Keyring>>);

/// One source's keys.
#[derive(Debug)]
pub(crate) struct Keyring {
    source: JwtKeys,
    keys: ArcSwapOption<KeySet>,
    /// A token named a key that is not there.
    wanted: AtomicBool,
    schedule: Mutex<Schedule>,
    read: AtomicU64,
    failed: AtomicU64,
}

/// What metrics show of a keyring.
#[derive(Debug, Clone)]
pub(crate) struct KeyringStatus {
    /// Where its keys come from.
    pub(crate) source: String,
    /// Keys that can be used.
    pub(crate) keys: usize,
    /// Times it was read well.
    pub(crate) read: u64,
    /// Times it could not be read.
    pub(crate) failed: u64,
}

/// When a set is to be read.
#[derive(Debug)]
struct Schedule {
    refresh: Duration,
    /// `None`: never read.
    last: Option<Instant>,
    due: Option<Instant>,
    failures: u32,
    running: bool,
}

impl Schedule {
    fn new(refresh: Duration) -> Self {
        Self {
            refresh,
            last: None,
            due: None,
            failures: 0,
            running: false,
        }
    }

    /// True when it is to be read now; it is taken to be under way then.
    fn begin(&mut self, wanted: bool, now: Instant) -> bool {
        let is_due = self.due.is_none_or(|due| now >= due);
        let is_missed = wanted && self.last.is_none_or(|last| now >= last + WANTED_GAP);
        let begins = !self.running && (is_due || is_missed);
        self.running |= begins;
        begins
    }

    fn end(&mut self, is_good: bool, now: Instant) {
        let pause = match is_good {
            true => {
                self.failures = 0;
                self.refresh
            }
            false => {
                let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6));
                self.failures += 1;
                pause.min(LONGEST_PAUSE).min(self.refresh)
            }
        };
        (self.running, self.last, self.due) = (false, Some(now), Some(now + pause));
    }
}

impl Keyrings {
    /// The keyring for a source: the one there is, or a new one. A file is read at once.
    pub(crate) fn of(&mut self, source: &JwtKeys) -> Arc<Keyring> {
        self.0.retain(|keyring| keyring.strong_count() > 0);
        let mut known = self.0.iter().filter_map(Weak::upgrade);
        if let Some(keyring) = known.find(|keyring| keyring.source == *source) {
            return keyring;
        }
        let keyring = Arc::new(Keyring::new(source));
        self.0.push(Arc::downgrade(&keyring));
        if let JwksLocation::File(_) = source.location {
            keyring.poll(Instant::now());
        }
        keyring
    }

    /// Reads again what is due.
    pub(crate) fn poll(&self, now: Instant) {
        for keyring in self.0.iter().filter_map(Weak::upgrade) {
            keyring.poll(now);
        }
    }

    /// What metrics show.
    pub(crate) fn statuses(&self) -> Vec<KeyringStatus> {
        let live = self.0.iter().filter_map(Weak::upgrade);
        live.map(|keyring| keyring.status()).collect()
    }
}

impl Keyring {
    fn new(source: &JwtKeys) -> Self {
        Self {
            source: source.clone(),
            keys: ArcSwapOption::empty(),
            wanted: AtomicBool::new(false),
            schedule: Mutex::new(Schedule::new(source.refresh)),
            read: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// A keyring that has its keys.
    pub(super) fn with_keys(source: &JwtKeys, keys: KeySet) -> Self {
        let keyring = Self::new(source);
        keyring.keys.store(Some(Arc::new(keys)));
        keyring
    }

    /// The newest good keys; `None` while there never were any.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Says that a key is missing.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    fn status(&self) -> KeyringStatus {
        KeyringStatus {
            source: self.source.location.to_string(),
            keys: self.keys.load().as_ref().map_or(0, |keys| keys.len()),
            read: self.read.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    fn schedule(&self) -> std::sync::MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(self: &Arc<Self>, now: Instant) {
        let wanted = self.wanted.load(Ordering::Relaxed);
        if !self.schedule().begin(wanted, now) {
            return;
        }
        self.wanted.store(false, Ordering::Relaxed);
        match &self.source.location {
            // Small and local, as certificates are.
            JwksLocation::File(path) => {
                self.take(read_jwks(path), now);
            }
            JwksLocation::Url(url) => {
                let (keyring, url) = (self.clone(), url.clone());
                spawn_local(async move {
                    let fetched = fetch::fetch(&url).await;
                    keyring.take(fetched.and_then(|set| parse_jwks(&set)), Instant::now());
                });
            }
        }
    }

    /// Takes what was read over; anything that is no good leaves the keys as they are.
    fn take(&self, read: Result<Vec<Jwk>, String>, now: Instant) {
        let keys = read.map(KeySet::new).and_then(|keys| match keys.len() {
            0 => Err("has no key that can be used".to_owned()),
            _ => Ok(keys),
        });
        self.schedule().end(keys.is_ok(), now);
        match keys {
            Ok(keys) => {
                self.read.fetch_add(1, Ordering::Relaxed);
                self.keys.store(Some(Arc::new(keys)));
            }
            Err(fault) => {
                let failed = self.failed.fetch_add(1, Ordering::Relaxed);
                let kept = self.keys.load().is_some();
                let source = &self.source.location;
                tracing::warn!(%source, kept, failed, "key set {fault}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_set_is_read() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::new(Duration::from_secs(100));
        assert!(schedule.begin(false, at(0)));
        // Not twice at a time.
        assert!(!schedule.begin(true, at(0)));
        schedule.end(true, at(1));
        assert!(!schedule.begin(false, at(100)));
        assert!(!schedule.begin(true, at(10)));
        assert!(schedule.begin(true, at(11)));
        schedule.end(true, at(11));
        assert!(schedule.begin(false, at(111)));
        // Failures come back soon, and less and less often.
        let mut gaps = Vec::new();
        let mut now = 111;
        for _ in 0..9 {
            schedule.end(false, at(now));
            let mut gap = 1;
            while !schedule.begin(false, at(now + gap)) {
                gap += 1;
            }
            gaps.push(gap);
            now += gap;
        }
        assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
