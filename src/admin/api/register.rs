//! Registering and deregistering targets of a group at run time (ELB RegisterTargets and
//! DeregisterTargets).
//!
//! A change takes all its targets or none. It is answered when every worker and the DNS server obey
//! and it is saved. Both are idempotent: what is so already is no error.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use conf::Address;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared};
use super::groups;
use super::targets::{TargetReport, find_group, parse_address, reports};
use crate::registration::{Change, ChangeError, ChangeRequest, Changed, Registration};

const MAX_WEIGHT: u16 = 1000;
/// As long as ELB's names of zones are, with room.
const MAX_ZONE: usize = 64;
const REGISTER_HELP: &str = "{\"targets\": [{\"address\": \"ip:port\"}]}, and perhaps \"weight\" \
                             (0 to 1000), \"availability-zone\" and \"backup\"";
const DEREGISTER_HELP: &str = "{\"targets\": [{\"address\": \"ip:port\"}]}";

/// Body of a registration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToRegister {
    targets: Vec<Registration>,
}

/// Body of a deregistration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToDeregister {
    targets: Vec<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    address: Address,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Registered {
    /// Targets that this made a difference to.
    changed: Vec<Address>,
    /// True once a restart will remember it.
    saved: bool,
    /// The targets that were named, as they are now; those that are gone already are not among them.
    items: Vec<TargetReport>,
}

/// POST targets.
pub(super) async fn register(
    State(admin): State<Shared>,
    Path(group): Path<String>,
    body: Result<Json<ToRegister>, JsonRejection>,
) -> Result<Json<Registered>, ApiError> {
    find_group(&admin.view(), &group)?;
    let Json(ToRegister { mut targets }) = body.map_err(|bad| unreadable(&bad, REGISTER_HELP))?;
    for target in &mut targets {
        target.address = target.address.to_canonical();
        let zone = target.availability_zone.as_deref().unwrap_or_default();
        let error = match target.weight {
            Some(weight) if weight > MAX_WEIGHT => format!("a weight is at most {MAX_WEIGHT}"),
            _ if zone.len() > MAX_ZONE => format!("an availability zone has {MAX_ZONE} bytes"),
            _ => continue,
        };
        return Err(ApiError::new(StatusCode::BAD_REQUEST, error).help(REGISTER_HELP));
    }
    let named = targets.iter().map(|target| target.address).collect();
    change(
        &admin,
        group,
        Change::Register(targets),
        named,
        REGISTER_HELP,
    )
    .await
}

/// DELETE targets.
pub(super) async fn deregister(
    State(admin): State<Shared>,
    Path(group): Path<String>,
    body: Result<Json<ToDeregister>, JsonRejection>,
) -> Result<Json<Registered>, ApiError> {
    find_group(&admin.view(), &group)?;
    let Json(ToDeregister { targets }) = body.map_err(|bad| unreadable(&bad, DEREGISTER_HELP))?;
    let named = targets
        .into_iter()
        .map(|target| target.address.to_canonical());
    deregister_all(&admin, group, named.collect()).await
}

/// DELETE one target.
pub(super) async fn deregister_one(
    State(admin): State<Shared>,
    Path((group, address)): Path<(String, String)>,
) -> Result<Json<Registered>, ApiError> {
    find_group(&admin.view(), &group)?;
    let address = parse_address(&address)?.to_canonical();
    deregister_all(&admin, group, vec![address]).await
}

async fn deregister_all(
    admin: &Admin,
    group: String,
    named: Vec<Address>,
) -> Result<Json<Registered>, ApiError> {
    let asked = Change::Deregister(named.clone());
    change(admin, group, asked, named, DEREGISTER_HELP).await
}

async fn change(
    admin: &Admin,
    group: String,
    change: Change,
    named: Vec<Address>,
    help: &str,
) -> Result<Json<Registered>, ApiError> {
    if named.is_empty() {
        let error = "no target is named";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, error).help(help));
    }
    let stopping = || {
        let error = "the process is shutting down";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error)
    };
    let (answer, answered) = oneshot::channel();
    let request = ChangeRequest {
        group: group.clone(),
        change,
        answer,
    };
    let sent = admin.registrations.send(request).await;
    sent.map_err(|_| stopping())?;
    let outcome = answered.await.map_err(|_| stopping())?;
    let Changed { changed, saved } = outcome.map_err(|error| refused(admin, &error))?;
    let view = admin.view();
    let mut items = reports(admin, &view, find_group(&view, &group)?);
    items.retain(|report| named.contains(&report.address));
    Ok(Json(Registered {
        changed,
        saved,
        items,
    }))
}

fn unreadable(rejected: &JsonRejection, help: &str) -> ApiError {
    ApiError::new(rejected.status(), rejected.body_text()).help(help)
}

fn refused(admin: &Admin, error: &ChangeError) -> ApiError {
    let status = match error {
        ChangeError::UnknownGroup(group) => return groups::not_found(&admin.view(), group),
        ChangeError::Unusable(..) => StatusCode::BAD_REQUEST,
        ChangeError::TooMany(_) | ChangeError::Refused(_) => StatusCode::CONFLICT,
    };
    ApiError::new(status, error.to_string()).help(match error {
        ChangeError::TooMany(_) => "list them in `targets` of the group",
        _ => "name the address and port, or the Unix socket, that the service itself listens on",
    })
}
