//! Loads the 993 zones that BIND, NSD, Knot and PowerDNS all served (dns-groot/FerretDataset), if
//! the data is there: `../shared/data/dns-ferret.jsonl.gz` from the project's root.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input is broken has failed"
)]

mod loading;

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use loading::{is_refused, load, zone_of_file};

#[test]
fn every_zone_that_other_servers_served_is_loaded() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/dns-ferret.jsonl.gz");
    if !data.exists() {
        eprintln!("skipped: {} is not there", data.display());
        return;
    }
    let unpacked = Command::new("gzip").arg("-dc").arg(&data).output().unwrap();
    let text = String::from_utf8(unpacked.stdout).unwrap();
    let folder = std::env::temp_dir().join(format!("zones-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut origins = HashSet::new();
    let mut refused = Vec::new();
    let mut records = 0;
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let origin = case["origin"].as_str().unwrap();
        let path = folder.join("case.zone");
        std::fs::write(&path, case["zone"].as_str().unwrap()).unwrap();
        let (zones, diagnostics, sources) = load(|span| vec![zone_of_file(origin, &path, span)]);
        assert!(
            origins.insert(zones.zones[0].origin.clone()),
            "{origin} twice"
        );
        records += zones.zones[0].records.len();
        if is_refused(&diagnostics) {
            refused.push(format!("{}: {diagnostics:?} {sources:?}", case["id"]));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert_eq!(origins.len(), 993);
    assert!(records > 4_000, "{records}");
}
