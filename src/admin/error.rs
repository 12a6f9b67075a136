//! Errors of the API: always JSON `{"error": …, "help": …}` with the right status.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error and how to mend it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    error: String,
    help: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

impl ApiError {
    /// An error with its status.
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            help: None,
        }
    }

    /// 404 for a named thing, with the names there are.
    pub(super) fn not_found<'a>(
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().take(10).collect();
        let help = match known.is_empty() {
            true => format!("there is no {kind}"),
            false => format!("there is: {}", known.join(", ")),
        };
        Self::new(StatusCode::NOT_FOUND, format!("no {kind} `{name}`")).help(help)
    }

    /// Says how to mend it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Body {
            error: &self.error,
            help: self.help.as_deref(),
        };
        (self.status, Json(body)).into_response()
    }
}

/// 404 for a path that does not exist.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("no such path: {}", uri.path()),
    )
    .help("paths: / /healthz /readyz /metrics /api/v1/…, described in docs/openapi.json")
}

/// 405 for a path that does not take the method.
pub(super) async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}
