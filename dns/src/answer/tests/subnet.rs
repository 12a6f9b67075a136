//! Client subnet options (RFC 7871): who is believed, what comes back, what is refused.

use std::net::IpAddr;

use hickory_proto::op::Message;

use crate::testing::{SOURCE, Scene, query, query_edns, query_subnet, subnet, subnet_of};
use crate::{Answerer, Snapshot, Transport};

const CONFIG: &str = r#"
[[network]]
name = "france"
cidrs = ["198.20.0.0/16"]
country = "FR"
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
policy = "geolocation"
sets = [
  { id = "fr", location = { country = "FR" }, values = ["192.0.2.1"] },
  { id = "all", location = "default", values = ["192.0.2.2"] },
]
[[zone.record]]
name = "plain"
type = "A"
values = ["192.0.2.3"]
"#;

fn respond(snapshot: &Snapshot, packet: &[u8], source: IpAddr, transport: Transport) -> Vec<u8> {
    let mut out = vec![0; 65_535];
    let answered = Answerer::new(3).answer(snapshot, packet, source, transport, &mut out);
    out.truncate(answered.unwrap().len);
    out
}

fn first(response: &[u8]) -> String {
    let message = Message::from_vec(response).unwrap();
    message.answers[0].data.to_string()
}

fn french() -> Vec<u8> {
    subnet("198.20.1.0/24".parse().unwrap())
}

#[test]
fn believed_senders_speak_for_their_clients_over_both_transports() {
    let snapshot = Scene::new(CONFIG).snapshot();
    let packet = query_subnet("www.example.test.", "A", &french());
    for transport in [Transport::Udp, Transport::Tcp] {
        for believed in [
            "127.0.0.1",
            "::1",
            "10.9.8.7",
            "fd00::1",
            "::ffff:127.0.0.1",
        ] {
            let response = respond(&snapshot, &packet, believed.parse().unwrap(), transport);
            assert_eq!(first(&response), "192.0.2.1", "{believed}");
            let echoed = subnet_of(&response).unwrap();
            assert_eq!(echoed, [0, 1, 24, 16, 198, 20, 1], "{believed}");
        }
        for stranger in ["203.0.113.1", "2001:db8::1"] {
            let response = respond(&snapshot, &packet, stranger.parse().unwrap(), transport);
            assert_eq!(first(&response), "192.0.2.2", "{stranger}");
            assert_eq!(subnet_of(&response), None, "{stranger}");
        }
    }
}

#[test]
fn the_file_says_who_is_believed() {
    for (ecs, believed) in [("[]", false), ("false", false), ("[\"127.0.0.0/8\"]", true)] {
        let snapshot = Scene::new(&format!("[dns]\necs = {ecs}\n{CONFIG}")).snapshot();
        let packet = query_subnet("www.example.test.", "A", &french());
        let response = respond(&snapshot, &packet, SOURCE, Transport::Udp);
        assert_eq!(subnet_of(&response).is_some(), believed, "{ecs}");
    }
}

#[test]
fn nobody_gets_an_option_who_did_not_send_one() {
    let snapshot = Scene::new(CONFIG).snapshot();
    let inside: IpAddr = "198.20.7.7".parse().unwrap();
    for packet in [
        query("www.example.test.", "A"),
        query_edns("www.example.test.", "A", 1232),
    ] {
        let response = respond(&snapshot, &packet, inside, Transport::Udp);
        assert_eq!(first(&response), "192.0.2.1");
        assert_eq!(subnet_of(&response), None);
    }
}

#[test]
fn what_does_not_depend_on_the_client_is_for_all() {
    let snapshot = Scene::new(CONFIG).snapshot();
    let questions = [
        ("plain.example.test.", "A"),
        ("www.example.test.", "AAAA"),
        ("none.example.test.", "A"),
        ("example.test.", "SOA"),
        ("example.test.", "NS"),
        ("elsewhere.test.", "A"),
    ];
    for (name, rtype) in questions {
        let packet = query_subnet(name, rtype, &french());
        let response = respond(&snapshot, &packet, SOURCE, Transport::Udp);
        let at = response
            .windows(11)
            .position(|bytes| bytes == [0, 8, 0, 7, 0, 1, 24, 0, 198, 20, 1]);
        assert!(at.is_some(), "{name} {rtype}");
    }
}

#[test]
fn a_client_that_wants_no_special_treatment_gets_none() {
    let snapshot = Scene::new(CONFIG).snapshot();
    for data in [[0, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]] {
        let packet = query_subnet("www.example.test.", "A", &data);
        let response = respond(&snapshot, &packet, SOURCE, Transport::Udp);
        // By bytes: the test's parser knows no family 0.
        let rdata = [0, 4, 192, 0, 2, 2];
        assert!(response.windows(rdata.len()).any(|bytes| bytes == rdata));
        assert_eq!(
            response[response.len() - 8..],
            [[0, 8, 0, 4], data].concat()
        );
    }
}

#[test]
fn malformed_options_are_refused() {
    let snapshot = Scene::new(CONFIG).snapshot();
    let bad: [&[u8]; 6] = [
        &[],
        &[0, 3, 24, 0, 198, 20, 1],
        &[0, 1, 24, 1, 198, 20, 1],
        &[0, 1, 24, 0, 198, 20],
        &[0, 1, 23, 0, 198, 20, 1],
        &[0, 1, 33, 0, 198, 20, 1, 1, 0],
    ];
    let mut twice = query_subnet("www.example.test.", "A", &french());
    let option = [&[0, 8, 0, 7][..], &french()].concat();
    let length_at = twice.len() - option.len() - 1;
    twice[length_at] *= 2;
    twice.extend(option);
    let packets = bad.map(|data| query_subnet("www.example.test.", "A", data));
    for packet in packets.iter().chain([&twice]) {
        for source in [SOURCE, "203.0.113.1".parse().unwrap()] {
            let response = respond(&snapshot, packet, source, Transport::Udp);
            assert_eq!(response[3] & 0xf, 1, "{packet:?}");
        }
    }
}

#[test]
fn the_option_has_its_room_kept() {
    let values: Vec<String> = (0..30).map(|last| format!("\"192.0.2.{last}\"")).collect();
    let many = |count: usize| {
        let zone = format!(
            "[[zone]]\nname = \"t\"\n[[zone.record]]\nname = \"@\"\ntype = \"A\"\nvalues = [{}]\n",
            values[..count].join(", ")
        );
        let snapshot = Scene::new(&zone).snapshot();
        let mut packet = query_subnet("t.", "A", &french());
        // 512 bytes: header, question, OPT and the option leave room for 29 records of 16 bytes;
        // without the option there would be room for 30.
        let size_at = 12 + 7 + 3;
        packet[size_at..size_at + 2].copy_from_slice(&512u16.to_be_bytes());
        respond(&snapshot, &packet, SOURCE, Transport::Udp)
    };
    let (fits, cut) = (many(29), many(30));
    assert!(fits.len() <= 512 && cut.len() <= 512);
    assert_eq!((fits[2] & 2, cut[2] & 2), (0, 2));
    assert!(subnet_of(&fits).is_some() && subnet_of(&cut).is_some());
}
