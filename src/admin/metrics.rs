//! `/metrics`: every plane's families and those of no plane, in the Prometheus text format.
//!
//! Names of the planes' metrics stand in each crate's own `metrics.rs`; the ones of the process and
//! of reloads stand here. Families of one name from two places are merged, because the format
//! allows a name once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{TEXT_FORMAT, TextEncoder};

use super::error::ApiError;
use super::process;
use super::state::{Admin, Shared};
use crate::latencies::Latencies;
use crate::registration::Reports;

const BUILD_INFO: &str = "pointsman_build_info";
const CONFIG_GENERATION: &str = "pointsman_config_generation";
const SOURCE_FAILING: &str = "pointsman_target_source_failing";
const SOURCE_TARGETS: &str = "pointsman_target_source_targets";
const MEASURED_NETWORKS: &str = "pointsman_measured_latency_networks";
const MEASURED_SAMPLES: &str = "pointsman_measured_latency_samples_total";
const CONFIG_RELOADS: &str = "pointsman_config_reloads_total";

/// Counters of no plane.
#[derive(Debug, Default)]
pub(crate) struct OwnMetrics {
    reloads_applied: AtomicU64,
    reloads_refused: AtomicU64,
}

impl OwnMetrics {
    /// Counts a reload.
    pub(crate) fn count_reload(&self, applied: bool) {
        let counter = if applied {
            &self.reloads_applied
        } else {
            &self.reloads_refused
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn collect(&self, generation: u64) -> Vec<MetricFamily> {
        let reloads = |result, counter: &AtomicU64| {
            let value = counter.load(Ordering::Relaxed) as f64;
            labelled(&[("result", result)], MetricType::COUNTER, value)
        };
        vec![
            family(
                BUILD_INFO,
                "Constant 1, labelled with the version.",
                MetricType::GAUGE,
                vec![labelled(
                    &[("version", env!("CARGO_PKG_VERSION"))],
                    MetricType::GAUGE,
                    1.0,
                )],
            ),
            gauge(
                CONFIG_GENERATION,
                "Number of the configuration generation that serves.",
                generation as f64,
            ),
            family(
                CONFIG_RELOADS,
                "Reloads of the configuration by result.",
                MetricType::COUNTER,
                vec![
                    reloads("success", &self.reloads_applied),
                    reloads("failure", &self.reloads_refused),
                ],
            ),
        ]
    }
}

/// The handler.
pub(super) async fn expose(State(admin): State<Shared>) -> Result<Response, ApiError> {
    let text = TextEncoder::new()
        .encode_to_string(&gather(&admin))
        .map_err(|error| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("metrics cannot be written: {error}"),
            )
        })?;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}

fn gather(admin: &Admin) -> Vec<MetricFamily> {
    let own = admin.metrics.collect(admin.view().generation);
    merge([
        admin.lb.collect(),
        admin.dns.collect(),
        admin.board.collect(),
        sources(&admin.sources.load()),
        latencies(&admin.latencies),
        own,
        process::collect(),
    ])
}

/// Names and files that targets come from, by group and kind.
fn sources(reports: &Reports) -> Vec<MetricFamily> {
    let mut sums: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for (group, sources) in reports.groups() {
        for source in sources {
            let sum = sums.entry((group, source.kind.as_str())).or_default();
            sum.0 += usize::from(source.fault.is_some());
            sum.1 += source.targets.len();
        }
    }
    let gauges = |name, help, value: &dyn Fn(&(usize, usize)) -> usize| {
        let metric = |(&(group, kind), sum)| {
            let labels = [("target_group", group), ("kind", kind)];
            labelled(&labels, MetricType::GAUGE, value(sum) as f64)
        };
        family(
            name,
            help,
            MetricType::GAUGE,
            sums.iter().map(metric).collect(),
        )
    };
    let failing =
        "Names and target files whose last good answer is used because the newest cannot be.";
    let targets = "Targets that names and target files offer.";
    vec![
        gauges(SOURCE_FAILING, failing, &|sum| sum.0),
        gauges(SOURCE_TARGETS, targets, &|sum| sum.1),
    ]
}

/// Round-trip times that are measured.
fn latencies(latencies: &Latencies) -> Vec<MetricFamily> {
    let (taken, dropped) = latencies.counts();
    let samples =
        |result, count: u64| labelled(&[("result", result)], MetricType::COUNTER, count as f64);
    vec![
        gauge(
            MEASURED_NETWORKS,
            "Client networks whose round-trip times are known.",
            latencies.shown().len() as f64,
        ),
        family(
            MEASURED_SAMPLES,
            "Connections of clients that ended, by whether their round-trip time was taken.",
            MetricType::COUNTER,
            vec![samples("dropped", dropped), samples("taken", taken)],
        ),
    ]
}

/// Families in the order of their names, each name once, none empty.
fn merge(parts: impl IntoIterator<Item = Vec<MetricFamily>>) -> Vec<MetricFamily> {
    let mut merged: BTreeMap<String, MetricFamily> = BTreeMap::new();
    for mut family in parts.into_iter().flatten() {
        match merged.get_mut(family.name()) {
            Some(known) => known.mut_metric().extend(family.take_metric()),
            None => {
                merged.insert(family.name().to_owned(), family);
            }
        }
    }
    merged.retain(|_, family| !family.get_metric().is_empty());
    merged.into_values().collect()
}

/// A gauge without labels.
pub(super) fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    let metric = labelled(&[], MetricType::GAUGE, value);
    family(name, help, MetricType::GAUGE, vec![metric])
}

/// A counter without labels.
pub(super) fn counter(name: &str, help: &str, value: f64) -> MetricFamily {
    let metric = labelled(&[], MetricType::COUNTER, value);
    family(name, help, MetricType::COUNTER, vec![metric])
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled(labels: &[(&str, &str)], kind: MetricType, value: f64) -> Metric {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let mut metric = Metric::from_label(labels.iter().map(pair).collect());
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_two_places_is_exposed_once() {
        let part = |value| vec![gauge("b", "B.", value), gauge("a", "A.", value)];
        let empty = family("c", "C.", MetricType::GAUGE, Vec::new());
        let merged = merge([part(1.0), part(2.0), vec![empty]]);
        let text = TextEncoder::new().encode_to_string(&merged).unwrap();
        let help = |name: &str| {
            format!(
                "# HELP {name} {}.\n# TYPE {name} gauge\n",
                name.to_uppercase()
            )
        };
        assert_eq!(
            text,
            format!("{}a 1\na 2\n{}b 1\nb 2\n", help("a"), help("b"))
        );
    }

    #[test]
    fn reloads_are_counted_by_result() {
        let own = OwnMetrics::default();
        own.count_reload(true);
        own.count_reload(false);
        own.count_reload(false);
        let text = TextEncoder::new()
            .encode_to_string(&own.collect(7))
            .unwrap();
        assert!(text.contains("pointsman_config_generation 7\n"));
        assert!(text.contains("pointsman_config_reloads_total{result=\"success\"} 1\n"));
        assert!(text.contains("pointsman_config_reloads_total{result=\"failure\"} 2\n"));
    }
}
