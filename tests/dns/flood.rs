//! A flood in a victim's name: the victim gets no more than the forger spent.
//!
//! Runs in a network namespace, where any address may be used; skipped where none can be made.

use std::process::Output;

use crate::harness::{Folder, eventually};
use crate::namespace::Namespace;

/// Sends queries from the victim's address as fast as it can, at least until a hundred answers were
/// truncated, and counts: bytes sent, whole answers, truncated ones, their bytes, seconds. The name is
/// one with a large answer, its case changed each time as an attacker would.
const FLOOD: &str = r#"
import random, select, socket, time
victim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
victim.bind(("198.51.100.7", 0))
victim.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
number = sent = whole = truncated = small = 0
begun = time.monotonic()
def take(wait):
    global whole, truncated, small
    while select.select([victim], [], [], wait)[0]:
        answer = victim.recv(4096)
        if answer[2] >> 1 & 1:
            truncated += 1
            small += len(answer)
        else:
            whole += 1
while number < 20000 or truncated <= 100 and time.monotonic() - begun < 60:
    name = "".join(random.choice((c.lower(), c.upper())) for c in "large")
    labels = b"".join(bytes([len(l)]) + l.encode() for l in (name, "example", "test"))
    query = (number & 0xffff).to_bytes(2, "big") + bytes.fromhex("01000001000000000001") + labels \
        + b"\0" + bytes.fromhex("00100001" "0000291000000000000000")
    victim.sendto(query, ("192.0.2.1", 5300))
    number += 1
    sent += len(query)
    if number % 16 == 0:
        take(0 if number < 20000 else 0.1)
take(1)
print(sent, whole, truncated, small, int(time.monotonic() - begun) + 1)
"#;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_victim_gets_no_more_than_the_forger_spent() {
    let Some(namespace) = Namespace::new("flood", &["192.0.2.1/32", "198.51.100.7/32"]) else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let folder = Folder::new();
    let large = "x".repeat(200);
    let file = folder.write(
        "pointsman.toml",
        &format!(
            "[admin]\nbind = \"127.0.0.1:9901\"\n[dns]\nbind = \"192.0.2.1:5300\"\n\
             response-rate-limit = {{ responses-per-second = 20 }}\n\
             [[zone]]\nname = \"example.test\"\n[[zone.record]]\nname = \"large\"\ntype = \"TXT\"\n\
             values = ['\"{large}\"', '\"a{large}\"', '\"b{large}\"']\n"
        ),
    );
    let server = namespace.serve(&file);
    eventually("it answers", || {
        let said = namespace.dig(
            "192.0.2.1",
            "+tries=1 +time=20 +tcp +short soa example.test",
        );
        said.contains("hostmaster").then_some(())
    });
    let flood = namespace
        .command("python3")
        .args(["-c", FLOOD])
        .output()
        .unwrap();
    let said = text(&flood);
    let numbers: Vec<u64> = said
        .split_ascii_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [sent, whole, truncated, small, seconds] = numbers[..] else {
        panic!("{said} {}", String::from_utf8_lossy(&flood.stderr));
    };
    // A second's worth at once and twenty a second, however slowly the flood came; every second one
    // of the others is answered with what is no larger than the question.
    let allowed = 20 * (seconds + 1);
    assert!(whole <= allowed, "{whole} answers in {seconds} s");
    assert!(small * 2 <= sent, "{small} bytes besides for {sent}");
    assert!(
        truncated > 100,
        "a true client is asked to come by TCP: {truncated}"
    );
    // The victim itself, with a cookie or by TCP, is answered all the same.
    for transport in ["+tcp", "+notcp"] {
        let ask = |cookie: &str| {
            let question = format!("+tries=10 +time=2 {transport} {cookie} txt large.example.test");
            namespace.dig("198.51.100.7", &question)
        };
        let first = ask("+cookie");
        let cookie = first
            .split("COOKIE: ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        for _ in 0..30 {
            let said = ask(&format!("+cookie={cookie}"));
            assert!(said.contains("ANSWER: 3"), "{said}");
        }
    }
    drop(server);
}
