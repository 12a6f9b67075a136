//! What every server must do (RFC 8906), what it says of itself, and cookies, all by dig.

use crate::dig::dig;
use crate::harness::Process;

const ZONE: &str = "
[[zone]]
name = \"example.test\"
[[zone.record]]
name = \"www\"
type = \"A\"
values = [\"192.0.2.1\"]
";

fn start(dns: &str) -> Process {
    Process::start(&format!("[dns]\nbind = \"127.0.0.1:0\"\n{dns}\n{ZONE}"))
}

/// What is asked, what must be in the answer, what must not.
type Check = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// RFC 8906 section 8, in its order and with its own options.
const CHECKS: [Check; 17] = [
    // 8.1.1: the zone is served.
    (
        "+noedns +noad +norec soa example.test",
        &["NOERROR", " aa;", "SOA"],
        &["OPT"],
    ),
    // 8.1.2: an unknown type.
    (
        "+noedns +noad +norec type1000 example.test",
        &["NOERROR", " aa;"],
        &["ANSWER SECTION", "OPT"],
    ),
    // 8.1.3.1: CD may come back or not; 8.1.3.2: AD; 8.1.3.3: the reserved bit must not.
    (
        "+noedns +noad +norec +cd soa example.test",
        &["NOERROR", " aa", "SOA"],
        &["OPT"],
    ),
    (
        "+noedns +norec +ad soa example.test",
        &["NOERROR", " aa", "SOA"],
        &["OPT"],
    ),
    (
        "+noedns +noad +norec +zflag soa example.test",
        &["NOERROR", " aa", "SOA"],
        &["MBZ", "OPT"],
    ),
    // 8.1.3.4: RD.
    (
        "+noedns +noad +rec soa example.test",
        &["NOERROR", " aa rd;", "SOA"],
        &["OPT"],
    ),
    // 8.1.4: an unknown opcode.
    (
        "+noedns +noad +opcode=15 +norec +header-only",
        &["NOTIMP", "RESERVED15", "flags: qr;"],
        &["SOA", "OPT"],
    ),
    // 8.1.5: TCP.
    (
        "+noedns +noad +norec +tcp soa example.test",
        &["NOERROR", " aa;", "SOA"],
        &["OPT"],
    ),
    // 8.2.1: EDNS version 0; 8.2.2: version 1.
    (
        "+nocookie +edns=0 +noad +norec soa example.test",
        &["NOERROR", " aa;", "SOA", "EDNS: version: 0"],
        &[],
    ),
    (
        "+nocookie +edns=1 +noednsneg +noad +norec soa example.test",
        &["BADVERS", "EDNS: version: 0"],
        &["ANSWER SECTION"],
    ),
    // 8.2.3: an unknown option; 8.2.4: unknown flags.
    (
        "+nocookie +edns=0 +noad +norec +ednsopt=100 soa example.test",
        &["NOERROR", "SOA", "EDNS: version: 0"],
        &["OPT=100"],
    ),
    (
        "+nocookie +edns=0 +noad +norec +ednsflags=0x40 soa example.test",
        &["NOERROR", "SOA", "EDNS: version: 0"],
        &["MBZ"],
    ),
    // 8.2.5 and 8.2.6: version 1 with either.
    (
        "+nocookie +edns=1 +noednsneg +noad +norec +ednsflags=0x40 soa example.test",
        &["BADVERS", "EDNS: version: 0"],
        &["ANSWER SECTION", "MBZ"],
    ),
    (
        "+nocookie +edns=1 +noednsneg +noad +norec +ednsopt=100 soa example.test",
        &["BADVERS", "EDNS: version: 0"],
        &["ANSWER SECTION", "OPT=100"],
    ),
    // 8.2.7: DO; 8.2.8: truncation is tested beside the answers' sizes.
    (
        "+nocookie +edns=0 +noad +norec +dnssec soa example.test",
        &["NOERROR", "SOA", "flags: do;"],
        &[],
    ),
    // 8.2.9: several defined options at once.
    (
        "+edns=0 +noad +norec +cookie +nsid +expire +subnet=0.0.0.0/0 soa example.test",
        &[
            "NOERROR",
            "SOA",
            "EDNS: version: 0",
            "CLIENT-SUBNET: 0.0.0.0/0/0",
            "(good)",
        ],
        &[],
    ),
    // RFC 8482.
    (
        "+nocookie +norec any www.example.test",
        &["NOERROR", "HINFO\t\"RFC8482\""],
        &["192.0.2.1"],
    ),
];

#[test]
fn the_checks_of_rfc_8906_pass() {
    let process = start("");
    let mut wrong = String::new();
    for (question, present, absent) in CHECKS {
        let said = dig(process.dns(), question);
        let missing = present.iter().filter(|text| !said.contains(**text));
        let unwanted = absent.iter().filter(|text| said.contains(**text));
        for text in missing.chain(unwanted) {
            wrong += &format!("dig {question}: {text:?}\n{said}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn it_says_who_it_is_only_when_told_to() {
    let silent = start("");
    let asked = [
        "version.bind",
        "version.server",
        "hostname.bind",
        "id.server",
    ];
    for name in asked {
        let said = dig(silent.dns(), &format!("ch txt {name}"));
        assert!(said.contains("status: REFUSED"), "{said}");
    }
    let said = dig(silent.dns(), "+nsid soa example.test");
    assert!(!said.contains("NSID:"), "{said}");
    let open = start("nsid = \"one\"\nversion = \"seven\"\nhostname = \"here\"");
    for (name, word) in asked.into_iter().zip(["seven", "seven", "here", "here"]) {
        let said = dig(open.dns(), &format!("ch txt {name}"));
        assert!(said.contains(&format!("CH\tTXT\t\"{word}\"")), "{said}");
    }
    let said = dig(open.dns(), "ch txt authors.bind");
    assert!(said.contains("status: REFUSED"), "{said}");
    let said = dig(open.dns(), "+nsid soa example.test");
    assert!(said.contains("NSID: 6f 6e 65 (\"one\")"), "{said}");
}

#[test]
fn cookies_are_given_believed_and_can_be_switched_off() {
    let process = start("cookie-secrets = [\"e5e973e5a6b2a43f48e7dc849e37bfcf\"]");
    let first = dig(process.dns(), "+cookie=2464c4abcf10c957 a www.example.test");
    assert!(
        first.contains("COOKIE: 2464c4abcf10c95701000000"),
        "{first}"
    );
    assert!(first.contains("(good)"), "{first}");
    let cookie = first
        .split("COOKIE: ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let second = dig(
        process.dns(),
        &format!("+cookie={cookie} a www.example.test"),
    );
    assert!(second.contains(cookie), "a fresh one is kept: {second}");
    let malformed = dig(
        process.dns(),
        "+nocookie +ednsopt=10:0011 a www.example.test",
    );
    assert!(malformed.contains("status: FORMERR"), "{malformed}");
    let off = dig(start("cookies = false").dns(), "+cookie a www.example.test");
    assert!(
        !off.contains("(good)") && off.contains("192.0.2.1"),
        "{off}"
    );
}

#[test]
fn tcp_clients_that_ask_learn_how_long_they_may_stay() {
    let process = start("tcp-idle-timeout = \"7s\"");
    let said = dig(process.dns(), "+tcp +keepalive a www.example.test");
    assert!(said.contains("TCP KEEPALIVE: 7.0 secs"), "{said}");
    let said = dig(process.dns(), "+keepalive a www.example.test");
    assert!(!said.contains("TCP KEEPALIVE: 7"), "{said}");
}
