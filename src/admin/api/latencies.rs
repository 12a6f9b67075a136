//! `/api/v1/latencies`: round-trip times that were measured, by client network.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::super::error::ApiError;
use super::super::state::Shared;
use super::{List, PagingQuery, page};
use crate::latencies::Shown;
use crate::moment;

/// A client network as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LatencyReport {
    network: String,
    region: String,
    /// Milliseconds there and back, as its connections say.
    rtt_ms: f64,
    /// Connections that say so.
    samples: u32,
    /// Milliseconds that DNS blends with what it expects; null while there are too few connections.
    used_ms: Option<f64>,
    last_seen: String,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<LatencyReport>>, ApiError> {
    let shown = admin.latencies.shown();
    let all = shown.iter().map(report).collect();
    page(all, |report: &LatencyReport| report.network.clone(), query)
}

fn report(shown: &Shown) -> LatencyReport {
    LatencyReport {
        network: shown.network.to_string(),
        region: shown.region.clone(),
        rtt_ms: tenths(shown.ms),
        samples: shown.samples,
        used_ms: shown.used.map(tenths),
        last_seen: moment::rfc3339(shown.seen),
    }
}

/// Nobody needs more of a time that was measured.
fn tenths(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}
