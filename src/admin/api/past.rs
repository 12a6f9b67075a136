//! `/api/v1/past-requests`: what became of requests that have ended, newest first.
//!
//! Asks the balancer, which remembers the last ones of each worker. Heads are looked at and never shown.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use lb::{PastQuestion, PastReport};
use serde::{Deserialize, Serialize};

use super::super::error::ApiError;
use super::super::state::Shared;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1000;

/// What of them is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    trace: Option<String>,
    limit: Option<usize>,
}

/// Past requests.
#[derive(Debug, Serialize)]
pub(super) struct Past {
    items: Vec<PastReport>,
}

/// GET.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: Result<Query<Question>, QueryRejection>,
) -> Result<Json<Past>, ApiError> {
    let Query(Question { trace, limit }) = query.map_err(|rejected| {
        ApiError::new(StatusCode::BAD_REQUEST, rejected.body_text()).help(
            "it takes trace (what a request or its connection is known by) and limit (a number)",
        )
    })?;
    let question = PastQuestion {
        trace,
        limit: limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
    };
    let items = admin.lb.past(&admin.view().config, &question);
    let items = items.ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, "past requests are not remembered")
            .help("give `past-requests` in [logs] a number, and reload")
    })?;
    Ok(Json(Past { items }))
}
