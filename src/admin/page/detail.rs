//! The pages of one target and of one health check: why it is as it is, its last probes, and what
//! would change it.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use healthcheck::ObservationDetails;

use super::super::api::checks::{self, CheckReport};
use super::super::api::targets::{self, TargetReport};
use super::super::error::ApiError;
use super::super::state::Shared;
use super::balancer::{in_flight, weight};
use super::health::check_badge;
use super::markup::{badge, escape, link, table};
use super::respond;
use crate::moment;

/// GET the page of a target.
pub(in crate::admin) async fn target(
    State(admin): State<Shared>,
    Path((group, address)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let address = targets::parse_address(&address)?;
    let report = targets::detail(&admin, &group, address).await?;
    Ok(respond(&target_page(&report)))
}

/// GET the page of a standalone check.
pub(in crate::admin) async fn check(
    State(admin): State<Shared>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let report = checks::detail(&admin, &name).await?;
    Ok(respond(&check_page(&report)))
}

fn target_page(target: &TargetReport) -> String {
    let probes = target.probes.as_ref();
    let why = match target.reason {
        Some(reason) => format!("<b>{reason}</b> {}", escape(&target.description)),
        None => escape(&target.description),
    };
    let facts = [
        ("why", why),
        ("brought about by", escape(target.source)),
        (
            "since",
            format!(
                "{} ({})",
                escape(&target.since),
                moment::seconds(target.for_seconds)
            ),
        ),
        ("operator", escape(target.operator)),
        (
            "registered by",
            escape(
                target
                    .registered_by
                    .as_deref()
                    .unwrap_or("nobody: deregistered"),
            ),
        ),
        ("weight", weight(target)),
        ("in flight", in_flight(target)),
        ("selected", target.selected.to_string()),
        (
            "traffic",
            probes
                .and_then(|probes| probes.passive.as_ref())
                .map_or_else(String::new, |passive| escape(&passive.summary)),
        ),
        (
            "next probe",
            next_probe(probes.and_then(|probes| probes.next_probe_ms)),
        ),
        (
            "what next",
            probes.map_or_else(String::new, |probes| escape(&probes.next)),
        ),
    ];
    let title = format!("{} of {}", target.address, target.target_group);
    let seen = probes.map_or(&[][..], |probes| &probes.observations);
    page(&title, &badge(target.status, target.state), facts, seen)
}

fn check_page(check: &CheckReport) -> String {
    let probes = check.probes.as_ref();
    let facts = [
        ("why", escape(&check.description)),
        ("type", escape(check.r#type)),
        ("looks at", escape(&check.watches.join(", "))),
        ("since", escape(check.since.as_deref().unwrap_or_default())),
        ("used by", escape(&check.used_by.join(", "))),
        (
            "next probe",
            next_probe(probes.and_then(|probes| probes.next_probe_ms)),
        ),
        (
            "what next",
            probes.map_or_else(String::new, |probes| escape(&probes.next)),
        ),
    ];
    let seen = probes.map_or(&[][..], |probes| &probes.observations);
    page(&check.name, &check_badge(check), facts, seen)
}

/// A heading, facts (those without a value left out), and the last probes.
fn page<const N: usize>(
    title: &str,
    state: &str,
    facts: [(&str, String); N],
    observations: &[ObservationDetails],
) -> String {
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let facts: String = facts
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>\n"))
        .collect();
    format!(
        "<header><h1>{}</h1> {state}<p>{}</p></header>\n<dl>{facts}</dl>\n{}",
        escape(title),
        link("/", "everything"),
        probe_table(observations),
    )
}

fn probe_table(observations: &[ObservationDetails]) -> String {
    if observations.is_empty() {
        return String::new();
    }
    let rows = observations.iter().map(|seen| {
        [
            format!("{} ago", moment::span(Duration::from_millis(seen.age_ms))),
            seen.result.to_owned(),
            milliseconds(Some(seen.took_ms)),
            milliseconds(seen.connect_ms),
            milliseconds(seen.tls_ms),
            milliseconds(seen.first_byte_ms),
            escape(&seen.seen),
        ]
    });
    let columns = [
        "probe",
        "result",
        "took",
        "connect",
        "TLS",
        "first byte",
        "seen",
    ];
    format!(
        "<section><h2>Last probes</h2>{}</section>\n",
        table(&columns, rows)
    )
}

fn milliseconds(took: Option<f64>) -> String {
    took.map_or_else(String::new, |took| format!("{took:.1} ms"))
}

fn next_probe(left_ms: Option<u64>) -> String {
    left_ms.map_or_else(String::new, |left| {
        format!("in {}", moment::span(Duration::from_millis(left)))
    })
}
