//! Any bytes in: no panic, and what comes out is a response within its limit, the same in a batch as
//! alone.

use std::cell::RefCell;

use hickory_proto::op::{Message, MessageType};
use proptest::prelude::*;

use crate::testing::{SOURCE, Scene, query, query_edns};
use crate::{Answerer, Snapshot, Transport};

const ZONE: &str = "
@ 900 IN SOA ns1 hostmaster 7 3600 600 86400 60
@ 3600 NS ns1
ns1 3600 A 192.0.2.53
* 30 CNAME www
www 30 A 192.0.2.1
www 30 A 192.0.2.2
sub 40 NS ns.sub
ns.sub 40 A 192.0.2.5
old 50 DNAME old.old
big 30 TXT aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";

thread_local! {
    static SNAPSHOT: RefCell<Option<Snapshot>> = const { RefCell::new(None) };
}

fn with_snapshot<T>(check: impl FnOnce(&Snapshot) -> T) -> T {
    SNAPSHOT.with_borrow_mut(|snapshot| {
        let made = || Scene::of_zones(&[("example.test.", ZONE)]).snapshot();
        check(snapshot.get_or_insert_with(made))
    })
}

/// Checks one packet over both transports.
fn check(packet: &[u8]) {
    with_snapshot(|snapshot| {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut out = vec![0; 65_535];
            let answered = Answerer::new(5).answer(snapshot, packet, SOURCE, transport, &mut out);
            let Some(answered) = answered else { continue };
            let message = Message::from_vec(&out[..answered.len]).unwrap();
            assert_eq!(message.metadata.message_type, MessageType::Response);
            assert_eq!(message.metadata.id.to_be_bytes(), packet[..2]);
            let limit = match (transport, &message.edns) {
                (Transport::Tcp, _) => 65_535,
                (Transport::Udp, None) => 512,
                (Transport::Udp, Some(_)) => 1232,
            };
            assert!(answered.len <= limit, "{} bytes", answered.len);
        }
    });
}

/// Checks that batches are answered as their packets are one by one, by an answerer that remembers the
/// batch before.
fn check_batches(batches: &[Vec<Vec<u8>>]) {
    with_snapshot(|snapshot| {
        let (mut ahead, mut alone) = (Answerer::new(5), Answerer::new(5));
        for batch in batches {
            ahead.foresee(snapshot, |see| {
                // One that came alone is not looked at.
                for (place, packet) in batch.iter().enumerate().filter(|_| batch.len() > 1) {
                    see(place, packet);
                }
            });
            for (place, packet) in batch.iter().enumerate() {
                let (mut out, mut expected) = (vec![0; 1232], vec![0; 1232]);
                let got = ahead.answer_foreseen(place, snapshot, packet, SOURCE, &mut out);
                let udp = Transport::Udp;
                let wanted = alone.answer(snapshot, packet, SOURCE, udp, &mut expected);
                assert_eq!(got.map(|got| got.len), wanted.map(|wanted| wanted.len));
                assert_eq!(out, expected, "at {place} of {batch:?}");
            }
        }
    });
}

/// Well-formed queries for names that lead into every corner of the zone.
fn queries() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "example.test.",
        "www.example.test.",
        "x.y.example.test.",
        "a.sub.example.test.",
        "a.old.example.test.",
        "a.old.old.example.test.",
        "big.example.test.",
        "example.org.",
        ".",
    ]);
    let rtype = prop::sample::select(vec!["A", "NS", "SOA", "ANY", "CNAME", "DS", "TXT", "OPT"]);
    (name, rtype, any::<Option<u16>>()).prop_map(|(name, rtype, size)| match size {
        Some(size) => query_edns(name, rtype, size),
        None => query(name, rtype),
    })
}

/// Queries as they are, with a byte changed, or cut.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let change = any::<(prop::sample::Index, u8)>();
    let cut = any::<prop::sample::Index>();
    let part = (
        queries(),
        prop::option::weighted(0.2, change),
        prop::option::weighted(0.1, cut),
    );
    part.prop_map(|(mut packet, change, cut)| {
        if let Some((place, byte)) = change {
            let place = place.index(packet.len());
            packet[place] = byte;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        packet
    })
}

proptest! {
    #[test]
    fn batches_are_answered_as_packets_alone_are(
        batches in prop::collection::vec(prop::collection::vec(packets(), 1..40), 1..4),
    ) {
        check_batches(&batches);
    }

    #[test]
    fn arbitrary_bytes(packet in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&packet);
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_header(rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        packet.extend(rest);
        check(&packet);
    }

    #[test]
    fn queries_with_bytes_changed(
        mut packet in queries(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        for (place, byte) in changes {
            let place = place.index(packet.len());
            packet[place] = byte;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        check(&packet);
    }
}
