//! `/healthz` (the process lives) and `/readyz` (it may get traffic).
//!
//! Ready: every registered target has left `initial`, or the longest probe interval has passed
//! since the start: a target that never answers must not keep the others from their clients. Once
//! ready, always ready, until the shutdown begins: then 503, so that whatever sends traffic here
//! stops before the listeners close.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::state::{Admin, Shared};
use crate::run::Phase;

/// 200 while the control thread answers.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// 200 when traffic may come, else 503 and why not.
pub(super) async fn readyz(State(admin): State<Shared>) -> (StatusCode, Json<Value>) {
    let reason = match *admin.phase.borrow() {
        Phase::Serving if admin.is_ready() => {
            return (StatusCode::OK, Json(json!({ "status": "ok" })));
        }
        Phase::Serving => "the first probes are running",
        Phase::Stopping => "shutting down",
    };
    let body = json!({ "status": "error", "reasons": [reason] });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}

/// True when the first round of probes decided every target, or had its time.
pub(super) fn first_round_is_over(admin: &Admin) -> bool {
    let view = admin.view();
    let groups = || view.config.target_groups.iter();
    let longest = groups()
        .map(|group| group.health_check.interval)
        .max()
        .unwrap_or(Duration::ZERO);
    if admin.started.elapsed() >= longest {
        return true;
    }
    let table = admin.board.table();
    groups().all(|group| {
        let health = view.slots.group(&group.name).and_then(|id| table.group(id));
        health.is_none_or(|health| health.initial == 0)
    })
}
