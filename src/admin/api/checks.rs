//! `/api/v1/health-checks`: the standalone checks that record sets name.

use axum::Json;
use axum::extract::{Path, State};
use conf::{CheckIdx, HealthCheck, HealthCheckKind};
use serde::Serialize;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::{List, PagingQuery, Status, page, used_by};
use crate::moment;

/// A standalone check as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CheckReport {
    name: String,
    r#type: &'static str,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    interval: String,
    failure_threshold: u32,
    status: Status,
    reasons: Vec<String>,
    healthy: bool,
    description: String,
    since: Option<String>,
    used_by: Vec<String>,
    generation: u64,
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
    let view = admin.view();
    let mut all = reports(&admin, &view).into_iter();
    let found = all.find(|report| report.name == name);
    found.map(Json).ok_or_else(|| {
        let known = view.config.health_checks.iter();
        ApiError::not_found(
            "health check",
            &name,
            known.map(|check| check.name.as_str()),
        )
    })
}

fn reports(admin: &Admin, view: &View) -> Vec<CheckReport> {
    let table = admin.board.table();
    let report = |(index, check): (usize, &HealthCheck)| {
        let id = view.slots.check(&check.name);
        let health = id.and_then(|id| table.check(id));
        let healthy = health.is_none_or(|health| health.healthy);
        let description = health.map_or("", |health| &health.description).to_owned();
        let (kind, address, path) = match &check.kind {
            HealthCheckKind::Tcp { address } => ("tcp", address, None),
            HealthCheckKind::Http { address, path, .. } => ("http", address, Some(path.clone())),
        };
        CheckReport {
            name: check.name.clone(),
            r#type: kind,
            address: address.to_string(),
            path,
            interval: moment::span(check.interval),
            failure_threshold: check.failure_threshold,
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
        }
    };
    let checks = view.config.health_checks.iter();
    checks.enumerate().map(report).collect()
}
