//! How secondary zones are, for status pages and metrics.
//!
//! Written by the task of secondary zones alone, read by whoever asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::load::ZoneState;

/// How a secondary zone is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecondaryStatus {
    /// Who is asked, in order.
    pub primaries: Vec<SocketAddr>,
    /// The copy's serial, if there is a copy.
    pub serial: Option<u32>,
    /// Whether the copy is answered from.
    pub state: ZoneState,
    /// When a primary said last that the copy is right.
    pub checked: Option<SystemTime>,
    /// When the copy was changed last, in this process.
    pub transferred: Option<SystemTime>,
    /// Who said so last.
    pub from: Option<SocketAddr>,
    /// When primaries are asked next, at the latest.
    pub next_check: Option<SystemTime>,
    /// When the copy will be too old, if no primary is heard.
    pub expires: Option<SystemTime>,
    /// What went wrong with the last check, for people.
    pub error: Option<String>,
    /// Checks that found nothing newer.
    pub current: u64,
    /// Copies that came by changes.
    pub changes: u64,
    /// Copies that came whole.
    pub whole: u64,
    /// Checks that no primary gave an answer to.
    pub failed: u64,
    /// What to say beside `error`.
    pub(super) behind: Option<String>,
}

impl SecondaryStatus {
    /// Of a zone that was not checked yet.
    pub(super) fn new(primaries: impl Iterator<Item = SocketAddr>) -> Self {
        Self {
            primaries: primaries.collect(),
            state: ZoneState::Awaited,
            ..Self::default()
        }
    }
}

/// All of them, by zone id.
#[derive(Debug, Default)]
pub(crate) struct Statuses(ArcSwap<BTreeMap<String, Arc<SecondaryStatus>>>);

impl Statuses {
    /// All.
    pub(crate) fn all(&self) -> Arc<BTreeMap<String, Arc<SecondaryStatus>>> {
        self.0.load_full()
    }

    pub(super) fn set(&self, id: &str, status: SecondaryStatus) {
        let mut all = BTreeMap::clone(&self.0.load());
        all.insert(id.to_owned(), Arc::new(status));
        self.0.store(Arc::new(all));
    }

    pub(super) fn keep(&self, wanted: impl Fn(&str) -> bool) {
        let mut all = BTreeMap::clone(&self.0.load());
        all.retain(|id, _| wanted(id));
        self.0.store(Arc::new(all));
    }
}
