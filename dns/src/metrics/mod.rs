//! Names of the DNS metrics, and their exposition.
//!
//! Read by [`Dns::collect`](crate::Dns::collect). Every thread counts into its own
//! [`Counters`]; they are added up only when somebody looks.

mod counters;
mod labels;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

pub(crate) use counters::{Counters, DURATION_BOUNDS, Decided};
pub(crate) use labels::{ZoneLabel, ZoneLabels};

use crate::guard::Limiter;
use crate::policy::Reason;
use crate::wire::Rcode;

const QUERIES: &str = "pointsman_dns_queries_total";
const DECISIONS: &str = "pointsman_dns_policy_decisions_total";
const UNRECORDED: &str = "pointsman_dns_log_dropped_total";
const LIMITED: &str = "pointsman_dns_rate_limited_total";
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
            vec![histogram(&buckets, seconds)],
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

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counter(pairs: &[(&str, &str)], count: u64) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    let mut metric = Metric::from_label(pairs.iter().map(pair).collect());
    metric.set_counter(counter);
    metric
}

/// `buckets` has one count more than there are bounds: the encoder makes `+Inf` from the total.
fn histogram(buckets: &[u64], seconds: f64) -> Metric {
    let mut sum = 0;
    let finite = buckets.iter().zip(DURATION_BOUNDS).map(|(count, bound)| {
        sum += count;
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(sum);
        bucket.set_upper_bound(bound);
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
