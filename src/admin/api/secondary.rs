//! How a secondary zone is, as part of `/api/v1/zones`.

use std::time::SystemTime;

use dns::{SecondaryStatus, ZoneState};
use serde::Serialize;

use super::Status;
use crate::moment::rfc3339;

/// A secondary zone's copy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct SecondaryReport {
    state: &'static str,
    primaries: Vec<String>,
    serial: Option<u32>,
    /// When a primary said last that the copy is right, and which.
    checked: Option<String>,
    from: Option<String>,
    /// When the copy changed last, in this process.
    transferred: Option<String>,
    next_check: Option<String>,
    expires: Option<String>,
    error: Option<String>,
    /// Checks that found nothing newer, copies by changes, whole ones, checks without any answer.
    current: u64,
    by_changes: u64,
    whole: u64,
    failed: u64,
}

/// The report, and what it does to the zone's status.
pub(super) fn report(secondary: &SecondaryStatus) -> (SecondaryReport, Status, Vec<String>) {
    let time = |time: Option<SystemTime>| time.map(rfc3339);
    let state = match secondary.state {
        ZoneState::Good => "good",
        ZoneState::Awaited => "awaited",
        ZoneState::Expired => "expired",
    };
    let (mut status, mut reasons) = match secondary.state {
        ZoneState::Good => (Status::Ok, Vec::new()),
        ZoneState::Awaited => (
            Status::Error,
            vec!["no primary has given it yet: answered by SERVFAIL".to_owned()],
        ),
        ZoneState::Expired => (
            Status::Error,
            vec!["the copy is too old: answered by SERVFAIL".to_owned()],
        ),
    };
    if let Some(error) = &secondary.error {
        status = status.max(Status::Warning);
        reasons.push(error.clone());
    }
    let report = SecondaryReport {
        state,
        primaries: secondary
            .primaries
            .iter()
            .map(ToString::to_string)
            .collect(),
        serial: secondary.serial,
        checked: time(secondary.checked),
        from: secondary.from.map(|from| from.to_string()),
        transferred: time(secondary.transferred),
        next_check: time(secondary.next_check),
        expires: time(secondary.expires),
        error: secondary.error.clone(),
        current: secondary.current,
        by_changes: secondary.changes,
        whole: secondary.whole,
        failed: secondary.failed,
    };
    (report, status, reasons)
}
