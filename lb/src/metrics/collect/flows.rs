//! Families of flows by kind, as NLB's metrics tell them apart: active and new flows, resets by side,
//! refusals, and local ports that could not be had.

use prometheus::proto::{MetricFamily, MetricType};

use super::{counter, family, gauge};
use crate::access_log::FlowKind;
use crate::metrics::{FlowCounters, FlowSide, Registry, names};

/// One set of samples for each listener and kind that has had any flow, or refused one.
pub(super) fn flows(registry: &Registry) -> Vec<MetricFamily> {
    let mut active = Vec::new();
    let mut opened = Vec::new();
    let mut resets = Vec::new();
    let mut rejected = Vec::new();
    let mut port_errors = Vec::new();
    for (name, counters) in &registry.listeners {
        for kind in FlowKind::ALL {
            let sum = |pick: fn(&FlowCounters) -> u64| counters.sum(|c| pick(c.flows(kind)));
            // Before those that opened: a flow that ends in between is not to make it negative.
            let over = sum(|flows| flows.ended.value());
            let new = sum(|flows| flows.opened.value());
            let refused = sum(|flows| flows.rejected.value());
            if new == 0 && refused == 0 {
                continue;
            }
            let labels = [("listener", &**name), ("kind", kind.as_str())];
            active.push(gauge(&labels, new.saturating_sub(over) as f64));
            opened.push(counter(&labels, new));
            rejected.push(counter(&labels, refused));
            let errors = sum(|flows| flows.port_exhaustion.value());
            port_errors.push(counter(&labels, errors));
            if kind.is_stream() {
                for side in FlowSide::ALL {
                    let labels = [labels[0], labels[1], ("side", side.as_str())];
                    let count = counters.sum(|c| c.flows(kind).resets(side));
                    resets.push(counter(&labels, count));
                }
            }
        }
    }
    let help_resets = "TCP flows that ended by a reset, by who sent it first.";
    let help_rejected =
        "Connections refused when accepted, and datagrams that would have begun a flow.";
    let help_ports = "Times no local port was left for the way to a target.";
    let counters = MetricType::COUNTER;
    vec![
        family(
            names::FLOWS_ACTIVE,
            "Flows there are.",
            MetricType::GAUGE,
            active,
        ),
        family(names::FLOWS, "Flows opened.", counters, opened),
        family(names::FLOW_RESETS, help_resets, counters, resets),
        family(names::FLOWS_REJECTED, help_rejected, counters, rejected),
        family(
            names::PORT_ALLOCATION_ERRORS,
            help_ports,
            counters,
            port_errors,
        ),
    ]
}
