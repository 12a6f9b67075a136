//! `pointsman version`: the version, and the date of the country table that is built in.

use serde_json::json;

use super::outcome::{Failure, print, print_json};

/// Prints name and version.
pub(super) fn run(as_json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let date = dns::country_table_date();
    let date = format!(
        "{:04}-{:02}-{:02}",
        date / 10_000,
        date / 100 % 100,
        date % 100
    );
    if as_json {
        return print_json(&json!({
            "name": "pointsman",
            "version": version,
            "country-table": date,
        }));
    }
    print(&format!("pointsman {version}\ncountry table of {date}\n"))
}
