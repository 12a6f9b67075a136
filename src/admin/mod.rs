//! The admin surface: page, JSON API, metrics, liveness and readiness, on TCP and a unix socket.
//!
//! Made and served by `run` on the control thread. Reads the planes through their handles and the
//! [`View`] of the generation that serves; changes go to the board or, for a reload, to the control
//! loop. Never blocks, holds no lock, and never touches a data path.

mod answers;
mod api;
mod catalogue;
mod error;
mod guard;
mod lifecycle;
mod metrics;
mod page;
mod process;
mod serve;
mod state;

pub(crate) use catalogue::{ZoneEntry, catalogue, set_serials};
pub(crate) use metrics::OwnMetrics;
pub(crate) use serve::{Sockets, serve};
pub(crate) use state::{Addresses, Admin, Shared, View};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;

/// Request bodies are a few numbers: 64 KiB is plenty.
const MAX_BODY: usize = 64 << 10;

/// Every route, behind the guard of one kind of socket.
fn router(admin: Shared, door: guard::Door) -> Router {
    let gate = guard::Gate::new(admin.clone(), door);
    Router::new()
        .merge(page::router())
        .route("/healthz", get(lifecycle::healthz))
        .route("/readyz", get(lifecycle::readyz))
        .route("/metrics", get(metrics::expose))
        .nest("/api/v1", api::router())
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(gate, guard::guard))
        .with_state(admin)
}
