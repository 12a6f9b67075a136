//! Route 53's rules for private zones, and the ways out of them.

use std::net::IpAddr;

use hickory_proto::op::Message;

use crate::testing::{Scene, query, query_subnet, subnet, text};
use crate::{Answerer, Snapshot, Transport};

const CONFIG: &str = r#"
[dns]
ecs = ["0.0.0.0/0"]
[[network]]
name = "office"
cidrs = ["10.1.0.0/16", "2001:db8:1::/48"]
country = "DE"
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
values = ["192.0.2.1"]
[[zone.record]]
name = "*.accounting"
type = "A"
values = ["192.0.2.2"]
[[zone]]
id = "office"
name = "example.test"
networks = ["office"]
[[zone.record]]
name = "www"
type = "A"
values = ["10.1.0.1"]
[[zone.record]]
name = "*"
type = "A"
values = ["10.1.0.2"]
[[zone.record]]
name = "near"
type = "A"
policy = "geolocation"
sets = [
  { id = "de", location = { country = "DE" }, values = ["10.1.0.3"] },
  { id = "us", location = { country = "US" }, values = ["10.1.0.4"] },
]
[[zone]]
id = "office-accounting"
name = "accounting.example.test"
networks = ["office"]
[[zone.record]]
name = "db"
type = "A"
values = ["10.1.0.5"]
[[zone]]
id = "parent"
name = "parent.example.test"
networks = ["10.1.0.0/16"]
fallthrough = "parent"
[[zone.record]]
name = "own"
type = "A"
values = ["10.1.0.6"]
[[zone]]
id = "public"
name = "public.example.test"
networks = ["10.1.0.0/16"]
fallthrough = "public"
[[zone.record]]
name = "own"
type = "TXT"
values = ['"private"']
[[zone]]
name = "public.example.test"
id = "public-of-all"
[[zone.record]]
name = "own"
type = "A"
values = ["192.0.2.7"]
[[zone]]
id = "desk"
name = "example.test"
networks = ["10.1.2.0/24"]
[[zone.record]]
name = "www"
type = "A"
values = ["10.1.2.1"]
"#;

fn ask(snapshot: &Snapshot, source: &str, packet: &[u8]) -> String {
    let mut out = [0; 1232];
    let source: IpAddr = source.parse().unwrap();
    let answered = Answerer::new(1)
        .answer(snapshot, packet, source, Transport::Udp, &mut out)
        .unwrap();
    let line = text(&Message::from_vec(&out[..answered.len]).unwrap());
    // Which zone said no is told by its SOA's owner; its serial is the time.
    match line.split_once(" | authority: ") {
        Some((answer, soa)) => format!("{answer} by {}", soa.split(' ').next().unwrap()),
        None => line,
    }
}

#[test]
fn the_most_specific_zone_answers_and_its_no_is_final() {
    let snapshot = Scene::new(CONFIG).snapshot();
    let cases = [
        (
            "198.51.100.1",
            "www.example.test.",
            "NOERROR aa | www.example.test. 10 IN A 192.0.2.1",
        ),
        (
            "10.1.0.9",
            "www.example.test.",
            "NOERROR aa | www.example.test. 10 IN A 10.1.0.1",
        ),
        (
            "2001:db8:1::9",
            "www.example.test.",
            "NOERROR aa | www.example.test. 10 IN A 10.1.0.1",
        ),
        (
            "::ffff:10.1.0.9",
            "www.example.test.",
            "NOERROR aa | www.example.test. 10 IN A 10.1.0.1",
        ),
        // Two zones of one name: the longer network's.
        (
            "10.1.2.9",
            "www.example.test.",
            "NOERROR aa | www.example.test. 10 IN A 10.1.2.1",
        ),
        (
            "10.1.2.9",
            "other.example.test.",
            "NXDOMAIN aa by example.test.",
        ),
        (
            "10.1.0.9",
            "x.accounting.example.test.",
            "NXDOMAIN aa by accounting.example.test.",
        ),
        (
            "10.1.0.9",
            "db.accounting.example.test.",
            "NOERROR aa | db.accounting.example.test. 10 IN A 10.1.0.5",
        ),
        (
            "198.51.100.1",
            "x.accounting.example.test.",
            "NOERROR aa | x.accounting.example.test. 10 IN A 192.0.2.2",
        ),
        ("10.1.0.9", "unrelated.test.", "REFUSED"),
        // Out of them: to the zone around, and to the public ones.
        (
            "10.1.0.9",
            "own.parent.example.test.",
            "NOERROR aa | own.parent.example.test. 10 IN A 10.1.0.6",
        ),
        (
            "10.1.0.9",
            "x.parent.example.test.",
            "NOERROR aa | x.parent.example.test. 10 IN A 10.1.0.2",
        ),
        (
            "10.1.0.9",
            "own.public.example.test.",
            "NOERROR aa | own.public.example.test. 10 IN A 192.0.2.7",
        ),
        (
            "10.1.0.9",
            "x.public.example.test.",
            "NXDOMAIN aa by public.example.test.",
        ),
    ];
    for (source, name, expected) in cases {
        assert_eq!(
            ask(&snapshot, source, &query(name, "A")),
            expected,
            "{name} from {source}"
        );
    }
}

#[test]
fn the_client_subnet_neither_opens_a_zone_nor_routes_in_one() {
    let snapshot = Scene::new(CONFIG).snapshot();
    let in_office = subnet("10.1.0.0/16".parse().unwrap());
    let packet = query_subnet("www.example.test.", "A", &in_office);
    let said = ask(&snapshot, "198.51.100.1", &packet);
    assert_eq!(said, "NOERROR aa | www.example.test. 10 IN A 192.0.2.1");
    let elsewhere = subnet("198.51.100.0/24".parse().unwrap());
    let packet = query_subnet("near.example.test.", "A", &elsewhere);
    let said = ask(&snapshot, "10.1.0.9", &packet);
    assert_eq!(said, "NOERROR aa | near.example.test. 10 IN A 10.1.0.3");
}
