//! `/healthz` (the process lives) and `/readyz` (it may get traffic).
//!
//! Ready: every target of a group in use and every standalone check has been probed once, remembered
//! health or not, and both planes follow from what that found; or 30 s have passed since the start,
//! for what is slow to answer must not keep the rest from its clients. Once ready, always ready, until the shutdown begins: then 503, so that whatever sends traffic here
//! stops before the listeners close.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::state::{Admin, Shared};
use crate::run::Phase;

/// The first round's time: each first probe begins within a second and ends with its timeout.
const FIRST_ROUND: Duration = Duration::from_secs(30);

/// 200 while the control thread answers.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// 200 when traffic may come, else 503 and why not.
pub(super) async fn readyz(State(admin): State<Shared>) -> (StatusCode, Json<Value>) {
    let phase = *admin.phase.borrow();
    let reason = match phase {
        Phase::Serving if admin.is_ready().await => {
            return (StatusCode::OK, Json(json!({ "status": "ok" })));
        }
        Phase::Serving => "the first probes are running",
        Phase::Stopping => "shutting down",
    };
    let body = json!({ "status": "error", "reasons": [reason] });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}

/// True when everything that is probed has been probed once and traffic and DNS follow from it, or
/// when that had its time.
pub(super) async fn first_round_is_over(admin: &Admin) -> bool {
    if admin.started.elapsed() >= FIRST_ROUND {
        return true;
    }
    let round = admin.board.first_round().await;
    if round.left > 0 {
        return false;
    }
    let generation = round.generation;
    tokio::join!(admin.lb.applied(generation), admin.dns.applied(generation));
    true
}
