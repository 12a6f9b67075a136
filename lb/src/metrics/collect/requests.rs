//! Families of requests: how they ended, who answered, and what they were about.

use prometheus::proto::{MetricFamily, MetricType};

use super::{counter, family, histogram};
use crate::metrics::{CODE_CLASSES, Counter, Registry, RequestCounters, names};

/// How many, by class of status, and how long they took; and what targets answered.
pub(super) fn exchanges(registry: &Registry) -> Vec<MetricFamily> {
    let mut counts = Vec::new();
    let mut of_targets = Vec::new();
    let mut durations = Vec::new();
    for ((listener, group), counters) in &registry.exchanges {
        let labels = [("listener", &**listener), ("target_group", &**group)];
        for (place, class) in CODE_CLASSES.into_iter().enumerate() {
            let all = [labels[0], labels[1], ("code_class", class)];
            let count = counters.sum(|c| c.requests(place));
            if count > 0 {
                counts.push(counter(&all, count));
            }
            let count = counters.sum(|c| c.target_responses(place));
            if count > 0 {
                of_targets.push(counter(&all, count));
            }
        }
        durations.push(histogram(&labels, counters));
    }
    let help_targets = "HTTP responses of targets, by the status they sent.";
    vec![
        family(
            names::REQUESTS,
            "HTTP requests answered.",
            MetricType::COUNTER,
            counts,
        ),
        family(
            names::REQUEST_DURATION,
            "Time from a request's first byte to the end of its answer.",
            MetricType::HISTOGRAM,
            durations,
        ),
        family(
            names::TARGET_RESPONSES,
            help_targets,
            MetricType::COUNTER,
            of_targets,
        ),
    ]
}

/// A family's name, help, and number of each listener.
type OfListener = (&'static str, &'static str, fn(&RequestCounters) -> &Counter);

const OF_LISTENERS: [OfListener; 6] = [
    (
        names::REDIRECTS,
        "Requests answered with a redirect of a rule or listener.",
        |c| &c.redirects,
    ),
    (
        names::FIXED_RESPONSES,
        "Requests answered with a fixed response of a rule or listener.",
        |c| &c.fixed_responses,
    ),
    (
        names::RULES_EVALUATED,
        "Rules looked at for requests, default actions left out.",
        |c| &c.rules,
    ),
    (names::GRPC_REQUESTS, "Calls of gRPC.", |c| &c.grpc),
    (
        names::INVALID_FIELDS,
        "Requests that lost header fields with invalid names.",
        |c| &c.invalid_fields,
    ),
    (
        names::TOKENS_ACCEPTED,
        "Requests whose token was good.",
        |c| &c.tokens,
    ),
];

/// What the balancer answered itself, by code, and what requests were about; nothing where nothing was
/// counted.
pub(super) fn of_listeners(registry: &Registry) -> Vec<MetricFamily> {
    let mut generated = Vec::new();
    for (name, counters) in &registry.listeners {
        for (place, code) in RequestCounters::codes().enumerate() {
            let count = counters.sum(|c| c.requests.responses(place));
            if count > 0 {
                generated.push(counter(&[("listener", name), ("code", &code)], count));
            }
        }
    }
    let mut families = vec![family(
        names::GENERATED_RESPONSES,
        "HTTP responses that the balancer answered itself.",
        MetricType::COUNTER,
        generated,
    )];
    families.extend(OF_LISTENERS.map(|(family_name, help, pick)| {
        let counts = registry.listeners.iter().filter_map(|(name, counters)| {
            let count = counters.sum(|c| pick(&c.requests).value());
            (count > 0).then(|| counter(&[("listener", name)], count))
        });
        family(family_name, help, MetricType::COUNTER, counts.collect())
    }));
    families
}
