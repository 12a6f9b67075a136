//! Updates of a zone (RFC 2136): read and carried out. Whatever comes, nothing panics, and what is
//! carried out leads to a zone that could be loaded, the same by the records and by the changes.

use std::path::Path;

use super::{Body, outcome};

const ZONE: &str = r#"
[[zone]]
name = "a.test"
[[zone.record]]
name = "www"
type = "A"
values = ["192.0.2.1", "192.0.2.2"]
[[zone.record]]
name = "c"
type = "CNAME"
values = ["www"]
[[zone.record]]
name = "r"
type = "A"
policy = "weighted"
sets = [{ id = "a", weight = 1, values = ["192.0.2.9"] }]
"#;

pub(super) fn body() -> Body {
    let mut loaded = conf::load_text(Path::new("fuzz.toml"), ZONE);
    let (zones, _) = dns::load_zones(&loaded.config, &mut loaded.sources);
    let zone = zones.zones.into_iter().next();
    let www = &b"\x03www\xc0\x0c"[..];
    let apex = &b"\xc0\x0c"[..];
    let cname = &b"\x01c\xc0\x0c"[..];
    Body {
        name: "update",
        seeds: vec![
            message(&[], &[(www, 1, 1, 60, &[192, 0, 2, 3])]),
            message(
                &[(www, 255, 255, 0, &[])],
                &[(www, 1, 254, 0, &[192, 0, 2, 1])],
            ),
            message(&[(www, 28, 254, 0, &[])], &[(www, 255, 255, 0, &[])]),
            message(
                &[],
                &[
                    (cname, 5, 1, 9, &[0xc0, 12]),
                    (apex, 2, 1, 9, &[1, b'n', 0xc0, 12]),
                ],
            ),
            message(
                &[],
                &[(
                    apex,
                    6,
                    1,
                    9,
                    b"\0\0\x7f\xff\xff\xff\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01",
                )],
            ),
        ],
        words: &[
            b"\xc0\x0c",
            b"\x03www\xc0\x0c",
            b"\x01r\xc0\x0c",
            b"\x01c\xc0\x0c",
            b"\0\x05\0\x01",
            b"\0\xff\0\xff\0\0\0\0\0\0",
            b"\0\x01\0\xfe\0\0\0\0\0\x04",
        ],
        run: Box::new(move |input| {
            outcome(zone.as_ref().map(|zone| dns::read_update(zone, input)))
        }),
    }
}

type Entry<'e> = (&'e [u8], u16, u16, u32, &'e [u8]);

fn message(prerequisites: &[Entry<'_>], updates: &[Entry<'_>]) -> Vec<u8> {
    let counts = [prerequisites.len() as u16, updates.len() as u16];
    let mut message = Vec::new();
    for word in [7, 5 << 11, 1, counts[0], counts[1], 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(b"\x01a\x04test\0\0\x06\0\x01");
    for (owner, rtype, class, ttl, data) in prerequisites.iter().chain(updates) {
        message.extend(*owner);
        message.extend(rtype.to_be_bytes());
        message.extend(class.to_be_bytes());
        message.extend(ttl.to_be_bytes());
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(*data);
    }
    message
}
