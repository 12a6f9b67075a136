//! DNS queries: every answer is a response to its query, within its limit, over UDP and TCP.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use dns::{Answerer, Compiled, Snapshot, Transport};
use healthcheck::{HealthTable, SlotMap};

use super::{Body, outcome};

/// Names of every shape.
const CONFIG: &str = r#"
[dns]
nsid = "fuzz"
version = "fuzz"
hostname = "fuzz"
[[tsig-key]]
name = "k.test"
secret = "c2VjcmV0"
[[zone]]
name = "a.test"
allow-transfer = ["127.0.0.1", { key = "k.test" }]
[[zone.record]]
name = "@"
type = "MX"
values = ["10 mail", "20 other.test."]
[[zone.record]]
name = "mail"
type = "A"
values = ["192.0.2.1", "192.0.2.2"]
[[zone.record]]
name = "*.w"
type = "TXT"
values = ['"wild"']
[[zone.record]]
name = "c"
type = "CNAME"
values = ["d.x.a.test."]
[[zone.record]]
name = "x"
type = "DNAME"
values = ["w"]
[[zone.record]]
name = "sub"
type = "NS"
values = ["ns.sub"]
[[zone.record]]
name = "ns.sub"
type = "A"
values = ["192.0.2.3"]
[[zone.record]]
name = "weighted"
type = "A"
policy = "weighted"
sets = [
  { id = "a", weight = 1, values = ["192.0.2.4"] },
  { id = "b", weight = 3, values = ["192.0.2.5"] },
]
[[zone.record]]
name = "located"
type = "A"
policy = "geolocation"
sets = [
  { id = "de", location = { country = "DE" }, values = ["192.0.2.6"] },
  { id = "else", location = "default", values = ["192.0.2.7"] },
]
[[zone.record]]
name = "sticky"
type = "A"
policy = "multivalue"
sticky = "client-prefix"
ttl-min = 1
ttl-max = 9
sets = [{ id = "a", values = ["192.0.2.8"] }, { id = "b", values = ["192.0.2.9"] }]
[[zone.record]]
name = "dial"
type = "A"
policy = "latency"
all-down = "nodata"
sets = [
  { id = "a", region = "us-east-1", dial = 40, alias = { record = "sticky" } },
  { id = "b", region = "us-west-2", values = ["192.0.2.9"] },
]
[[network]]
name = "office"
cidrs = ["192.0.2.0/24"]
country = "DE"
"#;

/// Who asks: loopback, whose client subnet option is believed.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const NAMES: &[&str] = &[
    "a.test",
    "mail.a.test",
    "q.w.a.test",
    "c.a.test",
    "y.x.a.test",
    "ns.sub.a.test",
    "weighted.a.test",
    "sticky.a.test",
    "dial.a.test",
    "nothing.a.test",
    "elsewhere.test",
    "",
];

pub(super) fn body() -> Body {
    let snapshot = snapshot();
    let mut answerer = Answerer::new(1);
    let mut out = vec![0; 65_535];
    Body {
        name: "dns-query",
        seeds: NAMES
            .iter()
            .flat_map(|name| [query(name, 1), query(name, 255)])
            .collect(),
        words: &[
            b"\xc0\x0c",
            b"\0\0\x29\x04\xd0\0\0\0\0\0\0",
            b"\0\0\x29\xff\xff\0\x01\x80\0\0\x08\0\x08\0\x04\0\x01\0\0",
            b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02",
            b"\x04test\0",
            b"\0\xfc\0\x01",
            b"\0\xfb\0\x01\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x01k\x04test\0\0\xfa\0\xff\0\0\0\0\0\x3a\x0bhmac-sha256\0\0\0\0\0\0\0\x01\x2c\0\x20AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\0\0\0\0",
            b"\x07version\x04bind\0\0\x10\0\x03",
            b"\0\0\x29\x04\xd0\0\0\0\0\0\x14\0\x0a\0\x08ABCDEFGH\0\x03\0\0\0\x0b\0\0",
            b"\0\x0a\0\x18ABCDEFGH\x01\0\0\0\0\0\0\0ABCDEFGH",
            b"\0\0\x29\x04\xd0\0\0\0\0\0\x0b\0\x08\0\x07\0\x01\x18\0\xc0\0\x02",
            b"\0\0\xff\0\x01",
        ],
        run: Box::new(move |input| {
            let outcomes = [(Transport::Udp, 1232), (Transport::Tcp, 65_535)].map(|(how, most)| {
                let room = &mut out[..most];
                let Some(answered) = answerer.answer(&snapshot, input, CLIENT, how, room) else {
                    return 0;
                };
                let response = &room[..answered.len];
                assert!(
                    answered.len >= 12 && response[..2] == input[..2],
                    "the query's id"
                );
                assert_eq!(response[2] & 0x80, 0x80, "a response");
                let edns = input.len() > 11 && input[10..12] != [0, 0];
                assert!(
                    how == Transport::Tcp || edns || answered.len <= 512,
                    "512 without EDNS"
                );
                outcome((
                    response[2],
                    response[3],
                    response[7],
                    response[9],
                    response[11],
                ))
            });
            outcome(outcomes)
        }),
    }
}

fn query(name: &str, qtype: u8) -> Vec<u8> {
    let mut packet = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(u8::try_from(label.len()).unwrap_or(63));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, qtype, 0, 1]);
    packet.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    packet
}

fn snapshot() -> Snapshot {
    let mut loaded = conf::load_text(Path::new("fuzz.toml"), CONFIG);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let (zones, problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
    let bad = problems.iter().any(|p| p.severity == conf::Severity::Error);
    assert!(!bad, "{problems:?}");
    let slots = SlotMap::new(1);
    Compiled::new(&loaded.config, &zones, 1, &slots).snapshot(&HealthTable::default(), false)
}
