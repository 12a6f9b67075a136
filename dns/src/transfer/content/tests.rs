//! Changes lead from any serial that is kept to the present one; serials follow content alone.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::compile::Kept;
use crate::metrics::ZoneLabels;
use crate::testing::Scene;
use crate::{Compiled, Snapshot};

fn next(zone: &str, before: &Snapshot, now: u32) -> Snapshot {
    let scene = Scene::new(&format!("[[zone]]\nname = \"a.test\"\n{zone}"));
    let mut zones = scene.zones.clone();
    let kept = Kept::new(
        &scene.config,
        &mut zones,
        before,
        ZoneLabels::default(),
        now,
    );
    Compiled::after(kept, &scene.config, &zones, 1, &scene.slots).snapshot(&scene.health, false)
}

fn records(hosts: &BTreeSet<u8>) -> String {
    let record = |host: &u8| {
        format!(
            "[[zone.record]]\nname = \"h{host}\"\ntype = \"A\"\nvalues = [\"192.0.2.{host}\"]\n"
        )
    };
    hosts.iter().map(record).collect()
}

fn content(snapshot: &Snapshot) -> Arc<Content> {
    snapshot.transfers.zones[0].content.clone()
}

type Shown = BTreeSet<(String, u16, Box<[u8]>, u32)>;

fn shown(records: &[ParsedRecord]) -> Shown {
    let show = |r: &ParsedRecord| (r.owner.to_string(), r.rtype.0, r.rdata.clone(), r.ttl);
    records
        .iter()
        .filter(|r| r.rtype != RecordType::SOA)
        .map(show)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn changes_lead_from_any_kept_serial_to_the_present(
        steps in prop::collection::vec(prop::collection::btree_set(0_u8..6, 0..6), 2..8),
    ) {
        let mut snapshot = Scene::new("[[zone]]\nname = \"b.test\"\n").snapshot();
        let mut past: Vec<Arc<Content>> = Vec::new();
        for (serial, hosts) in (1..).zip(&steps) {
            let zone = format!("serial = {serial}\nallow-transfer = [\"::/0\"]\n{}", records(hosts));
            snapshot = next(&zone, &snapshot, 1);
            past.push(content(&snapshot));
        }
        let last = content(&snapshot);
        for old in &past {
            let mut have = shown(&old.records);
            if old.serial != last.serial {
                for change in last.since(old.serial).unwrap() {
                    for gone in shown(&change.removed) {
                        prop_assert!(have.remove(&gone));
                    }
                    for come in shown(&change.added) {
                        prop_assert!(have.insert(come));
                    }
                }
            }
            prop_assert_eq!(have, shown(&last.records));
        }
        prop_assert!(last.since(0).is_none());
    }
}

#[test]
fn automatic_serials_follow_content_and_never_go_back() {
    let nothing = Scene::new("[[zone]]\nname = \"b.test\"\n").snapshot();
    let with = |hosts: &[u8]| {
        let hosts = hosts.iter().copied().collect();
        format!("allow-transfer = [\"::/0\"]\n{}", records(&hosts))
    };
    let first = next(&with(&[1]), &nothing, 100);
    let same = next(&with(&[1]), &first, 200);
    let changed = next(&with(&[1, 2]), &same, 300);
    let at_once = next(&with(&[2]), &changed, 300);
    let clock_went_back = next(&with(&[3]), &at_once, 50);
    let serials = [&first, &same, &changed, &at_once, &clock_went_back].map(|s| content(s).serial);
    assert_eq!(serials, [100, 100, 300, 301, 302]);
    assert_eq!(content(&clock_went_back).changes.len(), 3);
}

#[test]
fn routed_records_rest() {
    let nothing = Scene::new("[[zone]]\nname = \"b.test\"\n").snapshot();
    let snapshot = next(
        r#"
allow-transfer = ["::/0"]
[[zone.record]]
name = "w"
type = "A"
policy = "weighted"
sets = [
  { id = "a", weight = 1, values = ["192.0.2.1"] },
  { id = "b", weight = 9, values = ["192.0.2.2"] },
]
[[zone.record]]
name = "m"
type = "A"
policy = "multivalue"
sets = [{ id = "a", values = ["192.0.2.3"] }, { id = "b", values = ["192.0.2.4"] }]
[[zone.record]]
name = "g"
type = "A"
policy = "geolocation"
sets = [
  { id = "de", location = { country = "DE" }, values = ["192.0.2.5"] },
  { id = "all", location = "default", values = ["192.0.2.6"] },
]
[[zone.record]]
name = "l"
type = "A"
alias = { record = "w" }
"#,
        &nothing,
        1,
    );
    let content = content(&snapshot);
    let addresses: Vec<String> = content
        .records
        .iter()
        .filter(|record| {
            record.rtype == RecordType::A && !record.owner.to_string().starts_with("ns")
        })
        .map(|record| format!("{} {}", record.owner, record.rdata[3]))
        .collect();
    assert_eq!(
        addresses,
        [
            "g.a.test. 6",
            "l.a.test. 2",
            "m.a.test. 3",
            "m.a.test. 4",
            "w.a.test. 2"
        ]
    );
    assert_eq!(content.resting, 5);
}

#[test]
fn other_targets_of_the_same_zones_are_served_without_the_zones_read_again() {
    let text = |target: &str| {
        format!(
            "[[target-group]]\nname = \"g\"\nprotocol = \"tcp\"\ntargets = [\"{target}:80\"]\n\
             [[zone]]\nname = \"a.test\"\nallow-transfer = [\"127.0.0.1\"]\n\
             [[zone.record]]\nname = \"g\"\ntype = \"A\"\nalias = {{ target-group = \"g\" }}\n\
             [[zone.record]]\nname = \"x\"\ntype = \"A\"\nvalues = [\"192.0.2.9\"]\n\
             [[zone]]\nname = \"b.test\"\nallow-transfer = [\"127.0.0.1\"]\n\
             [[zone.record]]\nname = \"x\"\ntype = \"A\"\nvalues = [\"192.0.2.8\"]\n\
             [[zone.record]]\nname = \"w\"\ntype = \"A\"\npolicy = \"weighted\"\nsets = [\n\
             {{ id = \"only\", weight = 1, values = [\"192.0.2.7\"] }} ]\n"
        )
    };
    let (old, new) = (
        Scene::new(&text("192.0.2.1")),
        Scene::new(&text("192.0.2.2")),
    );
    let serve = |scene: &Scene, mut zones: crate::Zones, before: &Snapshot, now| {
        let labels = ZoneLabels::default();
        let kept = Kept::new(&scene.config, &mut zones, before, labels, now);
        Compiled::after(kept, &scene.config, &zones, 1, &scene.slots).snapshot(&scene.health, false)
    };
    let nothing = Compiled::empty().snapshot(&healthcheck::HealthTable::default(), false);
    let first = serve(&old, old.zones.clone(), &nothing, 100);
    let part = old.zones.for_other_targets();
    assert!(!part.zones[0].is_part() && part.zones[1].is_part());
    let second = serve(&new, part, &first, 200);
    let whole = serve(&new, new.zones.clone(), &first, 200);
    for (index, serial) in [(0, 200), (1, 100)] {
        let of = |snapshot: &Snapshot| {
            let content = &snapshot.transfers.zones[index].content;
            (content.serial, content.records.clone())
        };
        assert_eq!(of(&second), of(&whole));
        assert_eq!(of(&second).0, serial);
        assert_eq!(second.zones.zones()[index].serial, serial);
    }
    for name in ["g.a.test.", "x.a.test.", "x.b.test.", "w.b.test."] {
        assert_eq!(answers(&second, name), answers(&whole, name), "{name}");
        assert_eq!(answers(&second, name).len(), 1, "{name}");
    }
    assert_ne!(answers(&second, "g.a.test."), answers(&first, "g.a.test."));
}

fn answers(snapshot: &Snapshot, name: &str) -> Vec<String> {
    let (mut answerer, mut buffer) = (crate::Answerer::new(1), vec![0; 512]);
    let query = crate::testing::query(name, "A");
    let from = crate::testing::SOURCE;
    let answered = answerer.answer(snapshot, &query, from, crate::Transport::Tcp, &mut buffer);
    let packet = &buffer[..answered.unwrap().len];
    let message = hickory_proto::op::Message::from_vec(packet).unwrap();
    message.answers.iter().map(ToString::to_string).collect()
}
