//! Metrics of health: names, the counters the board writes, and their collection.
//!
//! Written by the board only; collected from the control thread. `target_health` is read from the
//! published table, so that it never disagrees with what the planes see.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use crate::passive::{Cause, Limit};
use crate::{HealthTable, Observation, Phases, ReasonCode, TargetState};

/// 1 for the state a target is in, 0 for the others.
const TARGET_HEALTH: &str = "pointsman_target_health";
/// How long probes took.
const DURATION: &str = "pointsman_health_check_duration_seconds";
/// How long the phases of probes of a measured check took.
const LATENCY: &str = "pointsman_health_check_phase_seconds";
/// 1 for a healthy standalone check, 0 for an unhealthy one.
const CHECK_HEALTHY: &str = "pointsman_health_check_healthy";
/// 1 for a routing control that is on.
const CONTROL: &str = "pointsman_routing_control_on";
/// Changes of routing controls that a safety rule refused.
const REFUSALS: &str = "pointsman_safety_rule_refusals_total";
/// Lines of the health check log that found its queue full.
const LOG_DROPPED: &str = "pointsman_health_log_dropped_total";
/// Changes of state.
const TRANSITIONS: &str = "pointsman_health_transitions_total";
/// Targets ejected by what traffic saw.
const EJECTIONS: &str = "pointsman_ejections_total";
/// Ejections that a limit refused.
const EJECTIONS_REFUSED: &str = "pointsman_ejections_refused_total";
/// 1 while a group fails open.
const FAIL_OPEN: &str = "pointsman_target_group_fail_open";
/// Times a group began to fail open.
const FAIL_OPEN_TOTAL: &str = "pointsman_fail_open_total";
/// Targets whose traffic fails more than that of the others.
const ANOMALOUS: &str = "pointsman_targets_anomalous";
/// Targets that anomaly mitigation leaves less than their weight.
const MITIGATED: &str = "pointsman_targets_mitigated";
/// Targets that are ejected now.
const EJECTED: &str = "pointsman_targets_ejected";
/// Buckets from a loopback connect to Route 53's TCP limit, in seconds.
const BUCKETS: [f64; 14] = [
    0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The board's counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    duration: HistogramVec,
    latency: HistogramVec,
    transitions: IntCounterVec,
    controls: IntGaugeVec,
    refusals: IntCounterVec,
    log_dropped: IntCounter,
    ejections: IntCounterVec,
    ejections_refused: IntCounterVec,
    ejected: IntGaugeVec,
    fail_open: IntGaugeVec,
    fail_open_total: IntCounterVec,
    anomalous: IntGaugeVec,
    mitigated: IntGaugeVec,
}

impl Metrics {
    /// Zeroed counters.
    #[expect(
        clippy::expect_used,
        reason = "the names are constants; any test run proves them"
    )]
    pub(crate) fn new() -> Self {
        let duration = HistogramOpts::new(DURATION, "How long health check probes took.")
            .buckets(BUCKETS.to_vec());
        let latency = "How long connecting, TLS and the first byte took a health check's probes.";
        let latency = HistogramOpts::new(LATENCY, latency).buckets(BUCKETS.to_vec());
        let transitions = Opts::new(TRANSITIONS, "Changes of a target's health state.");
        let controls = Opts::new(
            CONTROL,
            "1 for a routing control that is on, 0 for one that is off.",
        );
        let refusals = "Changes of routing controls that a safety rule refused.";
        let refusals = Opts::new(REFUSALS, refusals);
        let ejections = Opts::new(EJECTIONS, "Targets ejected by what real traffic came to.");
        let refused = "Ejections that a limit of passive health refused.";
        let ejections_refused = Opts::new(EJECTIONS_REFUSED, refused);
        let fail_open = "1 while a group uses all its targets for want of healthy ones.";
        let fail_open = Opts::new(FAIL_OPEN, fail_open);
        let fail_open_total = Opts::new(FAIL_OPEN_TOTAL, "Times a group began to fail open.");
        let anomalous = "Targets whose traffic fails more often than that of the others.";
        let anomalous = Opts::new(ANOMALOUS, anomalous);
        let mitigated = "Targets that get less than their weight because of that.";
        let mitigated = Opts::new(MITIGATED, mitigated);
        let ejected = Opts::new(EJECTED, "Targets that are ejected now.");
        Self {
            duration: HistogramVec::new(duration, &["protocol", "result"])
                .expect("a valid histogram"),
            latency: HistogramVec::new(latency, &["health_check", "phase"])
                .expect("a valid histogram"),
            transitions: IntCounterVec::new(transitions, &["target_group", "to", "reason"])
                .expect("a valid counter"),
            controls: IntGaugeVec::new(controls, &["routing_control"]).expect("a valid gauge"),
            log_dropped: IntCounter::new(LOG_DROPPED, "Health check log lines that were dropped.")
                .expect("a valid counter"),
            refusals: IntCounterVec::new(refusals, &["safety_rule"]).expect("a valid counter"),
            ejections: IntCounterVec::new(ejections, &["target_group", "reason"])
                .expect("a valid counter"),
            ejections_refused: IntCounterVec::new(ejections_refused, &["target_group", "limit"])
                .expect("a valid counter"),
            ejected: IntGaugeVec::new(ejected, &["target_group"]).expect("a valid gauge"),
            anomalous: IntGaugeVec::new(anomalous, &["target_group"]).expect("a valid gauge"),
            mitigated: IntGaugeVec::new(mitigated, &["target_group"]).expect("a valid gauge"),
            fail_open: IntGaugeVec::new(fail_open, &["target_group"]).expect("a valid gauge"),
            fail_open_total: IntCounterVec::new(fail_open_total, &["target_group"])
                .expect("a valid counter"),
        }
    }

    /// A probe over `protocol` ended. Void ones say nothing and are not counted.
    pub(crate) fn observed(&self, protocol: &str, observation: &Observation) {
        if observation.passed() || observation.reason().is_some() {
            let took = observation.ended - observation.started;
            self.duration
                .with_label_values(&[protocol, observation.outcome.as_str()])
                .observe(took.as_secs_f64());
        }
    }

    /// A probe of a check that measures latency ended.
    pub(crate) fn measured(&self, check: &str, observation: &Observation) {
        for (phase, took) in phases(&observation.phases) {
            if let Some(took) = took {
                let labels = [check, phase];
                self.latency
                    .with_label_values(&labels)
                    .observe(took.as_secs_f64());
            }
        }
    }

    /// The check is gone, or does not measure any more: so are its series.
    pub(crate) fn forget_latency(&self, check: &str) {
        for (phase, _) in phases(&Phases::default()) {
            // Fails for phases that never occurred, and for checks that never measured.
            let _absent = self.latency.remove_label_values(&[check, phase]);
        }
    }

    /// A target of `group` changed its state.
    pub(crate) fn transition(&self, group: &str, to: TargetState, reason: Option<ReasonCode>) {
        self.transitions
            .with_label_values(&[group, to.as_str(), reason_label(reason)])
            .inc();
    }

    /// A target of `group` was ejected.
    pub(crate) fn ejection(&self, group: &str, cause: &Cause) {
        self.ejections
            .with_label_values(&[group, cause.as_str()])
            .inc();
    }

    /// A target of `group` was to be ejected, and was not.
    pub(crate) fn ejection_refused(&self, group: &str, limit: Limit) {
        self.ejections_refused
            .with_label_values(&[group, limit.as_str()])
            .inc();
    }

    /// So many targets of `group` are ejected; `None` = it has no passive health any more.
    pub(crate) fn ejected(&self, group: &str, ejected: Option<usize>) {
        match ejected {
            Some(ejected) => {
                let ejected = i64::try_from(ejected).unwrap_or(i64::MAX);
                self.ejected.with_label_values(&[group]).set(ejected);
            }
            // Fails for groups that never had it.
            None => drop(self.ejected.remove_label_values(&[group])),
        }
    }

    /// So many targets of `group` are anomalous, and so many get less for it; `None` = nobody looks.
    pub(crate) fn anomalies(&self, group: &str, counts: Option<(usize, usize)>) {
        let (anomalous, mitigated) = (&self.anomalous, &self.mitigated);
        let set = |gauge: &IntGaugeVec, count: usize| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            gauge.with_label_values(&[group]).set(count);
        };
        match counts {
            Some(counts) => {
                set(anomalous, counts.0);
                set(mitigated, counts.1);
            }
            None => {
                let _absent = anomalous.remove_label_values(&[group]);
                let _absent = mitigated.remove_label_values(&[group]);
            }
        }
    }

    /// A group fails open, or not; `began` if it did not before.
    pub(crate) fn fail_open(&self, group: &str, is: bool, began: bool) {
        let labels = [group];
        self.fail_open.with_label_values(&labels).set(is.into());
        let total = self.fail_open_total.with_label_values(&labels);
        total.inc_by(began.into());
    }

    /// The group is gone: so are its series.
    pub(crate) fn forget_group(&self, group: &str) {
        self.anomalies(group, None);
        let _absent = self.fail_open.remove_label_values(&[group]);
        let _absent = self.fail_open_total.remove_label_values(&[group]);
        self.ejected(group, None);
        for cause in Cause::WORDS {
            let _absent = self.ejections.remove_label_values(&[group, cause]);
        }
        for limit in Limit::WORDS {
            let _absent = self.ejections_refused.remove_label_values(&[group, limit]);
        }
        let reasons = ReasonCode::ALL.map(Some).into_iter().chain([None]);
        for reason in reasons {
            for state in TargetState::ALL {
                let labels = [group, state.as_str(), reason_label(reason)];
                // Fails for combinations that never occurred, which is most of them.
                let _absent = self.transitions.remove_label_values(&labels);
            }
        }
    }

    /// Counts lines that the log did not take.
    pub(crate) fn log_dropped(&self) -> IntCounter {
        self.log_dropped.clone()
    }

    /// A routing control is on, or off.
    pub(crate) fn control(&self, control: &str, on: bool) {
        let gauge = self.controls.with_label_values(&[control]);
        gauge.set(i64::from(on));
    }

    /// A safety rule refused a change.
    pub(crate) fn refused(&self, rule: &str) {
        self.refusals.with_label_values(&[rule]).inc();
    }

    /// The routing control is gone: so is its series.
    pub(crate) fn forget_control(&self, control: &str) {
        // Fails only for one that never was.
        let _absent = self.controls.remove_label_values(&[control]);
    }

    /// Everything, with the states of `table`.
    pub(crate) fn collect(&self, table: &HealthTable) -> Vec<MetricFamily> {
        let mut families = self.duration.collect();
        families.extend(self.latency.collect());
        families.extend(self.transitions.collect());
        families.extend(self.controls.collect());
        families.extend(self.refusals.collect());
        families.extend(self.log_dropped.collect());
        families.extend(self.ejections.collect());
        families.extend(self.ejections_refused.collect());
        families.extend(self.ejected.collect());
        families.extend(self.anomalous.collect());
        families.extend(self.mitigated.collect());
        families.extend(self.fail_open.collect());
        families.extend(self.fail_open_total.collect());
        families.push(target_health(table));
        families.push(check_health(table));
        families.retain(|family| !family.get_metric().is_empty());
        families
    }
}

fn reason_label(reason: Option<ReasonCode>) -> &'static str {
    reason.map_or("", ReasonCode::as_str)
}

fn target_health(table: &HealthTable) -> MetricFamily {
    let mut metrics = Vec::new();
    for (slot, group, address) in &table.roster().targets {
        let Some(health) = table.target(*slot) else {
            continue;
        };
        let address = address.to_string();
        for state in TargetState::ALL {
            let mut gauge = Gauge::default();
            gauge.set_value(f64::from(u8::from(state == health.state)));
            // In the order of label names, as the exposition's own families are.
            let labels = vec![
                label("state", state.as_str()),
                label("target", &address),
                label("target_group", group),
            ];
            let mut metric = Metric::from_gauge(gauge);
            metric.set_label(labels);
            metrics.push(metric);
        }
    }
    let help = "1 for the state a target is in, 0 for the others.";
    gauges(TARGET_HEALTH, help, metrics)
}

fn check_health(table: &HealthTable) -> MetricFamily {
    let metric = |(id, name): &(crate::CheckId, std::sync::Arc<str>)| {
        let mut gauge = Gauge::default();
        gauge.set_value(f64::from(u8::from(table.check(*id)?.healthy)));
        let mut metric = Metric::from_gauge(gauge);
        metric.set_label(vec![label("health_check", name)]);
        Some(metric)
    };
    let metrics = table.roster().checks.iter().filter_map(metric).collect();
    let help = "1 for a healthy standalone check, 0 for an unhealthy one.";
    gauges(CHECK_HEALTHY, help, metrics)
}

fn gauges(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(metrics);
    family
}

/// The phases that are measured, by their names.
fn phases(phases: &Phases) -> [(&'static str, Option<Duration>); 3] {
    [
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("first-byte", phases.first_byte),
    ]
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
