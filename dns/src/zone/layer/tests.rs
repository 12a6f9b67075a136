//! A zone with layers answers as the same zone compiled whole does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::Zones as Sources;
use crate::load::ParsedRecord;
use crate::metrics::ZoneLabel;
use crate::testing::Scene;
use crate::updates::delta::Step;
use crate::zone::{NodeRef, Place, SetData, build};

const TYPES: [RecordType; 6] = [
    RecordType::A,
    RecordType::NS,
    RecordType::TXT,
    RecordType::CNAME,
    RecordType::DNAME,
    RecordType::DS,
];

/// Every place for a name: two labels and a wildcard, four deep.
fn universe() -> Vec<Name> {
    let mut names = vec![Name::parse("z.test.", None).unwrap()];
    let mut last = names.clone();
    for _ in 0..4 {
        let labels = [&b"a"[..], b"b", b"*"];
        let below = last.iter().flat_map(|name| {
            let below = labels.iter().map(|label| name.prepend(label).unwrap());
            below.collect::<Vec<_>>()
        });
        last = below.collect();
        names.extend(last.iter().cloned());
    }
    names
}

fn record(owner: &Name, rtype: RecordType, value: u8) -> ParsedRecord {
    let target = Name::parse(
        ["a.b.z.test.", "b.a.z.test.", "x.test."][usize::from(value % 3)],
        None,
    );
    ParsedRecord {
        owner: owner.clone(),
        rtype,
        ttl: 60,
        rdata: match rtype {
            RecordType::A => [192, 0, 2, value].into(),
            RecordType::TXT => [1, value].into(),
            RecordType::DS => [0, 1, 8, 2, value].into(),
            _ => target.unwrap().as_wire().into(),
        },
        span: conf::Span::default(),
    }
}

/// The zone without its many records; it has a routed record and an alias.
fn source() -> crate::ZoneSource {
    let scene = Scene::new(
        "[[zone]]\nname = \"z.test\"\nserial = 1\n\
         [[zone.record]]\nname = \"b.b\"\ntype = \"AAAA\"\npolicy = \"weighted\"\n\
         sets = [{ id = \"a\", weight = 1, values = [\"2001:db8::1\"] }]\n\
         [[zone.record]]\nname = \"b.a.a\"\ntype = \"A\"\nalias = { record = \"a.a.a\" }\n\
         [[zone.record]]\nname = \"a.a.a\"\ntype = \"A\"\nvalues = [\"192.0.2.200\"]\n",
    );
    scene.zones.zones[0].clone()
}

fn table(zone: &crate::ZoneSource) -> ZoneTable {
    let zones = Sources {
        zones: vec![zone.clone()],
        ..Sources::default()
    };
    build(&zones, None, |_| ZoneLabel::NONE)
}

/// What a place is, whatever it is made of.
fn told(table: &ZoneTable, name: &Name, rtype: RecordType) -> String {
    let lower = name.to_lower_wire();
    let node = |node: NodeRef<'_>| {
        let mut text = format!("{} {:?} ", node.zone().serial, node.zone().negative);
        for rtype in TYPES.iter().chain(&[RecordType::SOA, RecordType::AAAA]) {
            match node.set(*rtype) {
                Some(SetData::Fixed(blob)) => write!(text, "{rtype} {:?} ", table.blob(blob).bytes),
                Some(SetData::Routed(number)) => write!(text, "{rtype} routed {number} "),
                None => Ok(()),
            }
            .unwrap();
        }
        text
    };
    match table.look_up(&lower, rtype) {
        Place::Elsewhere => "elsewhere".to_owned(),
        Place::At(found) => format!("at {} {}", found.is_empty(), node(found)),
        Place::Missing(found) => format!("missing {}", node(found)),
        Place::Delegated(found, number, len) => {
            format!("delegated {len} {:?}", found.referral(number))
        }
        Place::Renamed(_, blob, len) => format!("renamed {len} {:?}", table.blob(blob).bytes),
    }
}

fn settle(zone: &crate::ZoneSource, records: Vec<ParsedRecord>) -> crate::ZoneSource {
    let mut whole = zone.clone();
    whole.records = records;
    whole.serial = 2;
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 500 }))]
    #[test]
    fn layers_change_what_changed_and_nothing_else(
        first in prop::collection::vec((0..121_usize, 0..6_usize, 1..4_u8), 0..14),
        then in prop::collection::vec(
            prop::collection::vec((0..121_usize, 0..6_usize, 0..4_u8), 1..4), 1..8),
    ) {
        let names = universe();
        let mut zone = source();
        // A zone is loaded without duplicates.
        for (name, rtype, value) in BTreeSet::from_iter(first) {
            zone.records.push(record(&names[name], TYPES[rtype], value));
        }
        let mut current = Current::new(&zone);
        // The order in an RRset is of no interest here.
        zone.records = current.records();
        let mut layered = table(&zone);
        let mut layers = 0;
        for changes in then {
            let mut touched: BTreeMap<Name, Vec<ParsedRecord>> = BTreeMap::new();
            for (name, rtype, value) in changes {
                let (name, rtype) = (&names[name], TYPES[rtype]);
                let at = touched
                    .entry(name.clone())
                    .or_insert_with(|| current.at(name).to_vec());
                // 0: the RRset goes.
                at.retain(|record| record.rtype != rtype);
                if value > 0 {
                    at.push(record(name, rtype, value));
                    at.sort_by_key(|record| record.rtype);
                }
            }
            let before = current.clone();
            let step = current.take(touched);
            prop_assert_eq!(current.len(), current.records().len());
            let steps: [Step; 1] = [step];
            let whole = settle(&zone, current.records());
            if before.can_change(&zone.origin, &steps) {
                layered = layered.laid_over(0, layer(&zone, &current, 2));
                layers += 1;
            } else {
                layered = table(&whole);
                current = Current::new(&whole);
            }
            let wanted = table(&whole);
            prop_assert_eq!(layered.zones()[0].records, wanted.zones()[0].records);
            prop_assert_eq!(layered.zones().len(), 1);
            for name in &names {
                for rtype in [RecordType::A, RecordType::DS] {
                    let same_serial = |text: String| text.replace("missing 1 ", "missing 2 ")
                        .replace("at true 1 ", "at true 2 ").replace("at false 1 ", "at false 2 ");
                    let found = same_serial(told(&layered, name, rtype));
                    prop_assert_eq!(found, told(&wanted, name, rtype), "{} after {} layers", name, layers);
                }
            }
        }
    }
}
