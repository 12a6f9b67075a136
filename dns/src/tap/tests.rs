//! Rings, lines and times; frames are read by real readers in the tests of the binary.

use super::*;
use crate::testing::{Scene, query, query_subnet, subnet};
use crate::{Answerer, Snapshot};

fn answered(snapshot: &Snapshot, packet: &[u8]) -> Vec<u8> {
    let mut out = [0; 1232];
    let source = "192.0.2.9".parse().unwrap();
    let answered = Answerer::new(1)
        .answer(snapshot, packet, source, Transport::Udp, &mut out)
        .unwrap();
    out[..answered.len].to_vec()
}

#[test]
fn lines_are_route_53s_or_json() {
    let scene = Scene::new(
        "[dns]\necs = [\"0.0.0.0/0\"]\n[[zone]]\nid = \"Z1\"\nname = \"example.test\"\n\
         [[zone.record]]\nname = \"www\"\ntype = \"A\"\nvalues = [\"192.0.2.1\"]\n",
    );
    let snapshot = scene.snapshot();
    let line = |packet: &[u8], format| {
        let answer = answered(&snapshot, packet);
        let recorded = Recorded {
            unix: 1_513_152_950_235_000,
            kind: Kind::Answered,
            transport: Transport::Tcp,
            source: "192.0.2.9".parse().unwrap(),
            query: packet,
            answer: &answer,
        };
        let mut out = String::new();
        text::line(&mut out, &recorded, format, "edge", &snapshot);
        out
    };
    let network = subnet("198.51.100.0/24".parse().unwrap());
    let asked = query_subnet("WWW.example.test.", "A", &network);
    assert_eq!(
        line(&asked, conf::QueryLogFormat::Route53),
        "1.0 2017-12-13T08:15:50.235Z Z1 WWW.example.test A NOERROR TCP edge 192.0.2.9 198.51.100.0/24\n"
    );
    let missing = query("x\\\" y.example.test.", "AAAA");
    let json = line(&missing, conf::QueryLogFormat::Json);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["name"], "x\\\"\\032y.example.test");
    assert_eq!(
        (&json["rcode"], &json["client_subnet"]),
        (&"NXDOMAIN".into(), &().into())
    );
    let elsewhere = line(&query("a.", "NS"), conf::QueryLogFormat::Route53);
    assert!(
        elsewhere.contains(" - a NS REFUSED TCP edge 192.0.2.9 -"),
        "{elsewhere}"
    );
}

#[test]
fn days_are_counted_as_the_calendar_does() {
    for (seconds, date) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399, "2000-02-28T23:59:59.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (1_735_689_599, "2024-12-31T23:59:59.000Z"),
    ] {
        assert_eq!(text::time(seconds * 1_000_000), date);
    }
}

#[test]
fn a_full_ring_drops_and_counts_and_samples_are_every_so_many() {
    let (hub, (commands, _)) = hub();
    let hub = Arc::new(hub);
    let mut tap = Tap::new(hub.clone());
    let source = "::1".parse().unwrap();
    let query = Query {
        kind: Kind::Forwarded,
        packet: &[1; 100],
        source,
        transport: Transport::Udp,
    };
    let record = |tap: &mut Tap| tap.record(query, &[2; 1000], 5);
    record(&mut tap);
    assert!(commands.try_recv().is_err(), "nothing is on");
    hub.set_sample(10);
    (0..100).for_each(|_| record(&mut tap));
    let Ok(Command::Ring(mut ring)) = commands.try_recv() else {
        panic!("no ring");
    };
    let size = HEAD + 1100;
    assert_eq!(ring.slots(), 10 * size);
    let bytes = ring.read_chunk(size).unwrap();
    let first = [bytes.as_slices().0, bytes.as_slices().1].concat();
    let (recorded, rest) = Recorded::split(&first).unwrap();
    assert_eq!((recorded.source, recorded.unix, rest.len()), (source, 5, 0));
    assert_eq!(
        (recorded.kind, recorded.transport),
        (Kind::Forwarded, Transport::Udp)
    );
    assert_eq!(
        (recorded.query, recorded.answer),
        (&[1; 100][..], &[2; 1000][..])
    );
    bytes.commit_all();
    hub.set_sample(1);
    (0..1000).for_each(|_| record(&mut tap));
    let fit = RING / size - 9;
    assert_eq!(hub.dropped(), 1000 - fit as u64);
}
