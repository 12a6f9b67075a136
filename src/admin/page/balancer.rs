//! The page's balancer: listeners with their rules, target groups with their targets.

use std::time::Duration;

use super::super::api::groups::GroupReport;
use super::super::api::listeners::ListenerReport;
use super::super::api::targets::TargetReport;
use super::markup::{badge, escape, link, segment, table, verdict};
use crate::moment;

/// Listeners and the rules of each.
pub(super) fn listener_table(listeners: &[ListenerReport]) -> String {
    let columns = [
        "listener",
        "protocol",
        "address",
        "default action",
        "connections",
        "status",
    ];
    let rows = listeners.iter().map(|listener| {
        let addresses: Vec<String> = listener.bind.iter().map(ToString::to_string).collect();
        [
            escape(&listener.name),
            listener.protocol.to_owned(),
            addresses.join("<br>"),
            escape(&listener.default_action),
            listener.connections.to_string(),
            verdict(listener.status, &listener.reasons),
        ]
    });
    let rules: String = listeners.iter().map(rule_table).collect();
    format!(
        "<section><h2>Listeners</h2>{}{rules}</section>\n",
        table(&columns, rows)
    )
}

fn rule_table(listener: &ListenerReport) -> String {
    if listener.rules.is_empty() {
        return String::new();
    }
    let rows = listener.rules.iter().map(|rule| {
        [
            rule.priority.to_string(),
            escape(&rule.conditions.join(", ")),
            escape(&rule.action),
        ]
    });
    format!(
        "<h3>Rules of {}</h3>{}",
        escape(&listener.name),
        table(&["priority", "conditions", "action"], rows)
    )
}

/// A target group, its targets linked to their details.
pub(super) fn group_section(group: &GroupReport, targets: &[TargetReport]) -> String {
    let columns = [
        "target",
        "state",
        "why",
        "for",
        "weight",
        "in flight",
        "selected",
    ];
    let rows = targets.iter().map(|target| {
        let reason = target.reason.unwrap_or_default();
        let address = target.address.to_string();
        [
            link(&target_path(&group.name, &address), &address),
            badge(target.status, target.state),
            format!("<b>{reason}</b> {}", escape(&target.description)),
            moment::seconds(target.for_seconds),
            weight(target),
            in_flight(target),
            target.selected.to_string(),
        ]
    });
    let check = &group.health_check;
    let path = check
        .path
        .as_deref()
        .map(|path| format!(" {}", escape(path)))
        .unwrap_or_default();
    format!(
        "<section><h2>{} {}</h2><p>{}, {}, {} of {} targets healthy; probed by {}{path} every {}, so a \
         death shows within {}</p>{}</section>\n",
        escape(&group.name),
        verdict(group.status, &group.reasons),
        group.protocol,
        group.algorithm,
        group.healthy,
        group.registered,
        check.protocol,
        check.interval,
        moment::span(Duration::from_millis(check.settles_down_ms)),
        table(&columns, rows),
    )
}

/// A target's weight, and how much of it is due in slow start.
pub(super) fn weight(target: &TargetReport) -> String {
    match target.share {
        100 => target.weight.to_string(),
        share => format!("{} ({share} % of it now)", target.weight),
    }
}

/// A target's work, and how much it may have.
pub(super) fn in_flight(target: &TargetReport) -> String {
    match target.max_in_flight {
        0 => target.in_flight.to_string(),
        most => format!("{} of {most}", target.in_flight),
    }
}

fn target_path(group: &str, address: &str) -> String {
    format!(
        "/target-groups/{}/targets/{}",
        segment(group),
        segment(address)
    )
}
