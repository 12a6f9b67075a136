//! Deltas over files that change under them.

use super::*;
use crate::ZoneSource;
use crate::testing::Scene;

fn zone(text: &str) -> ZoneSource {
    let text = format!("@ 9 SOA ns h 7 2 3 4 5\n@ 9 NS ns\n{text}");
    Scene::of_zones(&[("a.test", &text)]).zones.zones[0].clone()
}

fn record(zone: &ZoneSource, owner: &str) -> ParsedRecord {
    let found = zone.records.iter().find(|r| r.owner.to_string() == owner);
    let mut record = found.unwrap().clone();
    record.span = conf::Span::default();
    record
}

fn names(records: &[ParsedRecord]) -> Vec<String> {
    let mut names: Vec<String> = records
        .iter()
        .filter(|r| ![RecordType::SOA, RecordType::NS].contains(&r.rtype))
        .map(|r| format!("{} {} {}", r.owner, r.ttl, r.rtype))
        .collect();
    names.sort();
    names
}

#[test]
fn updates_stay_when_the_file_changes() {
    let file = zone("x 9 A 192.0.2.1\ny 9 A 192.0.2.2\n");
    let new = record(&zone("z 9 A 192.0.2.3\n"), "z.a.test.");
    let mut delta = Delta::default();
    delta.take(&Step {
        removed: vec![record(&file, "x.a.test.")],
        added: vec![
            new.clone(),
            ParsedRecord {
                ttl: 30,
                ..record(&file, "y.a.test.")
            },
        ],
    });
    let over = |delta: &Delta, file: &ZoneSource| {
        let (records, left_out) = delta.lay_over(&file.records, &file.routed);
        (names(&records), left_out)
    };
    let wanted = ["y.a.test. 30 A", "z.a.test. 9 A"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(over(&delta, &file), (wanted, 0));
    let changed = zone("x 9 A 192.0.2.1\nw 9 A 192.0.2.4\nz 9 CNAME w\n");
    let wanted = ["w.a.test. 9 A", "y.a.test. 30 A", "z.a.test. 9 CNAME"].map(str::to_owned);
    assert_eq!(
        over(&delta, &changed),
        (wanted.to_vec(), 1),
        "the file's CNAME is alone"
    );
    let mut again = Delta::default();
    again.take(&delta.as_step());
    assert_eq!(again, delta);
    delta.take(&Step {
        removed: vec![new],
        added: Vec::new(),
    });
    delta.prune(&Base::new(&file.records));
    assert_eq!(delta.len(), 2, "what comes and goes leaves nothing behind");
}

#[test]
fn the_later_serial_is_served() {
    let soa = |serial: u32| {
        let file = Scene::of_zones(&[(
            "a.test",
            &format!("@ 9 SOA ns h {serial} 2 3 4 5\n@ 9 NS ns\n"),
        )]);
        file.zones.zones[0].clone()
    };
    let mut delta = Delta::default();
    delta.take(&Step {
        removed: Vec::new(),
        added: vec![record(&soa(20), "a.test.")],
    });
    for (file, served) in [(7, 20), (20, 20), (21, 21)] {
        let (records, _) = delta.lay_over(&soa(file).records, &[]);
        assert_eq!(
            records.iter().find_map(serial_of_soa),
            Some(served),
            "{file}"
        );
    }
    fn serial_of_soa(record: &ParsedRecord) -> Option<u32> {
        (record.rtype == RecordType::SOA).then(|| serial_of(record))?
    }
}
