//! Metrics of what was not tried again, and of what went to targets known to be unhealthy.

use prometheus::proto::{MetricFamily, MetricType};

use super::super::{Registry, RetryRefusal, names};
use super::{counter, family};

/// Retries that limits refused; and work by groups that failed open.
pub(super) fn failures(registry: &Registry) -> [MetricFamily; 2] {
    let refused = RetryRefusal::ALL.map(|reason| {
        let count = registry.by_worker.sum(|c| c.refused_retries(reason));
        counter(&[("reason", reason.as_str())], count)
    });
    let mut unhealthy = Vec::new();
    for ((listener, group), counters) in &registry.exchanges {
        let count = counters.sum(|c| c.unhealthy_routing.value());
        let labels = [("listener", &**listener), ("target_group", &**group)];
        if !group.is_empty() {
            unhealthy.push(counter(&labels, count));
        }
    }
    let help_refused = "Failed requests that the group's limits did not let be tried again.";
    let help_unhealthy = "Requests and flows given to targets while their group failed open.";
    let kind = MetricType::COUNTER;
    [
        family(names::RETRIES_REFUSED, help_refused, kind, refused.to_vec()),
        family(names::UNHEALTHY_ROUTING, help_unhealthy, kind, unhealthy),
    ]
}
