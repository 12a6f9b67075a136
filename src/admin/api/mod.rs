//! `/api/v1`: every object with its status, reasons, users and generation; a few changes.
//!
//! One file per kind of object, each with a typed report that the page reads too. Lists take
//! `limit` (1 to 1000, else 100), `after` (the key of the last item seen) and `q` (a part of the
//! key). docs/openapi.json describes it all, and a test holds that file to these routes.

mod answer;
pub(super) mod checks;
pub(super) mod controls;
mod generation;
pub(super) mod groups;
mod latencies;
pub(super) mod listeners;
mod operate;
mod past;
mod register;
mod secondary;
mod settings;
pub(super) mod targets;
mod used_by;
mod why;
pub(super) mod zones;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::state::Shared;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The routes.
pub(super) fn router() -> Router<Shared> {
    let target = "/target-groups/{name}/targets/{address}";
    let verb = |verb| format!("{target}/{verb}");
    Router::new()
        .route("/listeners", get(listeners::list))
        .route("/listeners/{name}", get(listeners::item))
        .route("/target-groups", get(groups::list))
        .route("/target-groups/{name}", get(groups::item))
        .route(
            "/target-groups/{name}/targets",
            get(targets::list)
                .post(register::register)
                .delete(register::deregister),
        )
        .route(target, get(targets::item).delete(register::deregister_one))
        .route(&verb("drain"), post(operate::drain))
        .route(&verb("undrain"), post(operate::undrain))
        .route(&verb("weight"), post(operate::weight))
        .route("/health-checks", get(checks::list))
        .route("/health-checks/{name}", get(checks::item))
        .route(
            "/routing-controls",
            get(controls::list).post(controls::change),
        )
        .route("/routing-controls/{name}", get(controls::item))
        .route("/safety-rules", get(controls::rules))
        .route("/zones", get(zones::list))
        .route("/zones/{id}", get(zones::item))
        .route("/zones/{id}/records", get(zones::records))
        .route("/dns/answer", get(answer::show))
        .route("/latencies", get(latencies::list))
        .route("/why", get(why::show))
        .route("/past-requests", get(past::list))
        .route("/generation", get(generation::show))
        .route("/reload", post(operate::reload))
}

/// How an object does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// As it should.
    Ok,
    /// It works, but not as it should.
    Warning,
    /// It does not work.
    Error,
}

impl Status {
    /// The word in JSON and on the page.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Query of a list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Paging {
    limit: Option<usize>,
    after: Option<String>,
    q: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    /// The items, ordered by key.
    items: Vec<T>,
    /// The key to continue after; null at the end.
    next: Option<String>,
}

/// The query of a list, as axum hands it over.
pub(super) type PagingQuery = Result<Query<Paging>, QueryRejection>;

/// The part of `items` that the query asks for.
pub(super) fn page<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    query: PagingQuery,
) -> Result<Json<List<T>>, ApiError> {
    let Query(paging) = query.map_err(|rejected| {
        ApiError::new(StatusCode::BAD_REQUEST, rejected.body_text())
            .help("lists take limit (a number), after and q")
    })?;
    let limit = paging.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let mut keyed: Vec<(String, T)> = items.into_iter().map(|item| (key(&item), item)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let wanted = |name: &str| {
        paging.q.as_deref().is_none_or(|q| name.contains(q))
            && paging.after.as_deref().is_none_or(|after| name > after)
    };
    keyed.retain(|(name, _)| wanted(name));
    let more = keyed.len() > limit;
    keyed.truncate(limit);
    let next = match more {
        true => keyed.last().map(|(name, _)| name.clone()),
        false => None,
    };
    let items = keyed.into_iter().map(|(_, item)| item).collect();
    Ok(Json(List { items, next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(limit: Option<usize>, after: &str, q: &str) -> (Vec<&'static str>, Option<String>) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let paging = Paging {
            limit,
            after: some(after),
            q: some(q),
        };
        let items = vec!["beta", "alpha", "gamma", "alphabet"];
        let list = page(items, |item| (*item).to_owned(), Ok(Query(paging))).unwrap();
        (list.0.items, list.0.next)
    }

    #[test]
    fn lists_are_ordered_cut_and_continued_without_gap_or_repeat() {
        let (first, next) = ask(Some(2), "", "");
        assert_eq!(first, ["alpha", "alphabet"]);
        assert_eq!(next.as_deref(), Some("alphabet"));
        assert_eq!(ask(Some(2), "alphabet", ""), (vec!["beta", "gamma"], None));
        assert_eq!(ask(None, "", "alpha"), (vec!["alpha", "alphabet"], None));
        assert_eq!(ask(Some(0), "", "g"), (vec!["gamma"], None));
    }
}
