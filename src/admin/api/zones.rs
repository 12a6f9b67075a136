//! `/api/v1/zones` and their records, with what each record answers at this moment.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use conf::RecordType;
use serde::Serialize;

use super::super::answers::Asker;
use super::super::catalogue::{RecordEntry, ZoneEntry};
use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::secondary::{self, SecondaryReport};
use super::{List, PagingQuery, Status, page};

/// A zone as the API and the page show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct ZoneReport {
    id: String,
    pub(in crate::admin) name: String,
    pub(in crate::admin) status: Status,
    pub(in crate::admin) reasons: Vec<String>,
    pub(in crate::admin) serial: u32,
    /// Names and types.
    pub(in crate::admin) records: usize,
    /// How its copy is, for a zone that is copied from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary: Option<SecondaryReport>,
    used_by: Vec<String>,
    generation: u64,
}

/// A record as the API and the page show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct RecordReport {
    pub(in crate::admin) name: String,
    pub(in crate::admin) r#type: String,
    pub(in crate::admin) policy: &'static str,
    pub(in crate::admin) ttl: u32,
    status: Status,
    reasons: Vec<String>,
    /// Everything it may answer now, as record data.
    pub(in crate::admin) answers: Vec<String>,
    used_by: Vec<String>,
    generation: u64,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<ZoneReport>>, ApiError> {
    let view = admin.view();
    let all = view.zones.iter().map(|zone| report(&admin, &view, zone));
    page(all.collect(), |report| report.id.clone(), query)
}

/// GET one.
pub(super) async fn item(
    State(admin): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<ZoneReport>, ApiError> {
    let view = admin.view();
    let zone = find(&view, &id)?;
    Ok(Json(report(&admin, &view, zone)))
}

/// GET a zone's records.
pub(super) async fn records(
    State(admin): State<Shared>,
    Path(id): Path<String>,
    query: PagingQuery,
) -> Result<Json<List<RecordReport>>, ApiError> {
    let view = admin.view();
    let zone = live(&admin, find(&view, &id)?);
    let entries: Vec<&RecordEntry> = zone.records.iter().collect();
    let key = |entry: &&RecordEntry| format!("{} {}", entry.name, entry.rtype);
    // Answers are asked for the page's records only: a zone may have a hundred thousand.
    let Json(List { items, next }) = page(entries, key, query)?;
    let items = record_reports(&admin, &view, items);
    Ok(Json(List { items, next }))
}

fn find<'a>(view: &'a View, id: &str) -> Result<&'a ZoneEntry, ApiError> {
    let found = view.zones.iter().find(|zone| zone.id == id);
    found.map(AsRef::as_ref).ok_or_else(|| {
        let known = view.zones.iter().map(|zone| zone.id.as_str());
        ApiError::not_found("zone", id, known)
    })
}

/// A zone as it is now: some change without a new configuration.
pub(in crate::admin) fn live<'v>(admin: &Admin, zone: &'v ZoneEntry) -> Cow<'v, ZoneEntry> {
    match admin.dns.live_records(&zone.id) {
        Some((serial, records)) => Cow::Owned(zone.with(serial, &records)),
        None => Cow::Borrowed(zone),
    }
}

/// One zone: as well as its records that follow health or chance.
pub(in crate::admin) fn report(admin: &Admin, view: &View, zone: &ZoneEntry) -> ZoneReport {
    let decided = zone.records.iter().filter(|record| record.decided);
    let silent: Vec<String> = record_reports(admin, view, decided)
        .into_iter()
        .filter(|record| record.status != Status::Ok)
        .map(|record| format!("{} {} answers nothing now", record.name, record.r#type))
        .collect();
    let served = admin.dns.zone(&zone.id);
    let mut report = ZoneReport {
        id: zone.id.clone(),
        name: zone.name.clone(),
        status: if silent.is_empty() {
            Status::Ok
        } else {
            Status::Warning
        },
        reasons: silent,
        serial: served.as_ref().map_or(zone.serial, |served| served.serial),
        records: zone.records.len(),
        secondary: None,
        used_by: Vec::new(),
        generation: view.generation,
    };
    if let Some(secondary) = admin.dns.secondaries().get(&zone.id) {
        let (shown, status, reasons) = secondary::report(secondary);
        report.status = report.status.max(status);
        report.reasons.extend(reasons);
        report.records = served.map_or(0, |served| served.records);
        report.secondary = Some(shown);
    }
    report
}

/// Records with what they answer now.
pub(in crate::admin) fn record_reports<'a>(
    admin: &Admin,
    view: &View,
    records: impl IntoIterator<Item = &'a RecordEntry>,
) -> Vec<RecordReport> {
    let snapshot = admin.dns.snapshot();
    let mut asker = Asker::new(&snapshot);
    let report = |record: &RecordEntry| {
        let answers = asker.ask(&record.owner, record.rtype, record.policy);
        let silent = answers.is_empty() && other_family_is_silent(&mut asker, record);
        RecordReport {
            name: record.name.clone(),
            r#type: record.rtype.to_string(),
            policy: record.policy.as_str(),
            ttl: record.ttl,
            status: if silent { Status::Warning } else { Status::Ok },
            reasons: if silent {
                vec!["it answers nothing now".to_owned()]
            } else {
                Vec::new()
            },
            answers,
            used_by: Vec::new(),
            generation: view.generation,
        }
    };
    records.into_iter().map(report).collect()
}

/// False for an address record without an address whose name has one of the other family: an alias
/// of both types stands for what has only one.
fn other_family_is_silent(asker: &mut Asker<'_>, record: &RecordEntry) -> bool {
    let other = match record.rtype {
        RecordType::A => RecordType::AAAA,
        RecordType::AAAA => RecordType::A,
        _ => return true,
    };
    asker.ask(&record.owner, other, record.policy).is_empty()
}
