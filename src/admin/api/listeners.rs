//! `/api/v1/listeners`: where traffic comes in.
//!
//! A listener is as well as the target group of its action.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{Path, State};
use conf::{Action, ListenerIdx};
use serde::Serialize;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::groups::{self, GroupReport};
use super::{List, PagingQuery, Status, page, used_by};

/// A listener as the API and the page show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct ListenerReport {
    pub(in crate::admin) name: String,
    pub(in crate::admin) protocol: &'static str,
    pub(in crate::admin) status: Status,
    pub(in crate::admin) reasons: Vec<String>,
    /// With real ports.
    pub(in crate::admin) bind: Vec<SocketAddr>,
    advertise: Vec<IpAddr>,
    pub(in crate::admin) forward: String,
    /// Open client connections.
    pub(in crate::admin) connections: usize,
    max_connections: usize,
    used_by: Vec<String>,
    generation: u64,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<ListenerReport>>, ApiError> {
    let view = admin.view();
    let all = reports(&admin, &view, &groups::reports(&admin, &view));
    page(all, |report| report.name.clone(), query)
}

/// GET one.
pub(super) async fn item(
    State(admin): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<ListenerReport>, ApiError> {
    let view = admin.view();
    let all = reports(&admin, &view, &groups::reports(&admin, &view));
    let found = all.into_iter().find(|report| report.name == name);
    found.map(Json).ok_or_else(|| {
        let known = view.config.listeners.iter();
        let known = known.map(|listener| listener.name.as_str());
        ApiError::not_found("listener", &name, known)
    })
}

/// Every listener, in the order of the file.
pub(in crate::admin) fn reports(
    admin: &Admin,
    view: &View,
    groups: &[GroupReport],
) -> Vec<ListenerReport> {
    let live = admin.lb.listeners();
    let report = |(index, listener): (usize, &conf::Listener)| {
        let live = live.iter().find(|live| *live.name == *listener.name);
        let Action::Forward(group) = &listener.default_action;
        let forward = view.config.group(*group).name.clone();
        let group = groups.iter().find(|report| report.name == forward);
        let reasons = group.map_or_else(Vec::new, reasons_of);
        ListenerReport {
            name: listener.name.clone(),
            protocol: listener.protocol.as_str(),
            status: group.map_or(Status::Error, |group| group.status),
            reasons,
            bind: live.map_or_else(Vec::new, |live| live.bound.clone()),
            advertise: listener.advertise.clone(),
            forward,
            connections: live.map_or(0, |live| live.open_connections),
            max_connections: listener.max_connections,
            used_by: used_by::of_listener(&view.config, ListenerIdx(index)),
            generation: view.generation,
        }
    };
    view.config
        .listeners
        .iter()
        .enumerate()
        .map(report)
        .collect()
}

/// A group's reasons in the words of a listener.
fn reasons_of(group: &GroupReport) -> Vec<String> {
    let reasons = group.reasons.join("; ");
    let said = format!("target group {}: {reasons}", group.name);
    if reasons.is_empty() {
        Vec::new()
    } else {
        vec![said]
    }
}
