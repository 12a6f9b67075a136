//! `/api/v1/target-groups`: what is balanced over, with roll-ups of health.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use conf::{Address, GroupIdx, TargetGroup, TargetHealthCheck};
use healthcheck::GroupHealth;
use serde::Serialize;
use tokio::time::Instant;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::settings::SettingsReport;
use super::{List, PagingQuery, Status, page, used_by};
use crate::moment;
use crate::registration::SourceReport;

/// A target group as the API and the page show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct GroupReport {
    pub(in crate::admin) name: String,
    pub(in crate::admin) protocol: &'static str,
    pub(in crate::admin) algorithm: &'static str,
    pub(in crate::admin) status: Status,
    pub(in crate::admin) reasons: Vec<String>,
    pub(in crate::admin) registered: u32,
    pub(in crate::admin) healthy: u32,
    initial: u32,
    /// Targets that a source names and the operator deregistered.
    deregistered: Vec<Address>,
    /// Names and files that its targets come from.
    sources: Vec<SourceText>,
    fail_open: bool,
    dns_healthy: bool,
    deregistration_delay: String,
    hold: String,
    settings: SettingsReport,
    pub(in crate::admin) health_check: ProbeReport,
    used_by: Vec<String>,
    generation: u64,
}

/// A name or file that targets come from, and how it does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct SourceText {
    kind: &'static str,
    source: String,
    status: Status,
    /// Why `targets` are not what it says now.
    reasons: Vec<String>,
    /// What it last said that could be used.
    targets: Vec<Address>,
    /// Milliseconds until it is asked again; null while it is being asked.
    next_ms: Option<u64>,
}

impl SourceText {
    fn of(source: &SourceReport) -> Self {
        let reasons: Vec<String> = source.trouble().into_iter().collect();
        let next = source
            .next
            .map(|at| at.saturating_duration_since(Instant::now()));
        Self {
            kind: source.kind.as_str(),
            source: source.source.clone(),
            status: match (reasons.is_empty(), source.targets.is_empty()) {
                (true, _) => Status::Ok,
                (false, false) => Status::Warning,
                (false, true) => Status::Error,
            },
            reasons,
            targets: source.targets.clone(),
            next_ms: next.map(|next| u64::try_from(next.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// How its targets are probed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct ProbeReport {
    pub(in crate::admin) protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) path: Option<String>,
    pub(in crate::admin) interval: String,
    fast_interval: String,
    timeout: String,
    /// How long a death takes at most to show by probes alone, in milliseconds. With the TTL of
    /// its names: how long DNS clients may go on to a dead target.
    pub(in crate::admin) settles_down_ms: u64,
    /// How long a recovery takes at most to show.
    settles_up_ms: u64,
    healthy_threshold: u32,
    unhealthy_threshold: u32,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<GroupReport>>, ApiError> {
    let all = reports(&admin, &admin.view());
    page(all, |report| report.name.clone(), query)
}

/// GET one.
pub(super) async fn item(
    State(admin): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<GroupReport>, ApiError> {
    let view = admin.view();
    let mut all = reports(&admin, &view).into_iter();
    let found = all.find(|report| report.name == name);
    found.map(Json).ok_or_else(|| not_found(&view, &name))
}

/// 404 for a group.
pub(super) fn not_found(view: &View, name: &str) -> ApiError {
    let known = view.config.target_groups.iter();
    ApiError::not_found("target group", name, known.map(|group| group.name.as_str()))
}

/// Every group, in the order of the file.
pub(in crate::admin) fn reports(admin: &Admin, view: &View) -> Vec<GroupReport> {
    let sources = admin.sources.load();
    let table = admin.board.table();
    let report = |(index, group): (usize, &TargetGroup)| {
        let id = view.slots.group(&group.name);
        let health = id.and_then(|id| table.group(id)).unwrap_or_default();
        let (mut status, mut reasons) = judge(health);
        let sources = sources.of(&group.name);
        for trouble in sources.iter().filter_map(SourceReport::trouble) {
            reasons.push(trouble);
            status = status.max(Status::Warning);
        }
        for (address, why) in view.origins.refused(&group.name) {
            reasons.push(format!("{address} is not registered: {why}"));
            status = status.max(Status::Warning);
        }
        GroupReport {
            name: group.name.clone(),
            protocol: group.protocol.as_str(),
            algorithm: group.algorithm.as_str(),
            status,
            reasons,
            registered: health.registered,
            healthy: health.healthy,
            initial: health.initial,
            deregistered: view.origins.deregistered(&group.name).collect(),
            sources: sources.iter().map(SourceText::of).collect(),
            fail_open: health.fail_open,
            dns_healthy: health.dns_healthy,
            deregistration_delay: moment::exact(group.deregistration_delay),
            hold: moment::exact(group.hold),
            settings: SettingsReport::of(group),
            health_check: probe_report(&group.health_check),
            used_by: used_by::of_group(&view.config, GroupIdx(index)),
            generation: view.generation,
        }
    };
    let groups = view.config.target_groups.iter();
    groups.enumerate().map(report).collect()
}

fn probe_report(check: &TargetHealthCheck) -> ProbeReport {
    ProbeReport {
        protocol: check.kind.as_str(),
        path: check.kind.path().map(str::to_owned),
        interval: moment::exact(check.interval),
        fast_interval: moment::exact(check.fast_interval),
        timeout: moment::exact(check.timeout),
        settles_down_ms: milliseconds(check.settles_down()),
        settles_up_ms: milliseconds(check.settles_up()),
        healthy_threshold: check.healthy_threshold,
        unhealthy_threshold: check.unhealthy_threshold,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A group's status and why.
fn judge(health: GroupHealth) -> (Status, Vec<String>) {
    let (registered, healthy) = (health.registered, health.healthy);
    if registered == 0 {
        return (Status::Error, vec!["no target is registered".to_owned()]);
    }
    if health.initial == registered {
        let reason = "the first probes are running".to_owned();
        return (Status::Warning, vec![reason]);
    }
    let mut reasons = Vec::new();
    if healthy < registered {
        reasons.push(format!("{healthy} of {registered} targets take new work"));
    }
    if health.fail_open {
        let reason = "fail-open: too few are healthy, so all that are not draining are used";
        reasons.push(reason.to_owned());
    }
    let status = match (healthy, reasons.is_empty()) {
        (0, _) => Status::Error,
        (_, true) => Status::Ok,
        (_, false) => Status::Warning,
    };
    (status, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(registered: u32, healthy: u32, initial: u32, fail_open: bool) -> (Status, usize) {
        let (status, reasons) = judge(GroupHealth {
            registered,
            healthy,
            initial,
            fail_open,
            ..GroupHealth::default()
        });
        (status, reasons.len())
    }

    #[test]
    fn a_group_without_healthy_targets_is_an_error_and_every_trouble_has_a_reason() {
        assert_eq!(status(0, 0, 0, false), (Status::Error, 1));
        assert_eq!(status(2, 0, 2, true), (Status::Warning, 1));
        assert_eq!(status(2, 2, 0, false), (Status::Ok, 0));
        assert_eq!(status(2, 1, 0, false), (Status::Warning, 1));
        assert_eq!(status(2, 0, 0, true), (Status::Error, 2));
    }
}
