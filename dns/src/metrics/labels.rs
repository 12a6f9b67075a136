//! Zones as metric labels: the first 200 zones by name, then `other`, so that cardinality and the
//! counters' size are bounded.
//!
//! A zone keeps its place for the life of the process, reloads included. Changed when a
//! configuration is prepared, read when metrics are.

use std::collections::HashMap;

use arc_swap::ArcSwap;

/// Zones with a label of their own.
const NAMED: u16 = 200;
/// Label places in all: the named, `other`, none.
pub(super) const PLACES: usize = NAMED as usize + 2;

/// The place of a zone's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ZoneLabel(pub(crate) u16);

impl ZoneLabel {
    /// Zones past the first 200.
    const OTHER: Self = Self(NAMED);
    /// Queries for no zone.
    pub(crate) const NONE: Self = Self(NAMED + 1);
}

/// Names by place.
#[derive(Debug, Clone, Default)]
pub(crate) struct ZoneLabels {
    places: HashMap<String, ZoneLabel>,
    names: Vec<String>,
}

impl ZoneLabels {
    /// The label's text; empty for queries of no zone.
    pub(super) fn name(&self, label: ZoneLabel) -> &str {
        match label {
            ZoneLabel::OTHER => "other",
            ZoneLabel(index) => self
                .names
                .get(usize::from(index))
                .map_or("", String::as_str),
        }
    }

    /// True for a zone with a label of its own.
    pub(super) fn has(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// The place of a zone id, given it now if it has none and there is one left.
    pub(crate) fn label(&mut self, id: &str) -> ZoneLabel {
        if let Some(&label) = self.places.get(id) {
            return label;
        }
        let Ok(next @ 0..NAMED) = u16::try_from(self.names.len()) else {
            return ZoneLabel::OTHER;
        };
        self.names.push(id.to_owned());
        self.places.insert(id.to_owned(), ZoneLabel(next));
        ZoneLabel(next)
    }

    /// Labels `ids` in a shared registry and gives back the result.
    pub(crate) fn extend<'i>(
        shared: &ArcSwap<Self>,
        ids: impl Iterator<Item = &'i str> + Clone,
    ) -> std::sync::Arc<Self> {
        shared.rcu(|labels| {
            let mut labels = Self::clone(labels);
            ids.clone().for_each(|id| {
                labels.label(id);
            });
            labels
        });
        shared.load_full()
    }
}
