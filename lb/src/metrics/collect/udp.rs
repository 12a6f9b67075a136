//! Families of UDP flows, one set of samples for each listener that has had any.

use prometheus::proto::{MetricFamily, MetricType};

use super::{counter, family, gauge};
use crate::access_log::FlowEnd;
use crate::metrics::{Registry, names};
use crate::snapshot::Snapshot;

/// Flows and datagrams; listeners that neither receive nor have received datagrams are left out.
pub(super) fn flows(registry: &Registry, snapshot: &Snapshot) -> Vec<MetricFamily> {
    let mut active = Vec::new();
    let mut opened = Vec::new();
    let mut ended = Vec::new();
    let mut datagrams = Vec::new();
    let mut dropped = Vec::new();
    for (name, counters) in &registry.listeners {
        let flows = counters.sum(|c| c.udp.flows.value());
        let serving = snapshot
            .listeners()
            .iter()
            .any(|listener| listener.name == *name && listener.protocol.takes_datagrams());
        if flows == 0 && !serving {
            continue;
        }
        let listener = ("listener", &**name);
        let mut over = 0;
        for (place, end) in FlowEnd::OF_UDP.iter().enumerate() {
            let count = counters.sum(|c| c.udp.ended(place));
            over += count;
            if count > 0 {
                ended.push(counter(&[listener, ("reason", end.as_str())], count));
            }
        }
        active.push(gauge(&[listener], flows.saturating_sub(over) as f64));
        opened.push(counter(&[listener], flows));
        let inward = counters.sum(|c| c.udp.datagrams_in.value());
        let outward = counters.sum(|c| c.udp.datagrams_out.value());
        datagrams.push(counter(&[listener, ("direction", "in")], inward));
        datagrams.push(counter(&[listener, ("direction", "out")], outward));
        dropped.push(counter(
            &[listener],
            counters.sum(|c| c.udp.dropped.value()),
        ));
    }
    let help_datagrams = "Datagrams forwarded from (in) and to (out) clients.";
    let help_dropped = "Datagrams the kernel would not take on either side.";
    let counters = MetricType::COUNTER;
    vec![
        family(
            names::UDP_FLOWS_ACTIVE,
            "UDP flows there are.",
            MetricType::GAUGE,
            active,
        ),
        family(names::UDP_FLOWS, "UDP flows opened.", counters, opened),
        family(names::UDP_FLOWS_ENDED, "UDP flows ended.", counters, ended),
        family(names::UDP_DATAGRAMS, help_datagrams, counters, datagrams),
        family(names::UDP_DROPPED, help_dropped, counters, dropped),
    ]
}
