//! `pointsman latencies`: round-trip times that the running process measured, and the same as
//! configuration.

use serde_json::Value;

use super::Remote;
use super::client::Client;
use super::outcome::{Failure, print, print_json};
use super::status::{cell, field, list};
use super::table::Table;

/// Lists them, or prints those that DNS goes by as `[[latency]]` tables.
pub(super) fn run(remote: &Remote, export: bool, as_json: bool) -> Result<(), Failure> {
    let found = list(&Client::new(remote)?, "/api/v1/latencies")?;
    if as_json {
        return print_json(&Value::Array(found));
    }
    if export {
        return print(&tables(&found));
    }
    if found.is_empty() {
        return print(
            "no round-trip time is known; measure some with `measured-latency` of [dns]\n",
        );
    }
    let columns = [
        "NETWORK",
        "REGION",
        "MS",
        "CONNECTIONS",
        "DNS GOES BY",
        "LAST SEEN",
    ];
    let mut table = Table::new(&columns);
    for one in &found {
        let used = match &one["used-ms"] {
            Value::Null => "-".to_owned(),
            ms => ms.to_string(),
        };
        table.row([
            cell(one, "network"),
            cell(one, "region"),
            one["rtt-ms"].to_string(),
            one["samples"].to_string(),
            used,
            cell(one, "last-seen"),
        ]);
    }
    print(&table.render(0))
}

/// As configuration, for this process or another.
fn tables(found: &[Value]) -> String {
    let mut text = String::new();
    for one in found {
        if one["used-ms"].is_null() {
            continue;
        }
        let (network, region) = (field(one, "network"), field(one, "region"));
        let (ms, samples) = (&one["used-ms"], &one["samples"]);
        text.push_str(&format!(
            "[[latency]]                 # {samples} connections\nnetworks = [\"{network}\"]\n\
             regions = {{ \"{region}\" = {ms} }}\n\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_counts_is_exported() {
        let one = |network: &str, used: Value| json!({ "network": network, "region": "eu-central-1", "samples": 7, "used-ms": used });
        let found = [
            one("192.0.2.0/24", json!(81.3)),
            one("198.51.100.0/24", Value::Null),
        ];
        assert_eq!(
            tables(&found),
            "[[latency]]                 # 7 connections\nnetworks = [\"192.0.2.0/24\"]\n\
             regions = { \"eu-central-1\" = 81.3 }\n\n"
        );
    }
}
