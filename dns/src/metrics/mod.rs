//! Names of the DNS metrics, and their exposition.
//!
//! Read by [`Dns::collect`](crate::Dns::collect). Every thread counts into its own
//! [`Counters`]; they are added up only when somebody looks.

mod counters;
mod follows;
mod labels;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

pub(crate) use counters::{Counters, DURATION_BOUNDS, Decided};
pub(crate) use follows::Follows;
pub(crate) use labels::{ZoneLabel, ZoneLabels};

use crate::forward::{Rule, Rules};
use crate::guard::Limiter;
use crate::handle::ZoneStatus;
use crate::load::ZoneState;
use crate::policy::Reason;
use crate::secondary::SecondaryStatus;
use crate::wire::Rcode;

const QUERIES: &str = "pointsman_dns_queries_total";
const DECISIONS: &str = "pointsman_dns_policy_decisions_total";
const UNRECORDED: &str = "pointsman_dns_log_dropped_total";
const LIMITED: &str = "pointsman_dns_rate_limited_total";
const SERIAL: &str = "pointsman_dns_zone_serial";
const AVAILABLE: &str = "pointsman_dns_zone_available";
const TRANSFERS: &str = "pointsman_dns_transfers_total";
const FORWARDED: &str = "pointsman_dns_forwarded_total";
const DURATION: &str = "pointsman_dns_query_duration_seconds";

/// Adds up what the threads counted.
pub(crate) fn collect<'c>(
    labels: &ZoneLabels,
    threads: impl Iterator<Item = &'c Counters>,
) -> Vec<MetricFamily> {
    let mut queries: BTreeMap<(ZoneLabel, usize, Rcode, &'static str), u64> = BTreeMap::new();
    let mut decisions: BTreeMap<Decided, u64> = BTreeMap::new();
    let mut buckets = [0; DURATION_BOUNDS.len() + 1];
    let mut seconds = 0.0;
    for counters in threads {
        let transport = counters.transport().as_str();
        counters.each_query(|zone, qtype, rcode, count| {
            *queries.entry((zone, qtype, rcode, transport)).or_default() += count;
        });
        counters.each_decision(|decided, count| *decisions.entry(decided).or_default() += count);
        seconds += counters.add_durations(&mut buckets);
    }
    let queries = queries.into_iter().map(|(key, count)| {
        let (zone, qtype, rcode, transport) = key;
        let pairs = [
            ("rcode", rcode.as_str()),
            ("transport", transport),
            ("type", counters::type_name(qtype)),
            ("zone", labels.name(zone)),
        ];
        counter(&pairs, count)
    });
    let decisions = decisions.into_iter().map(|(decided, count)| {
        let pairs = [
            ("policy", decided.policy.as_str()),
            ("reason", decided.reason.as_str()),
            ("zone", labels.name(decided.zone)),
        ];
        counter(&pairs, count)
    });
    vec![
        family(
            QUERIES,
            "DNS queries answered.",
            MetricType::COUNTER,
            queries.collect(),
        ),
        family(
            DECISIONS,
            "Answers of records with a routing policy, by what the policy went by.",
            MetricType::COUNTER,
            decisions.collect(),
        ),
        family(
            DURATION,
            "From receiving a DNS query, or the batch it came in, to having sent the answer.",
            MetricType::HISTOGRAM,
            vec![histogram(&buckets, &DURATION_BOUNDS, seconds)],
        ),
    ]
}

/// Queries that the query log and dnstap did not get.
pub(crate) fn unrecorded(dropped: u64) -> MetricFamily {
    family(
        UNRECORDED,
        "DNS queries left out of query log and dnstap because their writer was behind.",
        MetricType::COUNTER,
        vec![counter(&[], dropped)],
    )
}

/// What the rate limiter held back.
pub(crate) fn limited(limiter: &Limiter) -> MetricFamily {
    let of = |action, counter: &AtomicU64| {
        self::counter(&[("action", action)], counter.load(Ordering::Relaxed))
    };
    let metrics = vec![
        of("drop", &limiter.dropped),
        of("truncate", &limiter.truncated),
    ];
    family(
        LIMITED,
        "DNS answers over the rate limit of their network; with dry-run they were sent.",
        MetricType::COUNTER,
        metrics,
    )
}

/// Serials, and what became of checks of secondary zones; of zones with a label of their own.
pub(crate) fn zones(
    labels: &ZoneLabels,
    zones: &[ZoneStatus],
    secondaries: &BTreeMap<String, Arc<SecondaryStatus>>,
) -> Vec<MetricFamily> {
    let labelled = zones.iter().filter(|zone| labels.has(&zone.id));
    let mut serials: Vec<Metric> = Vec::new();
    let mut transfers = Vec::new();
    let mut states = Vec::new();
    for zone in labelled {
        serials.push(gauge(&[("zone", &zone.id)], f64::from(zone.serial)));
        let Some(secondary) = secondaries.get(&zone.id) else {
            continue;
        };
        let good = f64::from(u8::from(zone.state == ZoneState::Good));
        states.push(gauge(&[("zone", &zone.id)], good));
        for (result, count) in [
            ("changes", secondary.changes),
            ("current", secondary.current),
            ("failed", secondary.failed),
            ("whole", secondary.whole),
        ] {
            transfers.push(counter(&[("result", result), ("zone", &zone.id)], count));
        }
    }
    vec![
        family(
            SERIAL,
            "Serial of the zone's SOA record.",
            MetricType::GAUGE,
            serials,
        ),
        family(
            AVAILABLE,
            "1 while a zone that is copied from primaries is answered from, 0 while by SERVFAIL.",
            MetricType::GAUGE,
            states,
        ),
        family(
            TRANSFERS,
            "Times the primaries of a zone were asked, by what came of it.",
            MetricType::COUNTER,
            transfers,
        ),
    ]
}

/// Questions that went to other servers, by rule; nothing without a rule.
pub(crate) fn forwarded(rules: &Rules) -> Option<MetricFamily> {
    let of = |rule: &Rule| {
        let counts = rule.counts();
        counts.map(|(result, count)| counter(&[("result", result), ("rule", &rule.name)], count))
    };
    let metrics: Vec<Metric> = rules.iter().flat_map(of).collect();
    let help = "DNS queries that forward rules passed on, by what became of them.";
    (!metrics.is_empty()).then(|| family(FORWARDED, help, MetricType::COUNTER, metrics))
}

fn gauge(pairs: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(pairs);
    metric.set_gauge(gauge);
    metric
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counter(pairs: &[(&str, &str)], count: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    let mut metric = labelled(pairs);
    metric.set_counter(counter);
    metric
}

fn labelled(pairs: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(pairs.iter().map(pair).collect())
}

/// `buckets` has one count more than there are bounds: the encoder makes `+Inf` from the total.
fn histogram(buckets: &[u64], bounds: &[f64], seconds: f64) -> Metric {
    let mut sum = 0;
    let finite = buckets.iter().zip(bounds).map(|(count, bound)| {
        sum += count;
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(sum);
        bucket.set_upper_bound(*bound);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(finite.collect());
    histogram.set_sample_count(buckets.iter().sum());
    histogram.set_sample_sum(seconds);
    let mut metric = Metric::from_label(Vec::new());
    metric.set_histogram(histogram);
    metric
}

/// The key order of decisions in the exposition.
impl Ord for Decided {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |decided: &Self| {
            let reason = Reason::ALL.iter().position(|r| *r == decided.reason);
            (decided.zone, decided.policy.as_str(), reason)
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Decided {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests;
