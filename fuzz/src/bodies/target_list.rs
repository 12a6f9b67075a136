//! `targets-file`: lines or JSON that another program writes.

use conf::{Target, TargetList};

use super::{Body, outcome, seeds};

/// Whatever is accepted can be connected to and is listed once.
pub(super) fn body() -> Body {
    Body {
        name: "target-list",
        seeds: seeds(&[
            "127.0.0.1:80 weight=5 backup # one\n[::1]:80\napp.test:81 availability-zone=a\n",
            r#"["127.0.0.1:80", {"address": "a.test:1", "weight": 2}, {"srv": "_a._tcp.b.test"}]"#,
            r#"[{"targets": ["127.0.0.1:80"], "labels": {"weight": "3", "job": "x"}}]"#,
        ]),
        words: &[
            b"127.0.0.1:",
            b"[::ffff:",
            b"weight",
            b"=",
            b"backup",
            b"\"srv\":",
            b"_a._tcp.",
            b"\"targets\":",
            b"\"labels\":",
            b"{}",
            b"[",
            b"]",
            b"\n",
            b"0",
            b"65536",
            b"unix:/",
            b"unix:@",
        ],
        run: Box::new(run),
    }
}

fn run(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let Ok(list) = TargetList::parse(&text) else {
        return outcome(0);
    };
    let mut addresses: Vec<_> = list.targets.iter().map(|target| target.address).collect();
    for target in &list.targets {
        assert_eq!(Target::unusable(target.address), None);
        assert!(target.weight <= 1000);
    }
    addresses.sort();
    let count = addresses.len();
    addresses.dedup();
    assert_eq!(addresses.len(), count, "listed twice");
    outcome((count, list.names.len()))
}
