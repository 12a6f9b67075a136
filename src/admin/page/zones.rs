//! The page's zones and what each record answers now.

use super::super::api::zones::{RecordReport, ZoneReport};
use super::markup::{escape, table, verdict};

/// A zone and its first records.
pub(super) fn zone_section(zone: &ZoneReport, records: &[RecordReport]) -> String {
    let columns = ["name", "type", "policy", "ttl", "answers now"];
    let more = match zone.records.saturating_sub(records.len()) {
        0 => String::new(),
        more => format!(", and {more} more names: the API lists them all"),
    };
    let rows = records.iter().map(|record| {
        let answers: Vec<String> = record.answers.iter().map(|answer| escape(answer)).collect();
        [
            escape(&record.name),
            escape(&record.r#type),
            record.policy.to_owned(),
            record.ttl.to_string(),
            answers.join("<br>"),
        ]
    });
    format!(
        "<section><h2>{} {}</h2><p>serial {}{}</p>{}</section>\n",
        escape(&zone.name),
        verdict(zone.status, &zone.reasons),
        zone.serial,
        more,
        table(&columns, rows),
    )
}
