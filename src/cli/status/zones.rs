//! The part of `pointsman status` that shows zones.

use serde_json::Value;

use super::{cell, items, texts, verdict};
use crate::cli::table::Table;

/// Every record with what it answers now, and the copies of secondary zones.
pub(super) fn show_zones(zones: &[Value], bound: &Value) -> String {
    if zones.is_empty() {
        return String::new();
    }
    let mut text = format!("\ndns on {}\n", texts(bound).join(", "));
    let mut table = Table::new(&["NAME", "TYPE", "POLICY", "TTL", "ANSWERS NOW"]);
    for record in zones.iter().flat_map(|zone| items(zone, "records")) {
        table.row([
            cell(record, "name"),
            cell(record, "type"),
            cell(record, "policy"),
            cell(record, "ttl"),
            texts(&record["answers"]).join(", "),
        ]);
    }
    text.push_str(&table.render(2));
    text.push_str(&show_secondaries(zones));
    text
}

fn show_secondaries(zones: &[Value]) -> String {
    let copied = zones.iter().filter(|zone| zone["secondary"].is_object());
    let mut table = Table::new(&[
        "ZONE",
        "SERIAL",
        "FROM",
        "TRANSFERRED",
        "NEXT CHECK",
        "STATUS",
    ]);
    let mut any = false;
    for zone in copied {
        any = true;
        let secondary = &zone["secondary"];
        let primaries = || texts(&secondary["primaries"]).join(", ");
        let from = cell(secondary, "from");
        table.row([
            cell(zone, "id"),
            cell(secondary, "serial"),
            if from.is_empty() { primaries() } else { from },
            cell(secondary, "transferred"),
            cell(secondary, "next-check"),
            verdict(zone),
        ]);
    }
    match any {
        true => format!("\n{}", table.render(2)),
        false => String::new(),
    }
}
