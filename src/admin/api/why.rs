//! `/api/v1/why`: what would become of a request at this moment, and why.
//!
//! Asks the balancer, which sends nothing and counts nothing of it as traffic.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use lb::{RequestExplanation, RequestQuestion};

use super::super::error::ApiError;
use super::super::state::Shared;

const HELP: &str = "it takes url, and method, header=NAME:VALUE (as often as need be), source=ADDRESS and listener";

/// The port of a client that nobody gave one: the first of those that systems choose from.
const PORT: u16 = 49_152;

/// GET.
pub(super) async fn show(
    State(admin): State<Shared>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<RequestExplanation>, ApiError> {
    let bad = |why: String| ApiError::new(StatusCode::BAD_REQUEST, why).help(HELP);
    let Query(pairs) = query.map_err(|rejected| bad(rejected.body_text()))?;
    let question = question(pairs).map_err(bad)?;
    let config = &admin.view().config;
    admin.lb.explain(config, &question).map(Json).map_err(bad)
}

fn question(pairs: Vec<(String, String)>) -> Result<RequestQuestion, String> {
    let mut question = RequestQuestion {
        listener: None,
        method: "GET".to_owned(),
        url: String::new(),
        fields: Vec::new(),
        source: (Ipv4Addr::LOCALHOST, PORT).into(),
    };
    for (key, value) in pairs {
        match key.as_str() {
            "url" => question.url = value,
            "method" => question.method = value,
            "header" => question.fields.push(value),
            "listener" => question.listener = Some(value),
            "source" => question.source = source(&value)?,
            _ => return Err(format!("`{key}` is not part of a question")),
        }
    }
    match question.url.is_empty() {
        true => Err("there is no url".to_owned()),
        false => Ok(question),
    }
}

fn source(text: &str) -> Result<SocketAddr, String> {
    let alone = |ip: IpAddr| SocketAddr::new(ip, PORT);
    let address = text.parse::<IpAddr>().map(alone);
    address
        .or_else(|_| text.parse())
        .map_err(|_| format!("`{text}` is no address"))
}
