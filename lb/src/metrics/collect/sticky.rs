//! Metrics of stickiness by cookie.

use prometheus::proto::{MetricFamily, MetricType};

use super::super::{Registry, StickyOutcome, names};
use super::{counter, family};

/// Sessions by what became of them.
pub(super) fn sessions(registry: &Registry) -> MetricFamily {
    let counts = StickyOutcome::ALL.map(|outcome| {
        let count = registry.by_worker.sum(|c| c.sticky_requests(outcome));
        counter(&[("outcome", outcome.as_str())], count)
    });
    let help =
        "Requests to sticky groups by what became of their session, and cookies passed over.";
    let kind = MetricType::COUNTER;
    family(names::STICKY, help, kind, counts.to_vec())
}
