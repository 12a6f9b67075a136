//! `/api/v1/target-groups/NAME/targets`: each target with its health, live numbers and, one by one,
//! what the board knows of its probes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use conf::{Address, TargetGroup};
use healthcheck::{SlotId, TargetDetails, TargetHealth, TargetState};
use serde::Serialize;
use tokio::time::Instant;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::{List, PagingQuery, Status, groups, page};
use crate::moment;

/// A target as the API and the page show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct TargetReport {
    pub(in crate::admin) target_group: String,
    pub(in crate::admin) address: Address,
    pub(in crate::admin) status: Status,
    reasons: Vec<String>,
    pub(in crate::admin) state: &'static str,
    /// ELB reason code; null when healthy.
    pub(in crate::admin) reason: Option<&'static str>,
    pub(in crate::admin) description: String,
    pub(in crate::admin) source: &'static str,
    pub(in crate::admin) operator: &'static str,
    pub(in crate::admin) since: String,
    /// Seconds in this state.
    pub(in crate::admin) for_seconds: u64,
    pub(in crate::admin) weight: u16,
    /// False once deregistered, while its delay runs.
    registered: bool,
    /// Who registered it; null once deregistered.
    pub(in crate::admin) registered_by: Option<String>,
    configured_weight: Option<u16>,
    /// What of its weight is due now, in percent: less than 100 in slow start, and while its
    /// traffic fails more than that of the others.
    pub(in crate::admin) share: u8,
    /// ELB's `AnomalyDetection`; null without `anomaly-mitigation`.
    anomaly_detection: Option<AnomalyDetection>,
    availability_zone: String,
    backup: bool,
    pub(in crate::admin) in_flight: u64,
    /// Work it may have at a time, by the file or its agent; 0 = any.
    pub(in crate::admin) max_in_flight: u32,
    /// Times it was chosen since the process started.
    pub(in crate::admin) selected: u64,
    used_by: Vec<String>,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) probes: Option<TargetDetails>,
}

/// How its traffic stands beside that of the others.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct AnomalyDetection {
    result: &'static str,
    mitigation_in_effect: bool,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    Path(name): Path<String>,
    query: PagingQuery,
) -> Result<Json<List<TargetReport>>, ApiError> {
    let view = admin.view();
    let all = reports(&admin, &view, find_group(&view, &name)?);
    page(all, |report| report.address.to_string(), query)
}

/// GET one.
pub(super) async fn item(
    State(admin): State<Shared>,
    Path((name, address)): Path<(String, String)>,
) -> Result<Json<TargetReport>, ApiError> {
    detail(&admin, &name, parse_address(&address)?)
        .await
        .map(Json)
}

/// One target with what the board knows of its probes.
pub(in crate::admin) async fn detail(
    admin: &Admin,
    name: &str,
    address: Address,
) -> Result<TargetReport, ApiError> {
    let view = admin.view();
    let group = find_group(&view, name)?;
    let mut all = reports(admin, &view, group).into_iter();
    let found = all.find(|report| report.address == address);
    let mut report = found.ok_or_else(|| not_found(group, address))?;
    report.probes = admin.board.details(name, address).await;
    Ok(report)
}

/// Reads the address of a path.
pub(in crate::admin) fn parse_address(text: &str) -> Result<Address, ApiError> {
    Address::parse_known(text).ok_or_else(|| match Address::is_unix_text(text) {
        // Whatever it names: no group ever had a target there.
        true => ApiError::new(StatusCode::NOT_FOUND, format!("no target `{text}`")),
        false => {
            let error = format!("`{text}` is no target address");
            ApiError::new(StatusCode::BAD_REQUEST, error)
                .help("ip:port, as in 127.0.0.1:3001 or [::1]:3001, or unix:/path")
        }
    })
}

/// The group of a path.
pub(super) fn find_group<'a>(view: &'a View, name: &str) -> Result<&'a TargetGroup, ApiError> {
    let mut groups = view.config.target_groups.iter();
    let found = groups.find(|group| group.name == name);
    found.ok_or_else(|| groups::not_found(view, name))
}

/// 404 for a target.
pub(super) fn not_found(group: &TargetGroup, address: Address) -> ApiError {
    let names: Vec<String> = group
        .targets
        .iter()
        .map(|t| t.address.to_string())
        .collect();
    let kind = format!("target of group {}", group.name);
    let names = names.iter().map(String::as_str);
    ApiError::not_found(&kind, &address.to_string(), names)
}

/// Every target of a group, in the order of addresses, those that are still draining after they
/// were deregistered included.
pub(in crate::admin) fn reports(
    admin: &Admin,
    view: &View,
    group: &TargetGroup,
) -> Vec<TargetReport> {
    let table = admin.board.table();
    let members = table.roster().targets.iter();
    let members = members.filter(|(_, name, _)| **name == *group.name);
    let report = |(slot, _, address): &(SlotId, Arc<str>, Address)| {
        Some(report(admin, view, table.target(*slot)?, group, *address))
    };
    members.filter_map(report).collect()
}

fn report(
    admin: &Admin,
    view: &View,
    health: &TargetHealth,
    group: &TargetGroup,
    address: Address,
) -> TargetReport {
    let configured = group
        .targets
        .iter()
        .find(|target| target.address == address);
    let registered_by = view.origins.origin(&group.name, address);
    let known = view.slots.target(&group.name, address);
    let suspect = known.is_some_and(|(_, signal)| signal.is_suspect());
    let live = admin.lb.target_status(&group.name, address);
    let (status, mut reasons) = judge(health, suspect);
    if let (Some(target), Some(zone)) = (configured, &group.only_zone)
        && !group.uses(target)
    {
        let theirs = &target.availability_zone;
        reasons.push(format!(
            "in availability zone `{theirs}`: gets no work from zone `{zone}` (cross-zone = false)"
        ));
    }
    TargetReport {
        target_group: group.name.clone(),
        address,
        status,
        reasons,
        state: health.state.as_str(),
        reason: health.reason.map(|reason| reason.as_str()),
        description: health.description.to_string(),
        source: health.source.as_str(),
        operator: health.operator.as_str(),
        since: moment::rfc3339(health.since),
        for_seconds: health.since.elapsed().unwrap_or_default().as_secs(),
        weight: health.weight,
        registered: health.registered,
        registered_by: registered_by.map(ToString::to_string),
        configured_weight: configured.map(|target| target.weight),
        anomaly_detection: health.anomaly.map(|anomaly| AnomalyDetection {
            result: anomaly.as_str(),
            mitigation_in_effect: anomaly.share < 100,
        }),
        share: health.share(group.slow_start, Instant::now()),
        availability_zone: configured
            .map_or("", |target| &target.availability_zone)
            .to_owned(),
        backup: configured.is_some_and(|target| target.backup),
        max_in_flight: health.max_in_flight(
            group.protocol,
            configured.map_or(0, |target| group.max_in_flight_of(target)),
        ),
        in_flight: live.as_ref().map_or(0, |live| live.in_flight.into()),
        selected: live.as_ref().map_or(0, |live| live.selected),
        used_by: vec![format!("target-group/{}", group.name)],
        generation: view.generation,
        probes: None,
    }
}

/// A target's status and why.
fn judge(health: &TargetHealth, suspect: bool) -> (Status, Vec<String>) {
    let status = match health.state {
        TargetState::Healthy if suspect => Status::Error,
        TargetState::Healthy if health.weight == 0 => Status::Warning,
        TargetState::Healthy => Status::Ok,
        TargetState::Unhealthy | TargetState::UnhealthyDraining => Status::Error,
        TargetState::Initial
        | TargetState::Draining
        | TargetState::Unused
        | TargetState::Unavailable => Status::Warning,
    };
    let mut reasons = Vec::new();
    if let Some(code) = health.reason {
        reasons.push(format!("{}: {}", code.as_str(), health.description));
    }
    if suspect && health.state == TargetState::Healthy {
        reasons.push("traffic could not reach it; a probe is on its way".to_owned());
    }
    if health.weight == 0 {
        reasons.push("weight 0: no new work".to_owned());
    }
    (status, reasons)
}
