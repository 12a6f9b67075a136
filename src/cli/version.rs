//! `pointsman version`.

use serde_json::json;

use super::outcome::{Failure, print, print_json};

/// Prints name and version.
pub(super) fn run(as_json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if as_json {
        return print_json(&json!({ "name": "pointsman", "version": version }));
    }
    print(&format!("pointsman {version}\n"))
}
