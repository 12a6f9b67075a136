//! Key sets of token issuers: how often they were read, and how many keys there are.

use prometheus::proto::{MetricFamily, MetricType};

use super::super::names;
use super::{counter, family, gauge};
use crate::jwt::Keyrings;

/// Families of all key sets.
pub(super) fn keys(keyrings: &Keyrings) -> Vec<MetricFamily> {
    let (mut reads, mut keys) = (Vec::new(), Vec::new());
    for status in keyrings.statuses() {
        let source = ("source", status.source.as_str());
        for (result, count) in [("ok", status.read), ("error", status.failed)] {
            reads.push(counter(&[source, ("result", result)], count));
        }
        keys.push(gauge(&[source], status.keys as f64));
    }
    vec![
        family(
            names::JWKS_READS,
            "Times that key sets of token issuers were read.",
            MetricType::COUNTER,
            reads,
        ),
        family(
            names::JWKS_KEYS,
            "Keys of token issuers that can be used.",
            MetricType::GAUGE,
            keys,
        ),
    ]
}
