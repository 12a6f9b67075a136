//! Choices by client prefix: A and AAAA agree, shares are what weights and dials say, and a set that
//! fails moves only its own clients.
#![expect(clippy::unwrap_used, reason = "what cannot be read is a failed test")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use conf::RecordType;
use dns::explain::{Ask, Asker};
use dns::{Name, Offline, load_zones};
use ipnet::{IpNet, Ipv4Net};

const CONFIG: &str = r#"
[dns]
geo-database = false
[[health-check]]
name = "b"
type = "tcp"
address = "127.0.0.1:9"
[[network]]
name = "everybody"
cidrs = ["0.0.0.0/0"]
region = "us-east-1"
[[zone]]
name = "example.test"
[[zone.record]]
name = "sticky"
type = "A"
policy = "weighted"
sticky = "client-prefix"
sets = [
  { id = "a", weight = 10, values = ["192.0.2.1"] },
  { id = "b", weight = 20, values = ["192.0.2.2"], health-check = "b" },
  { id = "c", weight = 70, values = ["192.0.2.3"] },
]
[[zone.record]]
name = "sticky"
type = "AAAA"
policy = "weighted"
sticky = "client-prefix"
sets = [
  { id = "a", weight = 10, values = ["2001:db8::1"] },
  { id = "b", weight = 20, values = ["2001:db8::2"], health-check = "b" },
  { id = "c", weight = 70, values = ["2001:db8::3"] },
]
[[zone.record]]
name = "some"
type = "A"
policy = "multivalue"
max-answers = 2
sticky = "client-prefix"
sets = [
  { id = "a", values = ["192.0.2.1"] },
  { id = "b", values = ["192.0.2.2"], health-check = "b" },
  { id = "c", values = ["192.0.2.3"] },
  { id = "d", values = ["192.0.2.4"] },
]
[[zone.record]]
name = "dial"
type = "A"
policy = "latency"
sets = [
  { id = "a", region = "us-east-1", dial = 30, values = ["192.0.2.1"] },
  { id = "b", region = "us-west-2", values = ["192.0.2.2"] },
]
"#;

fn offline() -> Offline {
    let mut loaded = conf::load_text(Path::new("prefixes.toml"), CONFIG);
    let (zones, problems) = load_zones(&loaded.config, &mut loaded.sources);
    loaded.add(problems);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    Offline::new(Arc::new(loaded.config), &zones)
}

/// What clients of the first `count` /24 networks of 10.0.0.0/8 and on are answered.
fn asked(offline: &Offline, name: &str, rtype: RecordType, count: u32) -> Vec<Vec<String>> {
    let explainer = offline.explainer(false);
    let name = Name::parse(name, Some(&Name::root())).unwrap();
    let answers = (0..count).map(|number| {
        let address = Ipv4Addr::from(0x0a00_0000 + (number << 8));
        let explained = explainer.explain(&Ask {
            name: name.clone(),
            rtype,
            from: Asker::Subnet(IpNet::V4(Ipv4Net::new(address, 24).unwrap())),
            seed: u64::from(number),
        });
        let explained = explained.unwrap();
        assert_eq!(explained.scope, Some(24));
        explained
            .answers
            .into_iter()
            .map(|line| line.data)
            .collect()
    });
    answers.collect()
}

/// Pearson's chi-squared of what came against shares.
fn chi_squared(answers: &[Vec<String>], shares: &[(&str, f64)]) -> f64 {
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer[0].as_str()).or_default() += 1.0;
    }
    assert_eq!(counts.len(), shares.len(), "{counts:?}");
    let each = shares.iter().map(|(value, share)| {
        let expected = answers.len() as f64 * share;
        (counts[value] - expected).powi(2) / expected
    });
    each.sum()
}

#[test]
fn a_and_aaaa_lead_ten_thousand_prefixes_to_one_endpoint_each() {
    let mut offline = offline();
    for said in [&[][..], &[("b", "down")]] {
        offline.set(said).unwrap();
        let v4 = asked(&offline, "sticky.example.test", RecordType::A, 10_000);
        let v6 = asked(&offline, "sticky.example.test", RecordType::AAAA, 10_000);
        for (number, (v4, v6)) in v4.iter().zip(&v6).enumerate() {
            let last = |answer: &[String]| answer[0].chars().last();
            assert_eq!(last(v4), last(v6), "prefix {number}: {v4:?} {v6:?}");
        }
    }
}

#[test]
fn sticky_shares_are_those_of_the_weights_over_a_hundred_thousand_prefixes() {
    let answers = asked(&offline(), "sticky.example.test", RecordType::A, 100_000);
    let shares = [("192.0.2.1", 0.1), ("192.0.2.2", 0.2), ("192.0.2.3", 0.7)];
    // Upper 0.0001 point for 2 degrees of freedom.
    let found = chi_squared(&answers, &shares);
    assert!(found < 18.42, "{found}");
}

#[test]
fn a_dial_keeps_its_share_of_a_hundred_thousand_prefixes() {
    let answers = asked(&offline(), "dial.example.test", RecordType::A, 100_000);
    // 1 degree of freedom.
    let found = chi_squared(&answers, &[("192.0.2.1", 0.3), ("192.0.2.2", 0.7)]);
    assert!(found < 15.14, "{found}");
}

#[test]
fn a_set_that_fails_moves_its_own_clients_only_and_gets_them_back() {
    let mut offline = offline();
    for name in ["sticky.example.test", "some.example.test"] {
        offline.set(&[]).unwrap();
        let before = asked(&offline, name, RecordType::A, 2_000);
        offline.set(&[("b", "down")]).unwrap();
        let during = asked(&offline, name, RecordType::A, 2_000);
        let had = |answer: &[String]| answer.iter().any(|value| value == "192.0.2.2");
        let mut moved = 0;
        for (before, during) in before.iter().zip(&during) {
            assert!(!had(during));
            match had(before) {
                true => moved += 1,
                false => assert_eq!(before, during),
            }
        }
        assert!((300..1_200).contains(&moved), "{name}: {moved} moved");
        offline.set(&[]).unwrap();
        assert_eq!(asked(&offline, name, RecordType::A, 2_000), before);
    }
}
