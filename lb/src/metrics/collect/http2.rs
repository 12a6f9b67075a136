//! Families of HTTP/2 on the way in.

use prometheus::proto::{MetricFamily, MetricType};

use super::{counter, family};
use crate::metrics::{Http2Counters, Registry, names};

/// Streams, and connections that were ended for what their clients did.
pub(super) fn http2(registry: &Registry) -> Vec<MetricFamily> {
    let mut streams = Vec::new();
    let mut ended = Vec::new();
    for (name, counters) in &registry.listeners {
        let listener = ("listener", &**name);
        let count = counters.sum(|c| c.http2.streams.value());
        if count > 0 {
            streams.push(counter(&[listener], count));
        }
        for (place, reason) in Http2Counters::reasons().enumerate() {
            let count = counters.sum(|c| c.http2.ended(place));
            if count > 0 {
                ended.push(counter(&[listener, ("reason", reason)], count));
            }
        }
    }
    vec![
        family(
            names::HTTP2_STREAMS,
            "Streams that clients opened on HTTP/2 connections.",
            MetricType::COUNTER,
            streams,
        ),
        family(
            names::HTTP2_ENDED,
            "HTTP/2 connections that were ended for what their clients did.",
            MetricType::COUNTER,
            ended,
        ),
    ]
}
