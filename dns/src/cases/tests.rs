//! This crate's own tables, and what is said of bad ones.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::load_zones;

fn open(source: ConfigSource<'_>) -> Result<Offline, String> {
    let ConfigSource::Text(text) = source else {
        return Err("no files here".to_owned());
    };
    let mut loaded = conf::load_text(Path::new("table.toml"), text);
    let (zones, problems) = load_zones(&loaded.config, &mut loaded.sources);
    loaded.add(problems);
    match loaded.has_errors() {
        true => Err(conf::render_human(
            &loaded.diagnostics,
            &loaded.sources,
            false,
        )),
        false => Ok(Offline::new(Arc::new(loaded.config), &zones)),
    }
}

#[test]
fn every_table_of_policies_is_decided_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies");
    let check = |path: std::path::PathBuf| {
        let outcome = run(&std::fs::read_to_string(&path).unwrap(), None, &open);
        assert!(
            outcome.failures.is_empty(),
            "{}: {:#?}",
            path.display(),
            outcome.failures
        );
        outcome.checked
    };
    // Millions of answers are drawn: a thread for each table.
    let checked: usize = std::thread::scope(|scope| {
        let entries = std::fs::read_dir(folder).unwrap();
        let tables = entries.map(|entry| scope.spawn(move || check(entry.unwrap().path())));
        let tables: Vec<_> = tables.collect();
        tables.into_iter().map(|table| table.join().unwrap()).sum()
    });
    assert!(checked > 400, "{checked} expectations");
}

const TABLE: &str = "\
config
[dns]
geo-database = false
[[health-check]]
name = \"a\"
type = \"tcp\"
address = \"192.0.2.9:80\"
[[zone]]
name = \"example.test\"
[[zone.record]]
name = \"www\"
type = \"A\"
policy = \"weighted\"
sets = [
  { id = \"a\", weight = 1, values = [\"192.0.2.1\"], health-check = \"a\" },
  { id = \"b\", weight = 3, values = [\"192.0.2.2\"] },
]
end
";

fn said_of(lines: &str) -> Vec<(usize, String)> {
    let first = TABLE.lines().count();
    let outcome = run(&format!("{TABLE}{lines}"), None, &open);
    let failures = outcome.failures.into_iter();
    failures.map(|f| (f.line - first, f.message)).collect()
}

#[test]
fn what_is_not_met_is_said_by_line() {
    let lines = "? www.example.test A
= 192.0.2.1:1 192.0.2.2:3
= 192.0.2.1:3 192.0.2.2:1
= 192.0.2.2
health a=down
= 192.0.2.2
== NOERROR aa | www.example.test. 10 IN A 192.0.2.2
= NODATA
? none.example.test A
= NXDOMAIN
= 192.0.2.2
? www.elsewhere.test A
= REFUSED
";
    let said = said_of(lines);
    let lines: Vec<usize> = said.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 8, 11], "{said:?}");
    assert!(said[0].1.contains("chi-squared"), "{said:?}");
    assert!(said[3].1.contains("nothing"), "{said:?}");
}

#[test]
fn explanations_say_who_was_asked_and_why() {
    let Ok(mut offline) = open(ConfigSource::Text(
        TABLE
            .trim_start_matches("config\n")
            .trim_end_matches("end\n"),
    )) else {
        panic!("the table's configuration is good");
    };
    offline.set(&[("a", "down")]).unwrap();
    let (name, rtype) = question("www.example.test A").unwrap();
    let from = Asker::Subnet("198.51.100.0/24".parse().unwrap());
    let explained = offline.explainer(false).explain(&Ask {
        name,
        rtype,
        from,
        seed: 3,
    });
    let explained = explained.unwrap();
    let step = &explained.steps[0];
    assert_eq!(
        (step.policy.as_str(), step.reason.as_str()),
        ("weighted", "healthy")
    );
    assert_eq!(step.chosen, ["b"]);
    let health: Vec<bool> = step.sets.iter().map(|set| set.healthy).collect();
    assert_eq!(health, [false, true]);
    assert_eq!(explained.client.address, "198.51.100.0/24");
    assert_eq!(
        (explained.scope, explained.answers[0].data.as_str()),
        (None, "192.0.2.2")
    );
}

#[test]
fn explanations_say_which_latency_table_gave_a_time() {
    let table = r#"
[dns]
geo-database = false
[[network]]
name = "paris"
cidrs = ["198.51.100.0/24", "203.0.113.0/24"]
country = "FR"
[[latency]]
networks = ["203.0.113.0/24"]
regions = { "eu-central-1" = 5 }
[[latency]]
country = "FR"
regions = { "eu-central-1" = 12 }
[[latency]]
continent = "EU"
regions = { "eu-central-1" = 30, "us-east-1" = 90 }
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
policy = "latency"
sets = [
  { id = "eu", region = "eu-central-1", values = ["192.0.2.1"] },
  { id = "us", region = "us-east-1", values = ["192.0.2.2"] },
]
"#;
    let Ok(offline) = open(ConfigSource::Text(table)) else {
        panic!("the table's configuration is good");
    };
    let said = |from: &str| -> Vec<String> {
        let (name, rtype) = question("www.example.test A").unwrap();
        let explained = offline.explainer(false).explain(&Ask {
            name,
            rtype,
            from: Asker::Sender(from.parse().unwrap()),
            seed: 1,
        });
        let sets = explained.unwrap().steps.remove(0).sets;
        sets.iter().map(|set| set.details[1].clone()).collect()
    };
    let continent = "90.0 ms by [[latency]] of its continent";
    let of_network = "5.0 ms by [[latency]] of its network";
    assert_eq!(said("203.0.113.1"), [of_network, continent]);
    let of_country = "12.0 ms by [[latency]] of its country";
    assert_eq!(said("198.51.100.1"), [of_country, continent]);
}

#[test]
fn what_cannot_be_read_is_said_by_line() {
    for (lines, part) in [
        ("= 192.0.2.1", "no question"),
        ("? www.example.test", "? NAME TYPE"),
        ("? www.example.test XYZ", "record type"),
        ("draws 5", "number of draws"),
        ("after noon", "number of seconds"),
        ("health b=down", "called `b`"),
        ("health a=ill", "`ill` is no state"),
        ("health a", "NAME=STATE"),
        ("from nowhere at all", "no address"),
        (
            "from QQ\n? www.example.test A\n= 192.0.2.1:1 192.0.2.2:3",
            "",
        ),
        ("wibble", "not a word"),
        ("? www.example.test A\n=", "nothing is expected"),
        ("? www.example.test A\n= x of 192.0.2.1", "number"),
        ("? www.example.test A\n= 192.0.2.1:x", "VALUE:SHARE"),
        ("config\n[dns]", "no `end`"),
        ("config\n[dns]\nbad = 1\nend", "unknown-key"),
        ("config other.toml", "no files here"),
    ] {
        let said = said_of(lines);
        assert_eq!(said.len(), 1, "{lines}: {said:?}");
        assert!(said[0].1.contains(part), "{lines}: {said:?}");
    }
    let outcome = run("? a. A\n= 192.0.2.1", None, &open);
    assert!(outcome.failures[0].message.contains("config FILE"));
}

/// `[[latency]]` by autonomous system: MaxMind's test database has 1.128.0.0/11 as Telstra's.
#[test]
fn clients_of_a_provider_have_a_latency_table_of_their_own() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/mmdb");
    let file = format!("{data}/GeoLite2-ASN-Test.mmdb");
    if !std::path::Path::new(&file).exists() {
        eprintln!("skipped: {file} is not there");
        return;
    }
    let table = format!(
        "config
[dns]
geo-database = false
asn-database = {file:?}
[[latency]]
asn = [1221, 64500]
regions = {{ \"eu-central-1\" = 5, \"us-east-1\" = 200 }}
[[latency]]
networks = [\"1.129.0.0/16\"]
regions = {{ \"eu-central-1\" = 200, \"us-east-1\" = 5 }}
[[zone]]
name = \"example.test\"
[[zone.record]]
name = \"www\"
type = \"A\"
policy = \"latency\"
sets = [
  {{ id = \"a-us\", region = \"us-east-1\", values = [\"192.0.2.1\"] }},
  {{ id = \"b-eu\", region = \"eu-central-1\", values = [\"192.0.2.2\"] }},
]
end
from 1.130.0.0/24
? www.example.test A
= 192.0.2.2
from 1.129.3.0/24
= 192.0.2.1
from 9.9.9.0/24
= 192.0.2.1
"
    );
    let outcome = run(&table, None, &open);
    assert_eq!(outcome.checked, 3);
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
}
