//! Changes: drain, undrain and weight of a target, and reload.
//!
//! A change of a target is answered when every worker and the DNS server obey the health table that
//! shows it, so that whoever waits for the answer may stop the target. Every change is logged.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use conf::Address;
use healthcheck::{OperatorState, UnknownTarget};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared};
use super::targets::{TargetReport, detail, find_group, not_found, parse_address};

/// Highest weight a target can have in the configuration, and so here.
const MAX_WEIGHT: u16 = 1000;
const WEIGHT_HELP: &str = "{\"weight\": 0 to 1000}, or {\"weight\": null} for the configured one";

type TargetPath = Path<(String, String)>;

/// Body of a weight change. The field must be there: an empty body is a mistake, not a reset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightChange {
    #[serde(deserialize_with = "Option::deserialize")]
    weight: Option<u16>,
}

/// POST drain.
pub(super) async fn drain(
    State(admin): State<Shared>,
    Path((group, address)): TargetPath,
) -> Result<Json<TargetReport>, ApiError> {
    operate(&admin, &group, &address, OperatorState::Drain).await
}

/// POST undrain.
pub(super) async fn undrain(
    State(admin): State<Shared>,
    Path((group, address)): TargetPath,
) -> Result<Json<TargetReport>, ApiError> {
    operate(&admin, &group, &address, OperatorState::Ready).await
}

/// POST weight.
pub(super) async fn weight(
    State(admin): State<Shared>,
    Path((group, address)): TargetPath,
    body: Result<Json<WeightChange>, JsonRejection>,
) -> Result<Json<TargetReport>, ApiError> {
    let address = registered(&admin, &group, &address)?;
    let Json(WeightChange { weight }) = body.map_err(|rejected| {
        ApiError::new(rejected.status(), rejected.body_text()).help(WEIGHT_HELP)
    })?;
    if weight.is_some_and(|weight| weight > MAX_WEIGHT) {
        let error = format!("a weight is at most {MAX_WEIGHT}");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, error).help(WEIGHT_HELP));
    }
    let changed = admin.board.set_weight(&group, address, weight).await;
    let shown = weight.map_or_else(|| "as configured".to_owned(), |weight| weight.to_string());
    tracing::info!("operator: weight of {group} {address}: {shown}");
    settle(&admin, &group, address, changed).await
}

/// POST reload: 200 when applied, 422 when the file was refused.
pub(super) async fn reload(State(admin): State<Shared>) -> Result<Response, ApiError> {
    let stopping = || {
        let error = "the process is shutting down";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error)
    };
    let (answer, answered) = oneshot::channel();
    let sent = admin.reloads.send(answer).await;
    sent.map_err(|_| stopping())?;
    let outcome = answered.await.map_err(|_| stopping())?;
    let status = match outcome.applied {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok((status, Json(outcome.to_json(&admin.file))).into_response())
}

async fn operate(
    admin: &Admin,
    group: &str,
    address: &str,
    state: OperatorState,
) -> Result<Json<TargetReport>, ApiError> {
    let address = registered(admin, group, address)?;
    let changed = admin.board.set_operator(group, address, state).await;
    tracing::info!("operator: {group} {address}: {}", state.as_str());
    settle(admin, group, address, changed).await
}

/// Waits until both planes obey the change, then shows the target.
async fn settle(
    admin: &Admin,
    group: &str,
    address: Address,
    changed: Result<u64, UnknownTarget>,
) -> Result<Json<TargetReport>, ApiError> {
    let generation = changed.map_err(|_| {
        let error = format!("target {address} has just left group {group}");
        ApiError::new(StatusCode::CONFLICT, error)
    })?;
    tokio::join!(admin.lb.applied(generation), admin.dns.applied(generation));
    detail(admin, group, address).await.map(Json)
}

/// The address of a path, when its group has it.
fn registered(admin: &Admin, group: &str, address: &str) -> Result<Address, ApiError> {
    let address = parse_address(address)?;
    let view = admin.view();
    let group = find_group(&view, group)?;
    let known = group.targets.iter().any(|target| target.address == address);
    known
        .then_some(address)
        .ok_or_else(|| not_found(group, address))
}
