//! `/api/v1/dns/answer`: what a question would be answered at this moment, and why.
//!
//! Asks the DNS plane, which counts nothing of it as traffic.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use dns::explain::{Explanation, Words};

use super::super::error::ApiError;
use super::super::state::Shared;

const HELP: &str =
    "it takes name, type (else A), one of from=ADDRESS, ecs=NETWORK and country=CC, and seed";

/// GET.
pub(super) async fn show(
    State(admin): State<Shared>,
    query: Result<Query<Words>, QueryRejection>,
) -> Result<Json<Explanation>, ApiError> {
    let bad = |why: String| ApiError::new(StatusCode::BAD_REQUEST, why).help(HELP);
    let Query(words) = query.map_err(|rejected| bad(rejected.body_text()))?;
    let ask = words.read().map_err(bad)?;
    let explained = admin.dns.explainer().explain(&ask);
    explained.map(Json).map_err(|error| bad(error.to_string()))
}
