//! `/`: plain pages that show everything at a glance, and one target or check in full; each renews
//! itself every second.
//!
//! Made on the server from the same reports as the API; no script, no outside file, readable on a
//! phone. Everything that came from a file or the network is escaped, and the content policy allows
//! nothing but the page's own style.

mod balancer;
mod detail;
mod health;
mod markup;
mod zones;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::api::{Status, checks, controls, groups, listeners, targets, zones as zone_reports};
use super::state::{Admin, Shared, View};
use crate::moment;
use crate::run::Phase;

const STYLE: &str = include_str!("page.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The pages' routes.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(show))
        .route(
            "/target-groups/{name}/targets/{address}",
            get(detail::target),
        )
        .route("/health-checks/{name}", get(detail::check))
}

async fn show(State(admin): State<Shared>) -> Response {
    let view = admin.view();
    let (controls, rules) = controls::reports(&admin, &view).await;
    let controls = health::control_section(&controls, &rules);
    let ready = admin.is_ready().await;
    respond(&overview(&admin, &view, &controls, ready))
}

fn overview(admin: &Admin, view: &View, controls: &str, ready: bool) -> String {
    let groups = groups::reports(admin, view);
    let mut body = heading(admin, view, ready);
    body.push_str(&balancer::listener_table(&listeners::reports(
        admin, view, &groups,
    )));
    for (report, group) in groups.iter().zip(&view.config.target_groups) {
        let targets = targets::reports(admin, view, group);
        body.push_str(&balancer::group_section(report, &targets));
    }
    body.push_str(&health::check_section(&checks::reports(admin, view)));
    body.push_str(controls);
    for zone in &view.zones {
        let live = zone_reports::live(admin, zone);
        let records = live.records.iter().take(markup::MAX_ROWS);
        let records = zone_reports::record_reports(admin, view, records);
        body.push_str(&zones::zone_section(
            &zone_reports::report(admin, view, zone),
            &records,
        ));
    }
    body
}

/// The whole document around `body`, which is markup already.
fn respond(body: &str) -> Response {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"1\">\
         <title>Pointsman</title><style>{STYLE}</style></head><body>\n{body}</body></html>\n"
    );
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, Html(page)).into_response()
}

fn heading(admin: &Admin, view: &View, ready: bool) -> String {
    let phase = match *admin.phase.borrow() {
        Phase::Serving if ready => markup::badge(Status::Ok, "serving"),
        Phase::Serving => markup::badge(Status::Warning, "first probes are running"),
        Phase::Stopping => markup::badge(Status::Warning, "shutting down"),
    };
    format!(
        "<header><h1>Pointsman</h1> {phase}<p>generation {} of <code>{}</code>, up {}, {} workers, version {}</p></header>\n",
        view.generation,
        markup::escape(&admin.file.display().to_string()),
        moment::seconds(admin.started.elapsed().as_secs()),
        admin.workers,
        env!("CARGO_PKG_VERSION"),
    )
}
