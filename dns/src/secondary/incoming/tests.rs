//! What our own sender gives is read back as it was; what a primary must not send is refused.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use conf::KeyIdx;
use proptest::prelude::*;

use super::*;
use crate::secondary::copy::ZoneCopy;
use crate::testing::Scene;
use crate::transfer::{Begin, Outgoing, begin};
use crate::wire::Transport;

const NOW: u32 = 1_700_000_000;
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEY: &str = "[[tsig-key]]\nname = \"k.test\"\nsecret = \"c2VjcmV0\"\n";

fn zone(serial: u32, hosts: u32) -> String {
    let host = |n: u32| {
        format!("[[zone.record]]\nname = \"h{n}\"\ntype = \"A\"\nvalues = [\"192.0.2.{n}\"]\n")
    };
    let hosts: String = (0..hosts).map(host).collect();
    format!(
        "{KEY}[[zone]]\nname = \"a.test\"\nserial = {serial}\nallow-transfer = [\"127.0.0.1\"]\n\
         [[zone.record]]\nname = \"mx\"\ntype = \"MX\"\nvalues = [\"5 h0.a.test.\"]\n{hosts}"
    )
}

fn outgoing(text: &str, before: &Outgoing) -> Arc<Outgoing> {
    let scene = Scene::new(text);
    let mut zones = scene.zones.clone();
    Arc::new(Outgoing::new(&scene.config, &mut zones, before, 1))
}

fn origin() -> Name {
    Name::parse("a.test.", None).unwrap()
}

/// The messages that answer a question, and what checks them.
fn ask(outgoing: &Arc<Outgoing>, ask: Ask, have: Option<&ZoneCopy>) -> (Vec<Vec<u8>>, Signer) {
    let mut request = question(&origin(), ask, 7, have.and_then(ZoneCopy::soa));
    let signer = outgoing.keys.sign_request(KeyIdx(0), &mut request, NOW);
    let begun = begin(outgoing, &request, SOURCE, Transport::Tcp, NOW).unwrap();
    let messages = match begun {
        Begin::Reply(message) => vec![message],
        Begin::Stream(mut stream) => std::iter::from_fn(|| stream.next(NOW)).collect(),
    };
    (messages, signer)
}

fn take(
    outgoing: &Arc<Outgoing>,
    asked: Ask,
    messages: &[Vec<u8>],
    signer: Option<&Signer>,
) -> Result<Option<Received>, Fault> {
    let limits = Limits::DEFAULT;
    let mut incoming = Incoming::new(&origin(), (asked, 7), &outgoing.keys, signer, limits)?;
    for message in messages {
        if let Some(received) = incoming.take(message, NOW)? {
            return Ok(Some(received));
        }
    }
    Ok(None)
}

fn whole(outgoing: &Arc<Outgoing>) -> ZoneCopy {
    let (messages, signer) = ask(outgoing, Ask::Whole, None);
    let received = take(outgoing, Ask::Whole, &messages, Some(&signer)).unwrap();
    let Some(Received::Whole(records)) = received else {
        panic!("not whole: {received:?}");
    };
    ZoneCopy::whole(&origin(), records).unwrap()
}

#[test]
fn a_zone_of_many_messages_comes_whole_or_not_at_all() {
    let primary = outgoing(&zone(5, 250), &Outgoing::default());
    let copy = whole(&primary);
    assert_eq!(copy.serial, 5);
    // SOA, NS, MX and the hosts; the generated name server has no address to give.
    assert!(copy.records.len() >= 253, "{}", copy.records.len());
    let (messages, signer) = ask(&primary, Ask::Whole, None);
    let cut = take(
        &primary,
        Ask::Whole,
        &messages[..messages.len() - 1],
        Some(&signer),
    );
    if messages.len() > 1 {
        assert_eq!(cut, Ok(None));
    }
    let unsigned = take(&primary, Ask::Whole, &messages, None).unwrap();
    assert!(
        matches!(unsigned, Some(Received::Whole(_))),
        "who asks for no key checks none"
    );
    let genuine = take(&primary, Ask::Whole, &messages, Some(&signer)).unwrap();
    for bit in (0..messages[0].len() * 8).step_by(131) {
        let mut forged = messages.clone();
        forged[0][bit / 8] ^= 1 << (bit % 8);
        if let Ok(taken) = take(&primary, Ask::Whole, &forged, Some(&signer)) {
            // Case is not signed (RFC 8945 section 4.3.3).
            assert!(taken == genuine, "bit {bit}");
            assert!(forged[0].eq_ignore_ascii_case(&messages[0]), "bit {bit}");
        }
    }
}

#[test]
fn changes_lead_to_what_the_primary_has() {
    let mut primary = outgoing(&zone(5, 3), &Outgoing::default());
    let first = whole(&primary);
    for (serial, hosts) in [(6, 8), (7, 2), (8, 2), (9, 200)] {
        primary = outgoing(&zone(serial, hosts), &primary);
    }
    let (messages, signer) = ask(&primary, Ask::Changes(5), Some(&first));
    let received = take(&primary, Ask::Changes(5), &messages, Some(&signer)).unwrap();
    let Some(Received::Changes(changes)) = received else {
        panic!("no changes: {received:?}");
    };
    assert_eq!(changes.len(), 4);
    let sorted = |copy: &ZoneCopy| {
        let mut lines: Vec<String> = copy
            .records
            .iter()
            .map(|r| format!("{} {} {} {:?}", r.owner, r.ttl, r.rtype, r.rdata))
            .collect();
        lines.sort();
        lines
    };
    let changed = first.changed(&changes).unwrap();
    assert_eq!(sorted(&changed), sorted(&whole(&primary)));
    // Changes of another zone than ours.
    let fault = first.changed(&changes[1..]).unwrap_err();
    assert!(fault.to_string().contains("is not there"), "{fault}");
    // With nothing newer there is one record.
    let (messages, signer) = ask(&primary, Ask::Changes(9), Some(&changed));
    let received = take(&primary, Ask::Changes(9), &messages, Some(&signer));
    assert_eq!(received, Ok(Some(Received::Serial(9))));
}

/// An answer with these records in the wire form of the test: owner, type, data.
fn answer(qtype: u16, records: &[(&str, u16, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for word in [7_u16, 0x8400, 1, records.len() as u16, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(origin().as_wire());
    message.extend([qtype.to_be_bytes(), [0, 1]].concat());
    for (owner, rtype, data) in records {
        message.extend(Name::parse(owner, None).unwrap().as_wire());
        message.extend(rtype.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 9]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(*data);
    }
    message
}

fn soa(serial: u32) -> Vec<u8> {
    let mut data = vec![0, 0];
    for number in [serial, 2, 3, 4, 5] {
        data.extend(number.to_be_bytes());
    }
    data
}

#[test]
fn what_a_primary_must_not_send_is_refused() {
    let (five, six) = (soa(5), soa(6));
    let (apex, www) = ("a.test.", "www.a.test.");
    let a = (www, 1, &[1, 2, 3, 4][..]);
    let s5 = (apex, 6, &five[..]);
    let s6 = (apex, 6, &six[..]);
    for (what, records) in [
        ("does not begin with the zone's SOA", vec![a, s5]),
        ("does not begin with the zone's SOA", vec![]),
        ("do not follow each other", vec![s5, a, s6]),
        ("do not follow each other", vec![s5, a, s5, a]),
        ("do not follow each other", vec![s5, s6]),
        (
            "is not in the zone",
            vec![s5, ("www.b.test.", 1, &[1, 2, 3, 4]), s5],
        ),
        (
            "data that are not of its type",
            vec![s5, (www, 1, &[1, 2, 3]), s5],
        ),
        (
            "data that are not of its type",
            vec![s5, (www, 2, &[0xc0, 0xff]), s5],
        ),
        ("is not at the zone's apex", vec![s5, (www, 6, &five), s5]),
        ("never kept", vec![s5, (www, 255, &[]), s5]),
    ] {
        let keys = Arc::new(Outgoing::default());
        let taken = take(&keys, Ask::Whole, &[answer(252, &records)], None);
        let said = taken.map_err(|fault| fault.to_string());
        assert!(
            said.as_ref().is_err_and(|said| said.contains(what)),
            "{what}: {said:?}"
        );
    }
    let keys = Arc::new(Outgoing::default());
    let good = answer(252, &[s5, a, s5]);
    assert!(matches!(
        take(&keys, Ask::Whole, std::slice::from_ref(&good), None),
        Ok(Some(Received::Whole(_)))
    ));
    let mut refused = good.clone();
    refused[3] |= 5;
    let fault = take(&keys, Ask::Whole, &[refused], None).unwrap_err();
    assert_eq!(fault, Fault::Rcode("REFUSED"));
    let mut other = good.clone();
    other[1] = 8;
    assert_eq!(take(&keys, Ask::Whole, &[other], None), Err(Fault::Unasked));
    assert_eq!(
        take(&keys, Ask::Soa, std::slice::from_ref(&good), None),
        Err(Fault::Unasked)
    );
    let small = Limits {
        bytes: good.len() - 1,
        records: 9,
    };
    let few = Limits {
        bytes: 9999,
        records: 2,
    };
    for limits in [small, few] {
        let mut incoming =
            Incoming::new(&origin(), (Ask::Whole, 7), &keys.keys, None, limits).unwrap();
        assert!(matches!(incoming.take(&good, NOW), Err(Fault::TooLarge(_))));
    }
    // Changes that do not lead from ours to the primary's.
    let seven = soa(7);
    let s7 = (apex, 6, &seven[..]);
    for records in [
        vec![s7, s6, a, s7, s7],
        vec![s7, s5, a, s6, a, s7],
        vec![s7, s5, s6, a, s5],
    ] {
        let taken = take(&keys, Ask::Changes(5), &[answer(251, &records)], None);
        assert_eq!(taken, Err(Fault::Disorder), "{records:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        mut message in prop::collection::vec(any::<u8>(), 0..300),
        flags in any::<bool>(),
    ) {
        if flags && message.len() > 12 {
            let good = answer(252, &[("a.test.", 6, &soa(5))]);
            message.splice(..12, good[..12].iter().copied());
        }
        let keys = Arc::new(Outgoing::default());
        for asked in [Ask::Soa, Ask::Whole, Ask::Changes(5)] {
            let _ = take(&keys, asked, std::slice::from_ref(&message), None);
        }
    }
}
