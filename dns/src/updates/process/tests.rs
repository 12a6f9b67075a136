//! The rules of RFC 2136, line by line: what holds, what is refused with which code, what changes.

use super::*;
use crate::testing::Scene;
use crate::{ZoneSource, rdata};

const ZONE: &str = r#"
[[zone]]
name = "a.test"
serial = 7
[[zone.record]]
name = "www"
type = "A"
ttl = 60
values = ["192.0.2.1", "192.0.2.2"]
[[zone.record]]
name = "alias"
type = "CNAME"
values = ["www"]
[[zone.record]]
name = "routed"
type = "A"
policy = "weighted"
sets = [{ id = "a", weight = 1, values = ["192.0.2.9"] }]
[[zone.record]]
name = "routed"
type = "TXT"
values = ["\"x\""]
"#;

fn zone() -> ZoneSource {
    Scene::new(ZONE).zones.zones[0].clone()
}

/// `name ttl class type [data]`, as nsupdate writes it.
fn entry(line: &str) -> Entry {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    let origin = Name::parse("a.test.", None).unwrap();
    let rtype = RecordType::parse(words[3]).unwrap();
    let data = words.get(4).copied().unwrap_or_default();
    let rdata = match data {
        "" => Box::default(),
        text => rdata::parse(rtype, text.as_bytes(), &origin).unwrap().0,
    };
    Entry {
        owner: Name::parse(words[0], Some(&origin)).unwrap(),
        rtype,
        class: match words[2] {
            "IN" => CLASS_IN,
            "ANY" => CLASS_ANY,
            "NONE" => CLASS_NONE,
            other => other.parse().unwrap(),
        },
        ttl: words[1].parse().unwrap(),
        length: rdata.len(),
        rdata: Some(rdata),
    }
}

fn entries(lines: &[&str]) -> Vec<Entry> {
    lines.iter().map(|line| entry(line)).collect()
}

fn shown(records: &[ParsedRecord]) -> Vec<String> {
    let show = |r: &ParsedRecord| {
        let data = rdata::show(r.rtype, &r.rdata);
        format!("{} {} {} {data}", r.owner, r.ttl, r.rtype)
    };
    let mut lines: Vec<String> = records.iter().map(show).collect();
    lines.sort();
    lines
}

fn after(current: &Current, content: Content<'_>) -> Vec<ParsedRecord> {
    let mut after = current.clone();
    after.take(content.into_touched());
    after.records()
}

/// What an update removes and adds, the SOA left out, or its code.
fn update(prerequisites: &[&str], updates: &[&str]) -> Result<(Vec<String>, Vec<String>), Rcode> {
    let zone = zone();
    let current = Current::new(&zone);
    let mut content = Content::new(&zone.origin, &current, &zone.routed);
    let before = shown(&zone.records);
    let outcome = content.update(&entries(prerequisites), &entries(updates), |old| old + 1);
    let Ok(step) = outcome else {
        assert_eq!(shown(&after(&current, content)), before, "all or nothing");
        return outcome
            .map(|_| unreachable!())
            .map_err(|refused| refused.rcode);
    };
    // The step leads from what was to what is.
    let mut there = before;
    for gone in shown(&step.removed) {
        let at = there.iter().position(|line| *line == gone).unwrap();
        there.remove(at);
    }
    there.extend(shown(&step.added));
    there.sort();
    assert_eq!(shown(&after(&current, content)), there);
    let plain = |records: &[ParsedRecord]| {
        let lines = shown(records).into_iter();
        lines
            .filter(|line| !line.contains(" SOA "))
            .collect::<Vec<_>>()
    };
    let soas = step.added.iter().filter(|r| r.rtype == RecordType::SOA);
    let changed = !plain(&step.added).is_empty() || !plain(&step.removed).is_empty();
    assert!(
        soas.count() >= usize::from(changed),
        "a change has a serial"
    );
    Ok((plain(&step.removed), plain(&step.added)))
}

#[test]
fn prerequisites_hold_or_have_their_codes() {
    for (line, code) in [
        ("www 0 ANY ANY", None),
        ("routed 0 ANY A", None),
        ("nothing 0 ANY ANY", Some(Rcode::NxDomain)),
        ("www 0 ANY A", None),
        ("www 0 ANY AAAA", Some(Rcode::NxRrset)),
        ("nothing 0 NONE ANY", None),
        ("www 0 NONE ANY", Some(Rcode::YxDomain)),
        ("www 0 NONE AAAA", None),
        ("www 0 NONE A", Some(Rcode::YxRrset)),
        ("routed 0 NONE A", Some(Rcode::YxRrset)),
        ("www 5 ANY A", Some(Rcode::FormErr)),
        ("www 0 ANY A 192.0.2.1", Some(Rcode::FormErr)),
        ("www 0 NONE A 192.0.2.1", Some(Rcode::FormErr)),
        ("www 0 3 A 192.0.2.1", Some(Rcode::FormErr)),
        ("www.b.test. 0 ANY A", Some(Rcode::NotZone)),
        ("www 0 IN A 192.0.2.1", Some(Rcode::NxRrset)),
    ] {
        let updates = ["new 60 IN A 192.0.2.7"];
        assert_eq!(update(&[line], &updates).err(), code, "{line}");
    }
    let both = ["www 0 IN A 192.0.2.2", "www 0 IN A 192.0.2.1"];
    assert!(update(&both, &[]).is_ok(), "an RRset is a set");
    let more = [both[0], both[1], "www 0 IN A 192.0.2.3"];
    assert_eq!(update(&more, &[]), Err(Rcode::NxRrset));
}

#[test]
fn one_bad_update_refuses_all_of_them() {
    for (line, code) in [
        ("www.b.test. 60 IN A 192.0.2.3", Rcode::NotZone),
        ("www 60 IN ANY 192.0.2.3", Rcode::FormErr),
        ("www 60 IN A", Rcode::FormErr),
        ("www 60 ANY A", Rcode::FormErr),
        ("www 0 ANY A 192.0.2.3", Rcode::FormErr),
        ("www 0 ANY AXFR", Rcode::FormErr),
        ("www 60 NONE A 192.0.2.1", Rcode::FormErr),
        ("www 0 NONE ANY", Rcode::FormErr),
        ("www 0 3 A 192.0.2.1", Rcode::FormErr),
        ("routed 60 IN A 192.0.2.3", Rcode::Refused),
        ("routed 0 ANY A", Rcode::Refused),
        ("routed 0 ANY ANY", Rcode::Refused),
        ("routed 0 NONE A 192.0.2.9", Rcode::Refused),
        ("routed 60 IN CNAME www", Rcode::Refused),
    ] {
        if line.contains("IN ANY") || line.contains("AXFR") {
            let mut bad = entry(&line.replace("ANY 192", "A 192").replace("AXFR", "A"));
            bad.rtype = if line.contains("AXFR") {
                RecordType(252)
            } else {
                RecordType::ANY
            };
            let zone = zone();
            let current = Current::new(&zone);
            let mut content = Content::new(&zone.origin, &current, &zone.routed);
            let refused = content.update(&[], &[bad], |old| old + 1);
            assert_eq!(refused.unwrap_err().rcode, code, "{line}");
            continue;
        }
        let lines = ["new 60 IN A 192.0.2.7", line];
        assert_eq!(update(&[], &lines), Err(code), "{line}");
    }
    let zone = zone();
    let current = Current::new(&zone);
    let mut content = Content::new(&zone.origin, &current, &zone.routed);
    let refused = content.update(&[], &entries(&["routed 0 ANY A"]), |old| old + 1);
    let why = refused.unwrap_err().why;
    assert!(
        why.contains("routed.a.test. A is an alias or has a routing policy"),
        "{why}"
    );
}

#[test]
fn updates_do_what_the_rfc_says() {
    let none: [&str; 0] = [];
    for (lines, removed, added) in [
        (
            &["new 60 IN A 192.0.2.7"][..],
            &none[..],
            &["new.a.test. 60 A 192.0.2.7"][..],
        ),
        (&["www 60 IN A 192.0.2.1"], &none, &none),
        // One TTL for the set, the last one's.
        (
            &["www 30 IN A 192.0.2.1"],
            &["www.a.test. 60 A 192.0.2.1", "www.a.test. 60 A 192.0.2.2"],
            &["www.a.test. 30 A 192.0.2.1", "www.a.test. 30 A 192.0.2.2"],
        ),
        (
            &["www 0 NONE A 192.0.2.1"],
            &["www.a.test. 60 A 192.0.2.1"],
            &none,
        ),
        (
            &["www 0 ANY A"],
            &["www.a.test. 60 A 192.0.2.1", "www.a.test. 60 A 192.0.2.2"],
            &none,
        ),
        (&["nothing 0 ANY ANY"], &none, &none),
        (
            &["routed 0 ANY TXT"],
            &["routed.a.test. 10 TXT \"x\""],
            &none,
        ),
        (
            &["routed 60 IN AAAA 2001:db8::1"],
            &none,
            &["routed.a.test. 60 AAAA 2001:db8::1"],
        ),
        // CNAME and other data keep apart, silently.
        (&["www 60 IN CNAME x"], &none, &none),
        (&["alias 60 IN A 192.0.2.1"], &none, &none),
        (
            &["alias 60 IN CNAME x"],
            &["alias.a.test. 10 CNAME www.a.test."],
            &["alias.a.test. 60 CNAME x.a.test."],
        ),
        // The apex keeps its SOA and a name server.
        (&["@ 0 ANY ANY"], &none, &none),
        (&["@ 0 ANY NS"], &none, &none),
        (&["@ 0 ANY SOA"], &none, &none),
        (&["@ 0 NONE NS ns"], &none, &none),
        (
            &["@ 10 IN NS other", "@ 0 NONE NS ns"],
            &["a.test. 10 NS ns.a.test."],
            &["a.test. 10 NS other.a.test."],
        ),
        // What comes and goes in one update was never there.
        (&["new 60 IN A 192.0.2.7", "new 0 ANY ANY"], &none, &none),
        (
            &[
                "www 0 ANY A",
                "www 60 IN A 192.0.2.1",
                "www 60 IN A 192.0.2.2",
            ],
            &none,
            &none,
        ),
    ] {
        let changed = update(&[], lines).unwrap();
        let wanted = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        assert_eq!(changed, (wanted(removed), wanted(added)), "{lines:?}");
    }
}

#[test]
fn serials_go_forward_by_themselves_or_by_the_update() {
    let zone = zone();
    let serial_after = |lines: &[&str]| {
        let current = Current::new(&zone);
        let mut content = Content::new(&zone.origin, &current, &zone.routed);
        let step = content.update(&[], &entries(lines), |old| old + 1).unwrap();
        let soa = step.added.iter().find(|r| r.rtype == RecordType::SOA);
        soa.and_then(serial_of)
    };
    let old = zone.records.iter().find(|r| r.rtype == RecordType::SOA);
    let old = old.and_then(serial_of).unwrap();
    assert_eq!(serial_after(&["new 60 IN A 192.0.2.7"]), Some(old + 1));
    assert_eq!(serial_after(&["www 60 IN A 192.0.2.1"]), None);
    let soa = |serial: u32| format!("@ 10 IN SOA ns hostmaster {serial} 1 2 3 4");
    let later = soa(old.wrapping_add(100));
    assert_eq!(serial_after(&[&later]), Some(old.wrapping_add(100)));
    assert_eq!(
        serial_after(&[&later, "new 60 IN A 192.0.2.7"]),
        Some(old.wrapping_add(100))
    );
    assert_eq!(
        serial_after(&[&soa(old.wrapping_sub(1))]),
        None,
        "an earlier one is ignored"
    );
}
