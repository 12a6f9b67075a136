//! Rate limits: what they refused, and keys they had no room for.

use prometheus::proto::{MetricFamily, MetricType};

use super::super::names;
use super::{counter, family};
use crate::rules::{Limit, LimitCounts};
use crate::snapshot::Snapshot;

/// The label `rule` of limits that hold for a whole listener.
const ALL_RULES: &str = "*";

/// Families of all limits; those of one rule are added up.
pub(super) fn limits(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let (mut limited, mut evicted) = (Vec::new(), Vec::new());
    let mut add = |listener: &str, rule: &str, limits: &[Limit]| {
        if limits.is_empty() {
            return;
        }
        let sum = sum(limits);
        let labels = [("listener", listener), ("rule", rule)];
        for (result, count) in [("refused", sum.refused), ("dry-run", sum.dry_run)] {
            limited.push(counter(&[labels[0], labels[1], ("result", result)], count));
        }
        evicted.push(counter(&labels, sum.evicted));
    };
    for listener in snapshot.listeners() {
        let gated = || {
            listener
                .branches()
                .filter_map(|b| Some((b, b.gate.as_ref()?)))
        };
        if let Some((_, gate)) = gated().next() {
            add(&listener.name, ALL_RULES, gate.shared_limits());
        }
        for (branch, gate) in gated() {
            add(&listener.name, &branch.label, gate.limits());
        }
    }
    vec![
        family(
            names::RATE_LIMITED,
            "Requests over a rate limit.",
            MetricType::COUNTER,
            limited,
        ),
        family(
            names::RATE_LIMIT_EVICTIONS,
            "Busy keys of rate limits forgotten for want of room.",
            MetricType::COUNTER,
            evicted,
        ),
    ]
}

fn sum(limits: &[Limit]) -> LimitCounts {
    let counts = limits.iter().map(|limit| limit.usage().counts());
    counts.fold(LimitCounts::default(), |sum, counts| LimitCounts {
        refused: sum.refused + counts.refused,
        dry_run: sum.dry_run + counts.dry_run,
        evicted: sum.evicted + counts.evicted,
    })
}
