//! The page's standalone health checks, routing controls and safety rules.

use super::super::api::Status;
use super::super::api::checks::CheckReport;
use super::super::api::controls::{ControlReport, ControlState, RuleReport};
use super::markup::{badge, escape, link, segment, table};

/// Standalone checks, linked to their details; nothing when there is none.
pub(super) fn check_section(checks: &[CheckReport]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let rows = checks.iter().map(|check| {
        [
            link(
                &format!("/health-checks/{}", segment(&check.name)),
                &check.name,
            ),
            check.r#type.to_owned(),
            check_badge(check),
            escape(&check.description),
            escape(&check.watches.join(", ")),
            escape(&check.used_by.join(", ")),
        ]
    });
    let columns = ["check", "type", "state", "why", "looks at", "used by"];
    format!(
        "<section><h2>Health checks</h2>{}</section>\n",
        table(&columns, rows)
    )
}

/// A check's state.
pub(super) fn check_badge(check: &CheckReport) -> String {
    match check.healthy {
        true => badge(check.status, "healthy"),
        false => badge(check.status, "unhealthy"),
    }
}

/// Routing controls and the rules that guard them; nothing when there is none.
pub(super) fn control_section(controls: &[ControlReport], rules: &[RuleReport]) -> String {
    if controls.is_empty() {
        return String::new();
    }
    let rows = controls.iter().map(|control| {
        let state = match control.state {
            ControlState::On => badge(Status::Ok, "on"),
            ControlState::Off => badge(Status::Warning, "off"),
        };
        [
            escape(&control.name),
            state,
            escape(&control.since),
            escape(&control.safety_rules.join(", ")),
            escape(&control.used_by.join(", ")),
        ]
    });
    let columns = ["control", "state", "since", "guarded by", "used by"];
    let controls = table(&columns, rows);
    let rows = rules.iter().map(|rule| {
        let met = match rule.met {
            true => badge(Status::Ok, "met"),
            false => badge(Status::Warning, "not met"),
        };
        [escape(&rule.name), met, escape(&rule.description)]
    });
    let rules = match rules.is_empty() {
        true => String::new(),
        false => table(&["safety rule", "met", "asks"], rows),
    };
    format!("<section><h2>Routing controls</h2>{controls}{rules}</section>\n")
}
