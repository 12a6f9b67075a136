//! `[[zone.record]]` entries, alone and beside a zone file: what they become, and which problems
//! are found.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input is broken has failed"
)]

use std::path::{Path, PathBuf};

use conf::{Loaded, Policy, Severity};
use dns::{RoutedData, RoutedTarget, ZoneSource, Zones};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("entries-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.join(name), text).unwrap();
        self
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Loads `zones` (the `[[zone]]` part of a file) and describes the problems as
/// `severity line code`.
fn load(folder: &Path, zones: &str) -> (Zones, Vec<String>) {
    let text = format!(
        "[dns]\nbind = [\"127.0.0.1:5300\", \"[::1]:5300\"]\n[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:8080\"\nprotocol = \"http\"\nforward = \"app\"\n[[target-group]]\nname = \"app\"\nprotocol = \"http\"\ntargets = [\"127.0.0.11:3001\"]\n{zones}"
    );
    let Loaded {
        config,
        mut sources,
        mut diagnostics,
    } = conf::load_text(&folder.join("pointsman.toml"), &text);
    let (zones, found) = dns::load_zones(&config, &mut sources);
    diagnostics.extend(found);
    let described = diagnostics
        .iter()
        .map(|problem| {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let location = sources.location(problem.span.unwrap());
            let line = location.text.trim().to_owned();
            format!("{severity} {}: {line}", problem.code)
        })
        .collect();
    (zones, described)
}

/// The zone `zones` gives when nothing is wrong with it.
fn one(folder: &Path, zones: &str) -> ZoneSource {
    let (mut loaded, problems) = load(folder, zones);
    assert_eq!(problems, [""; 0]);
    assert_eq!(loaded.zones.len(), 1);
    loaded.zones.remove(0)
}

fn records(zone: &ZoneSource) -> Vec<String> {
    zone.records
        .iter()
        .map(|record| {
            let data = dns::rdata::show(record.rtype, &record.rdata);
            format!("{} {} {} {data}", record.owner, record.ttl, record.rtype)
        })
        .collect()
}

const FILE: &str = "$TTL 300\n@ SOA ns host 7 7200 900 1209600 300\n@ NS ns\nns A 192.0.2.1\nold CNAME www\nwww A 192.0.2.2\n";

#[test]
fn a_zone_without_a_file_gets_soa_ns_and_addresses() {
    let folder = Folder::new("generated");
    let zone = one(&folder.0, "[[zone]]\nname = \"Example.test\"\n");
    assert_eq!(zone.id, "Example.test");
    assert_eq!(zone.default_ttl, 10);
    assert!(zone.serial > 1_700_000_000);
    let soa = format!(
        "Example.test. 10 SOA ns.Example.test. hostmaster.Example.test. {} 7200 900 1209600 10",
        zone.serial
    );
    assert_eq!(
        records(&zone),
        [
            soa.as_str(),
            "Example.test. 10 NS ns.Example.test.",
            "ns.Example.test. 10 A 127.0.0.1",
            "ns.Example.test. 10 AAAA ::1",
        ]
    );
}

#[test]
fn what_the_records_give_is_not_generated() {
    let folder = Folder::new("given");
    let zone = one(
        &folder.0,
        r#"[[zone]]
name = "example.test"
[[zone.record]]
name = "@"
type = "NS"
values = ["dns1.other.example."]
[[zone.record]]
name = "ns"
type = "A"
values = ["192.0.2.1"]
"#,
    );
    let records = records(&zone);
    assert_eq!(records.len(), 3, "{records:?}");
    assert!(records[2].contains(" SOA dns1.other.example. hostmaster.example.test. "));
}

#[test]
fn simple_values_become_records_and_the_rest_is_routed() {
    let folder = Folder::new("routed");
    let zone = one(
        &folder.0,
        r#"[[zone]]
name = "example.test"
[[zone.record]]
name = "txt"
type = "TXT"
ttl = 60
values = ['"a b"', 'c']
[[zone.record]]
name = "www"
type = "A"
policy = "weighted"
sets = [
  { id = "blue", weight = 90, values = ["192.0.2.10"] },
  { id = "green", weight = 10, values = ["192.0.2.11", "192.0.2.12"] },
]
[[zone.record]]
name = "@"
type = ["A", "AAAA"]
alias = { listener = "web" }
[[zone.record]]
name = "app"
type = "A"
alias = { record = "www", evaluate-target-health = false }
"#,
    );
    let lines = records(&zone);
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(lines.contains(&"txt.example.test. 60 TXT \"a b\"".to_owned()));
    assert!(lines.contains(&"txt.example.test. 60 TXT \"c\"".to_owned()));
    let routed: Vec<String> = zone
        .routed
        .iter()
        .map(|record| format!("{} {}", record.owner, record.rtype))
        .collect();
    assert_eq!(
        routed,
        [
            "www.example.test. A",
            "example.test. A",
            "example.test. AAAA",
            "app.example.test. A"
        ]
    );
    let www = &zone.routed[0];
    assert_eq!((www.policy, www.sets[0].weight), (Policy::Weighted, 90));
    let RoutedData::Values(values) = &www.sets[1].data else {
        panic!("{:?}", www.sets[1]);
    };
    assert_eq!(*values[1], [192, 0, 2, 12]);
    let RoutedData::Alias(alias) = &zone.routed[3].sets[0].data else {
        panic!("{:?}", zone.routed[3]);
    };
    assert!(!alias.evaluate_target_health);
    assert!(
        matches!(&alias.target, RoutedTarget::Record(name) if name.to_string() == "www.example.test.")
    );
}

#[test]
fn values_that_are_no_data_are_shown_where_they_stand() {
    let folder = Folder::new("values");
    let (_, problems) = load(
        &folder.0,
        r#"[[zone]]
name = "example.test"
[[zone.record]]
name = "a"
type = "A"
values = [
  "192.0.2",
  "192.0.2.1",
]
[[zone.record]]
name = "b"
type = "TXT"
values = ["v=DKIM1; p=x"]
[[zone.record]]
name = "c"
type = "CNAME"
values = ["one.example.", "two.example."]
[[zone.record]]
name = "d"
type = "CNAME"
values = ["www.example.com"]
[[zone.record]]
name = "www.example.test"
type = "A"
values = ["192.0.2.1"]
[[zone.record]]
name = "bad..name"
type = "A"
values = ["192.0.2.1"]
[[zone.record]]
name = "e"
type = "A"
values = ["192.0.2.1"]
[[zone.record]]
name = "\\101"
type = "A"
values = ["192.0.2.1"]
[[zone.record]]
name = "sub"
type = "SOA"
values = ["ns host 1 2 3 4 5"]
"#,
    );
    assert_eq!(
        problems,
        [
            "error record-value: \"192.0.2\",",
            "error record-value: values = [\"v=DKIM1; p=x\"]",
            "error record-value: values = [\"one.example.\", \"two.example.\"]",
            "warning relative-name: values = [\"www.example.com\"]",
            "warning record-name: name = \"www.example.test\"",
            "error record-name: name = \"bad..name\"",
            "error duplicate-record: [[zone.record]]",
            "error record-type: type = \"SOA\"",
        ]
    );
}

#[test]
fn a_file_and_entries_are_one_zone() {
    let folder = Folder::new("merged").with("a.zone", FILE);
    let zone = one(
        &folder.0,
        r#"[[zone]]
name = "example.test"
file = "a.zone"
[[zone.record]]
name = "app"
type = "A"
alias = { record = "www" }
"#,
    );
    assert_eq!((zone.serial, zone.default_ttl), (7, 300));
    assert_eq!(zone.records.len(), 5);
    assert_eq!(zone.routed.len(), 1);
}

#[test]
fn entries_must_fit_the_file() {
    let folder = Folder::new("conflicts").with("a.zone", FILE);
    let (_, problems) = load(
        &folder.0,
        r#"[[zone]]
name = "example.test"
file = "a.zone"
[[zone.record]]
name = "www"
type = "A"
values = ["192.0.2.9"]
[[zone.record]]
name = "old"
type = "TXT"
values = ["a"]
[[zone.record]]
name = "typo"
type = "A"
alias = { record = "wwv" }
[[zone.record]]
name = "alias"
type = "A"
alias = { record = "old" }
"#,
    );
    assert_eq!(
        problems,
        [
            "error duplicate-record: [[zone.record]]",
            "error cname-and-other-data: old CNAME www",
            "error alias-target-missing: alias = { record = \"wwv\" }",
            "error alias-target-missing: alias = { record = \"old\" }",
        ]
    );
}

#[test]
fn a_file_may_name_its_zone() {
    let folder = Folder::new("origins")
        .with("stem.test.zone", FILE)
        .with("other.zone", &format!("$ORIGIN named.test.\n{FILE}"))
        .with("third.zone", &format!("$ORIGIN stem.test.\n{FILE}"));
    let (zones, problems) = load(&folder.0, "[[zone]]\nname = \"own.test\"\n");
    assert_eq!((zones.zones.len(), problems.len()), (1, 0));
    let text = "[dns]\nbind = \"127.0.0.1:5300\"\nzone-files = [\"*.zone\"]\n";
    let mut loaded = conf::load_text(&folder.0.join("pointsman.toml"), text);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let (zones, problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
    let origins: Vec<String> = zones
        .zones
        .iter()
        .map(|zone| zone.origin.to_string())
        .collect();
    assert_eq!(origins, ["named.test.", "stem.test."]);
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["duplicate-zone"]);
}

#[test]
fn problems_of_one_zone_are_bounded() {
    let folder = Folder::new("bounded").with("a.zone", &"x FOO 1\n".repeat(5_000));
    let (_, problems) = load(
        &folder.0,
        "[[zone]]\nname = \"example.test\"\nfile = \"a.zone\"\n",
    );
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100], "error more-problems: [[zone]]");
}
