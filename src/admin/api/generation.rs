//! `/api/v1/generation`: which configuration serves, since when, where everything listens.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::state::Shared;
use crate::moment;
use crate::run::Phase;

/// GET.
pub(super) async fn show(State(admin): State<Shared>) -> Json<Value> {
    let view = admin.view();
    let (status, reasons) = match *admin.phase.borrow() {
        Phase::Serving => ("ok", vec![]),
        Phase::Stopping => ("warning", vec!["shutting down"]),
    };
    Json(json!({
        "status": status,
        "reasons": reasons,
        "used-by": [],
        "generation": view.generation,
        "since": moment::rfc3339(view.since),
        "file": admin.file,
        "health-generation": admin.board.table().generation(),
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "workers": admin.workers,
        "uptime-seconds": admin.started.elapsed().as_secs(),
        "addresses": {
            "admin": admin.addresses.tcp,
            "socket": admin.addresses.socket,
            "dns": admin.dns.bound(),
        },
    }))
}
