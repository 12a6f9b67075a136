//! Merges every worker's counters into metric families. Called by a scrape, on the control
//! thread; reads only.

mod flows;
mod http2;
mod keys;
mod limits;
mod requests;
mod retries;
mod sticky;
mod tls;
mod udp;

use std::sync::Arc;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::histogram::BOUNDS_MICROS;
use super::{
    ExchangeCounters, ListenerCounters, PerWorker, Registry, RejectReason, RetryReason, names,
};
use crate::jwt::Keyrings;
use crate::limits::ListenerLoad;
use crate::snapshot::Snapshot;

/// Everything this crate counts. `loads` are the open connections by listener name.
pub(crate) fn collect(
    registry: &Registry,
    loads: &[(Arc<str>, Arc<ListenerLoad>)],
    snapshot: &Snapshot,
    keyrings: &Keyrings,
) -> Vec<MetricFamily> {
    let mut families = requests::exchanges(registry);
    families.extend(requests::of_listeners(registry));
    families.extend(connections(registry, loads));
    families.extend(flows::flows(registry));
    families.extend(udp::flows(registry, snapshot));
    families.extend(tls::handshakes(registry, snapshot));
    families.extend(limits::limits(snapshot));
    families.extend(keys::keys(keyrings));
    families.extend(http2::http2(registry));
    families.extend(targets(snapshot));
    families.extend(process(registry));
    families.push(sticky::sessions(registry));
    families.extend(retries::failures(registry));
    families
}

fn connections(registry: &Registry, loads: &[(Arc<str>, Arc<ListenerLoad>)]) -> Vec<MetricFamily> {
    let mut total = Vec::new();
    let mut bytes = Vec::new();
    let mut rejected = Vec::new();
    let mut odd = Vec::new();
    for (name, counters) in &registry.listeners {
        let name = ("listener", &**name);
        total.push(counter(&[name], counters.sum(|c| c.connections.value())));
        let (inward, outward) = (
            counters.sum(|c| c.bytes_in.value()),
            counters.sum(|c| c.bytes_out.value()),
        );
        bytes.push(counter(&[name, ("direction", "in")], inward));
        bytes.push(counter(&[name, ("direction", "out")], outward));
        for (place, tier) in ListenerCounters::TIERS.iter().enumerate() {
            let count = counters.sum(|c| c.odd_requests(place));
            if count > 0 {
                odd.push(counter(&[name, ("classification", tier.as_str())], count));
            }
        }
        for reason in RejectReason::ALL {
            let count = counters.sum(|c| c.rejected(reason));
            if count > 0 {
                rejected.push(counter(&[name, ("reason", reason.as_str())], count));
            }
        }
    }
    let active = loads
        .iter()
        .map(|(name, load)| gauge(&[("listener", name)], load.open() as f64));
    let active = active.collect();
    let help_active = "Open client connections.";
    let help_bytes = "Bytes received from (in) and sent to (out) clients.";
    let help_rejected = "Connections and requests the balancer itself refused.";
    vec![
        family(
            names::CONNECTIONS_ACTIVE,
            help_active,
            MetricType::GAUGE,
            active,
        ),
        family(
            names::CONNECTIONS,
            "Client connections accepted.",
            MetricType::COUNTER,
            total,
        ),
        family(names::BYTES, help_bytes, MetricType::COUNTER, bytes),
        family(
            names::REJECTED,
            help_rejected,
            MetricType::COUNTER,
            rejected,
        ),
        family(
            names::DESYNC,
            "Requests that are not compliant by desync mitigation's tiers.",
            MetricType::COUNTER,
            odd,
        ),
    ]
}

fn targets(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let mut in_flight = Vec::new();
    let mut selected = Vec::new();
    let registered = snapshot.groups.iter().flat_map(|group| &group.members);
    let departing = snapshot.departing.iter().map(|departing| &departing.target);
    for target in registered.map(|member| &member.target).chain(departing) {
        let labels = [
            ("target_group", &**target.group()),
            ("target", &**target.name()),
        ];
        in_flight.push(gauge(&labels, f64::from(target.in_flight())));
        selected.push(counter(&labels, target.selected()));
    }
    let groups = snapshot.groups.iter().filter(|group| group.is_limited);
    let queued = groups.map(|group| {
        let waiting = u32::try_from(group.queue.waiting()).unwrap_or(u32::MAX);
        gauge(&[("target_group", &**group.name())], f64::from(waiting))
    });
    let queued = queued.collect();
    let help_queued = "Requests and flows that wait for a place on a target.";
    let help_in_flight = "Requests and flows running on the target.";
    let help_selected = "Times the target was given work.";
    vec![
        family(
            names::TARGET_IN_FLIGHT,
            help_in_flight,
            MetricType::GAUGE,
            in_flight,
        ),
        family(names::QUEUED, help_queued, MetricType::GAUGE, queued),
        family(
            names::TARGET_SELECTED,
            help_selected,
            MetricType::COUNTER,
            selected,
        ),
    ]
}

fn process(registry: &Registry) -> Vec<MetricFamily> {
    let workers = &registry.by_worker;
    let retries = RetryReason::ALL.map(|reason| {
        let count = workers.sum(|c| c.retries(reason));
        counter(&[("reason", reason.as_str())], count)
    });
    let single = |n| vec![counter(&[], n)];
    let pauses = single(workers.sum(|c| c.accept_pauses.value()));
    let dropped = single(workers.sum(|c| c.log_dropped.value()));
    let opened = workers.sum(|c| c.pipes_opened.value());
    let pipes = opened.saturating_sub(workers.sum(|c| c.pipes_closed.value()));
    let help_pauses = "Times accepting paused for want of file descriptors.";
    let help_dropped = "Access-log records dropped because the log could not keep up.";
    let help_pipes = "Pipes open for bulk TCP flows.";
    let help_retries = "Attempts that made another one necessary.";
    let pipes = vec![gauge(&[], pipes as f64)];
    vec![
        family(
            names::RETRIES,
            help_retries,
            MetricType::COUNTER,
            retries.to_vec(),
        ),
        family(
            names::ACCEPT_PAUSES,
            help_pauses,
            MetricType::COUNTER,
            pauses,
        ),
        family(
            names::LOG_DROPPED,
            help_dropped,
            MetricType::COUNTER,
            dropped,
        ),
        family(names::SPLICE_PIPES, help_pipes, MetricType::GAUGE, pipes),
    ]
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

fn histogram(labels: &[(&str, &str)], counters: &PerWorker<ExchangeCounters>) -> Metric {
    let mut cumulative = 0;
    let buckets = BOUNDS_MICROS.iter().enumerate().map(|(place, micros)| {
        cumulative += counters.sum(|c| c.duration.bucket(place));
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(cumulative);
        bucket.set_upper_bound(*micros as f64 / 1e6);
        bucket
    });
    let buckets: Vec<_> = buckets.collect();
    let past = counters.sum(|c| c.duration.bucket(BOUNDS_MICROS.len()));
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(cumulative + past);
    histogram.set_sample_sum(counters.sum(|c| c.duration.sum_micros()) as f64 / 1e6);
    let mut metric = labelled(labels);
    metric.set_histogram(histogram);
    metric
}
