//! Zones that are refused, TTLs that change.

use super::*;
use crate::testing::Scene;

fn records(text: &str) -> (Name, Vec<ParsedRecord>) {
    let scene = Scene::of_zones(&[("a.test", text)]);
    let zone = scene.zones.zones[0].clone();
    (zone.origin, zone.records)
}

#[test]
fn what_a_file_is_refused_for_is_refused_from_a_primary() {
    let (origin, mut all) =
        records("@ 9 SOA ns h 7 2 3 4 5\n@ 9 NS ns\nx 9 A 192.0.2.1\ny 9 CNAME x\n");
    let copy = ZoneCopy::whole(&origin, all.clone()).unwrap();
    assert_eq!((copy.serial, copy.timers.expire), (7, 4));
    let mut beside = all
        .iter()
        .find(|r| r.rtype == RecordType::A)
        .unwrap()
        .clone();
    beside.owner = Name::parse("y.a.test.", None).unwrap();
    all.push(beside);
    let fault = ZoneCopy::whole(&origin, all.clone()).unwrap_err();
    assert!(
        fault.to_string().contains("CNAME record and other data"),
        "{fault}"
    );
    all.retain(|record| record.rtype != RecordType::SOA);
    assert_eq!(ZoneCopy::whole(&origin, vec![]), Err(Fault::NoSoa));
}

#[test]
fn a_change_of_ttl_alone_is_a_change() {
    let (origin, all) = records("@ 9 SOA ns h 7 2 3 4 5\n@ 9 NS ns\nx 9 A 192.0.2.1\n");
    let copy = ZoneCopy::whole(&origin, all).unwrap();
    let old = copy
        .records
        .iter()
        .find(|r| r.rtype == RecordType::A)
        .unwrap()
        .clone();
    let mut soa = copy.soa().unwrap().clone();
    let mut data = soa.rdata.to_vec();
    crate::transfer::content::set_serial(&mut data, 8);
    soa.rdata = data.into();
    let change = Difference {
        removed: vec![old.clone()],
        added: vec![ParsedRecord { ttl: 30, ..old }],
        soa: Some(soa),
    };
    let next = copy.changed(&[change]).unwrap();
    assert_eq!((next.serial, next.records.len()), (8, 3));
    assert!(
        next.records
            .iter()
            .any(|r| r.rtype == RecordType::A && r.ttl == 30)
    );
}
