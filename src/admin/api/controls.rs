//! `/api/v1/routing-controls` and `/api/v1/safety-rules`: switches, and what guards them.
//!
//! A change turns all the controls that it names or none. It is answered when every worker and the
//! DNS server obey the health table that shows it, and the state is saved.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use conf::{Config, ControlIdx, SafetyRule, SafetyRuleKind};
use healthcheck::{ControlChange, ControlError, ControlStatus, SafetyRuleStatus};
use serde::{Deserialize, Serialize};

use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::{List, PagingQuery, page, used_by};
use crate::moment;

const CHANGE_HELP: &str = "{\"states\": {\"NAME\": \"on\" or \"off\"}, and perhaps \
                           \"safety-rules-to-override\": [\"RULE\"]}";

/// How a control is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum ControlState {
    /// Checks that look at it are healthy.
    On,
    /// They are not.
    Off,
}

/// A routing control as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) struct ControlReport {
    pub(in super::super) name: String,
    pub(in super::super) state: ControlState,
    pub(in super::super) since: String,
    initial: ControlState,
    /// The rules that guard it.
    pub(in super::super) safety_rules: Vec<String>,
    pub(in super::super) used_by: Vec<String>,
    generation: u64,
}

/// A safety rule as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) struct RuleReport {
    pub(in super::super) name: String,
    r#type: &'static str,
    /// Met as the controls stand.
    pub(in super::super) met: bool,
    /// For people: what it asks, and how that stands.
    pub(in super::super) description: String,
    /// The controls that are counted.
    counted_controls: Vec<String>,
    /// How many of them are on.
    on: usize,
    threshold: usize,
    inverted: bool,
    /// The controls whose change it guards.
    guarded_controls: Vec<String>,
    wait_period: String,
    generation: u64,
}

/// Body of a change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Change {
    states: BTreeMap<String, ControlState>,
    #[serde(default)]
    safety_rules_to_override: Vec<String>,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changed {
    /// The controls that were the other way before.
    turned: Vec<String>,
    /// True once a restart will remember it.
    saved: bool,
    /// The controls that were named, as they are now.
    items: Vec<ControlReport>,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<ControlReport>>, ApiError> {
    let all = reports(&admin, &admin.view()).await.0;
    page(all, |report| report.name.clone(), query)
}

/// GET one.
pub(super) async fn item(
    State(admin): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<ControlReport>, ApiError> {
    let view = admin.view();
    let mut all = reports(&admin, &view).await.0.into_iter();
    let found = all.find(|report| report.name == name);
    found.map(Json).ok_or_else(|| unknown(&view, &name))
}

/// GET a list of rules.
pub(super) async fn rules(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<RuleReport>>, ApiError> {
    let all = reports(&admin, &admin.view()).await.1;
    page(all, |report| report.name.clone(), query)
}

/// POST a change.
pub(super) async fn change(
    State(admin): State<Shared>,
    body: Result<Json<Change>, JsonRejection>,
) -> Result<Json<Changed>, ApiError> {
    let Json(change) = body.map_err(|rejected| {
        ApiError::new(rejected.status(), rejected.body_text()).help(CHANGE_HELP)
    })?;
    if change.states.is_empty() {
        let error = "no routing control is named";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, error).help(CHANGE_HELP));
    }
    let view = admin.view();
    let names: Vec<String> = change.states.keys().cloned().collect();
    let states = change.states.into_iter();
    let asked = ControlChange {
        states: states
            .map(|(name, state)| (name, state == ControlState::On))
            .collect(),
        overrides: change.safety_rules_to_override,
    };
    let turned = admin.board.turn(asked).await;
    let outcome = turned.map_err(|error| refused(&view, error))?;
    let generation = outcome.generation;
    tokio::join!(admin.lb.applied(generation), admin.dns.applied(generation));
    let mut items = reports(&admin, &view).await.0;
    items.retain(|report| names.contains(&report.name));
    Ok(Json(Changed {
        turned: outcome.turned,
        saved: outcome.saved,
        items,
    }))
}

fn refused(view: &View, error: ControlError) -> ApiError {
    match &error {
        ControlError::UnknownControl(name) => unknown(view, name),
        ControlError::UnknownRule(name) => {
            let known = view.config.safety_rules.iter();
            ApiError::not_found("safety rule", name, known.map(|rule| rule.name.as_str()))
        }
        ControlError::Refused(_) => {
            let help = "turn several controls in one change, or name the rule in \
                        safety-rules-to-override (`--override RULE`)";
            ApiError::new(StatusCode::CONFLICT, error.to_string()).help(help)
        }
        ControlError::Busy | ControlError::Ended => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
    }
}

fn unknown(view: &View, name: &str) -> ApiError {
    let known = view.config.routing_controls.iter();
    let known = known.map(|control| control.name.as_str());
    ApiError::not_found("routing control", name, known)
}

/// Every control by name and every rule in the order of the file.
pub(in super::super) async fn reports(
    admin: &Admin,
    view: &View,
) -> (Vec<ControlReport>, Vec<RuleReport>) {
    if view.config.routing_controls.is_empty() {
        return Default::default();
    }
    let (controls, rules) = admin.board.controls().await;
    let control = |status: &ControlStatus| {
        let mut known = view.config.routing_controls.iter();
        // Not there while a reload is between the planes.
        let index = known.position(|control| control.name == *status.name)?;
        Some(control_report(view, ControlIdx(index), status))
    };
    let rule = |status: &SafetyRuleStatus| {
        let mut known = view.config.safety_rules.iter();
        let rule = known.find(|rule| rule.name == *status.name)?;
        Some(rule_report(view, rule, status))
    };
    (
        controls.iter().filter_map(control).collect(),
        rules.iter().filter_map(rule).collect(),
    )
}

fn control_report(view: &View, index: ControlIdx, status: &ControlStatus) -> ControlReport {
    let rules = view.config.safety_rules.iter();
    ControlReport {
        name: status.name.to_string(),
        state: state(status.on),
        since: moment::rfc3339(status.since),
        initial: state(view.config.routing_control(index).initially_on),
        safety_rules: rules
            .filter(|rule| rule.guarded().contains(&index))
            .map(|rule| rule.name.clone())
            .collect(),
        used_by: used_by::of_control(&view.config, index),
        generation: view.generation,
    }
}

fn rule_report(view: &View, rule: &SafetyRule, status: &SafetyRuleStatus) -> RuleReport {
    let counted = names(&view.config, &rule.counted);
    let guarded = names(&view.config, rule.guarded());
    let least = match rule.inverted {
        false => format!("at least {}", rule.threshold),
        true => format!("fewer than {}", rule.threshold),
    };
    let whose = counted.join(", ");
    let asks = match rule.kind {
        SafetyRuleKind::Assertion => format!("{least} of {whose} must be on"),
        SafetyRuleKind::Gating(_) => {
            let guarded = guarded.join(", ");
            format!("{guarded} can be turned while {least} of {whose} is on")
        }
    };
    RuleReport {
        name: rule.name.clone(),
        r#type: rule.kind.as_str(),
        met: status.met,
        description: format!("{asks}; {} of {} on", status.on, counted.len()),
        counted_controls: counted,
        on: status.on,
        threshold: rule.threshold,
        inverted: rule.inverted,
        guarded_controls: guarded,
        wait_period: moment::span(rule.wait_period),
        generation: view.generation,
    }
}

fn state(on: bool) -> ControlState {
    match on {
        true => ControlState::On,
        false => ControlState::Off,
    }
}

fn names(config: &Config, controls: &[ControlIdx]) -> Vec<String> {
    let name = |control: &ControlIdx| config.routing_control(*control).name.clone();
    controls.iter().map(name).collect()
}
