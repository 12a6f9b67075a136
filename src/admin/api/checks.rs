//! `/api/v1/health-checks`: the standalone checks that record sets name.

use axum::Json;
use axum::extract::{Path, State};
use conf::{CheckIdx, Config, HealthCheck, HealthCheckKind};
use healthcheck::CheckDetails;
use serde::Serialize;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::{List, PagingQuery, Status, page, used_by};
use crate::moment;

/// A standalone check as the API and the page show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct CheckReport {
    pub(in crate::admin) name: String,
    pub(in crate::admin) r#type: &'static str,
    /// What it looks at: an address, a name with a port, a metric's condition, `health-check/NAME`, `target-group/NAME` or
    /// `routing-control/NAME`.
    pub(in crate::admin) watches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_threshold: Option<u32>,
    disabled: bool,
    inverted: bool,
    pub(in crate::admin) status: Status,
    reasons: Vec<String>,
    pub(in crate::admin) healthy: bool,
    pub(in crate::admin) description: String,
    pub(in crate::admin) since: Option<String>,
    pub(in crate::admin) used_by: Vec<String>,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) probes: Option<CheckDetails>,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<CheckReport>>, ApiError> {
    let all = reports(&admin, &admin.view());
    page(all, |report| report.name.clone(), query)
}

/// GET one.
pub(super) async fn item(
    State(admin): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<CheckReport>, ApiError> {
    detail(&admin, &name).await.map(Json)
}

/// One check with what the board knows of its probes.
pub(in crate::admin) async fn detail(admin: &Admin, name: &str) -> Result<CheckReport, ApiError> {
    let view = admin.view();
    let mut all = reports(admin, &view).into_iter();
    let found = all.find(|report| report.name == name);
    let mut report = found.ok_or_else(|| {
        let known = view.config.health_checks.iter();
        ApiError::not_found("health check", name, known.map(|check| check.name.as_str()))
    })?;
    report.probes = admin.board.check_details(name).await;
    Ok(report)
}

/// Every standalone check, in the order of the configuration.
pub(in crate::admin) fn reports(admin: &Admin, view: &View) -> Vec<CheckReport> {
    let table = admin.board.table();
    let report = |(index, check): (usize, &HealthCheck)| {
        let id = view.slots.check(&check.name);
        let health = id.and_then(|id| table.check(id));
        let healthy = health.is_none_or(|health| health.healthy);
        let description = health.map_or("", |health| &health.description).to_owned();
        let endpoint = match &check.kind {
            HealthCheckKind::Endpoint(endpoint) => Some(endpoint),
            HealthCheckKind::Calculated { .. }
            | HealthCheckKind::TargetGroup(_)
            | HealthCheckKind::RoutingControl(_)
            | HealthCheckKind::Metric(_) => None,
        };
        let metric = match &check.kind {
            HealthCheckKind::Metric(metric) => Some(metric),
            _ => None,
        };
        let probed = (endpoint.map(|e| (&e.destination, e.interval, e.failure_threshold)))
            .or_else(|| metric.map(|m| (&m.server, m.interval, m.failure_threshold)));
        let http = endpoint.and_then(|endpoint| endpoint.http.as_ref());
        CheckReport {
            name: check.name.clone(),
            r#type: check.kind.as_str(),
            watches: watches(&view.config, &check.kind),
            address: probed.map(|(destination, ..)| destination.to_string()),
            path: http.map(|http| http.path.clone()),
            query: metric.map(|metric| metric.query.clone()),
            comparison: metric.map(|metric| metric.comparison.as_str()),
            threshold: metric.map(|metric| metric.threshold),
            interval: probed.map(|(_, interval, _)| moment::span(interval)),
            failure_threshold: probed.map(|(.., threshold)| threshold),
            health_threshold: match &check.kind {
                HealthCheckKind::Calculated {
                    health_threshold, ..
                } => Some(*health_threshold),
                HealthCheckKind::Endpoint(_)
                | HealthCheckKind::TargetGroup(_)
                | HealthCheckKind::RoutingControl(_)
                | HealthCheckKind::Metric(_) => None,
            },
            disabled: check.disabled,
            inverted: check.inverted,
            status: if healthy { Status::Ok } else { Status::Error },
            reasons: if healthy {
                Vec::new()
            } else {
                vec![description.clone()]
            },
            healthy,
            description,
            since: health.map(|health| moment::rfc3339(health.since)),
            used_by: used_by::of_check(&view.config, CheckIdx(index)),
            generation: view.generation,
            probes: None,
        }
    };
    let checks = view.config.health_checks.iter();
    checks.enumerate().map(report).collect()
}

fn watches(config: &Config, kind: &HealthCheckKind) -> Vec<String> {
    match kind {
        HealthCheckKind::Endpoint(endpoint) => vec![endpoint.destination.to_string()],
        HealthCheckKind::Calculated { children, .. } => {
            let name = |child: &CheckIdx| &config.health_check(*child).name;
            let names = children.iter().map(name);
            names.map(|name| format!("health-check/{name}")).collect()
        }
        HealthCheckKind::TargetGroup(group) => {
            vec![format!("target-group/{}", config.group(*group).name)]
        }
        HealthCheckKind::Metric(metric) => {
            let sign = metric.comparison.as_str();
            let condition = format!("{} {sign} {}", metric.query, metric.threshold);
            vec![format!("{condition} at {}", metric.server)]
        }
        HealthCheckKind::RoutingControl(control) => {
            let name = &config.routing_control(*control).name;
            vec![format!("routing-control/{name}")]
        }
    }
}
