//! NSD and Knot as secondaries: whole zones, changes, notifications, all signed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::dig::dig;
use crate::harness::{Folder, Process, eventually};
use crate::namespace::Running;
use crate::ports;

pub const SECRET: &str = "MTIzNDU2Nzg5MGFiY2RlZjEyMzQ1Njc4OTBhYmNkZWY=";

/// A port of loopback that is free for both protocols.
pub fn free_port() -> u16 {
    ports::free_port("127.0.0.1")
}

fn zone(serial: u32, records: &str) -> String {
    format!(
        "$TTL 60\n@ IN SOA ns1 hostmaster {serial} 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n\
         mail MX 10 mail.other.test.\n* TXT \"any \\\"thing\\\"\"\nsub NS ns.sub\nns.sub A 192.0.2.9\n{records}"
    )
}

fn configuration(zone_file: &Path, peers: &[u16]) -> String {
    let notify: Vec<String> = peers
        .iter()
        .map(|port| format!("{{ address = \"127.0.0.1:{port}\", key = \"transfer.test\" }}"))
        .collect();
    format!(
        "[dns]\nbind = \"127.0.0.1:0\"\nallow-transfer = {{ key = \"other.test\" }}\n\
         [[zone]]\nname = \"default.test\"\n[[zone]]\nname = \"none.test\"\nallow-transfer = \"none\"\n\
         [[tsig-key]]\nname = \"transfer.test\"\nsecret = \"{SECRET}\"\n\
         [[tsig-key]]\nname = \"other.test\"\nalgorithm = \"hmac-sha512\"\nsecret = \"{SECRET}\"\n\
         [[zone]]\nname = \"example.test\"\nfile = {zone_file:?}\n\
         allow-transfer = [{{ networks = [\"127.0.0.0/8\"], key = \"transfer.test\" }}]\nnotify = [{}]\n\
         [[zone.record]]\nname = \"routed\"\ntype = \"A\"\npolicy = \"weighted\"\nsets = [\n\
         {{ id = \"a\", weight = 3, values = [\"192.0.2.21\"] }},\n\
         {{ id = \"b\", weight = 1, values = [\"192.0.2.22\"] }} ]\n\
         [[zone]]\nname = \"closed.test\"\nallow-transfer = [{{ key = \"other.test\" }}]\n",
        notify.join(", ")
    )
}

pub fn start(program: &str, folder: &Path, arguments: &[&str]) -> Running {
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(log);
    Running(command.spawn().unwrap())
}

fn nsd(folder: &Path, port: u16, primary: SocketAddr) -> Running {
    let home = folder.join("nsd");
    std::fs::create_dir(&home).unwrap();
    let at = home.display();
    let (ip, from) = (primary.ip(), primary.port());
    let text = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  zonesdir: \"{at}\"\n  database: \"\"\n  pidfile: \"\"\n\
         \x20 xfrdfile: \"{at}/xfrd\"\n  zonelistfile: \"{at}/list\"\n  xfrdir: \"{at}\"\n\
         \x20 username: \"\"\n  chroot: \"\"\n  server-count: 1\n  verbosity: 2\n\
         remote-control:\n  control-enable: no\n\
         key:\n  name: transfer.test\n  algorithm: hmac-sha256\n  secret: \"{SECRET}\"\n\
         zone:\n  name: example.test\n  zonefile: example.zone\n\
         \x20 request-xfr: {ip}@{from} transfer.test\n  allow-notify: 127.0.0.1 transfer.test\n\
         \x20 provide-xfr: 127.0.0.1 NOKEY\n"
    );
    std::fs::write(home.join("nsd.conf"), text).unwrap();
    start(
        "nsd",
        folder,
        &["-d", "-c", home.join("nsd.conf").to_str().unwrap()],
    )
}

fn knot(folder: &Path, port: u16, primary: SocketAddr) -> Running {
    let home = folder.join("knot");
    std::fs::create_dir(&home).unwrap();
    let at = home.display();
    let (ip, from) = (primary.ip(), primary.port());
    let text = format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: \"{at}\"\n  udp-workers: 1\n  tcp-workers: 1\n\
         \x20 background-workers: 1\n\
         log:\n  - target: stderr\n    any: info\n\
         database:\n  storage: \"{at}\"\n\
         key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         remote:\n  - id: primary\n    address: {ip}@{from}\n    key: transfer.test\n\
         acl:\n  - id: notify\n    address: 127.0.0.1\n    key: transfer.test\n    action: notify\n\
         \x20 - id: copy\n    address: 127.0.0.1\n    action: transfer\n\
         zone:\n  - domain: example.test\n    storage: \"{at}\"\n    file: example.zone\n\
         \x20   master: primary\n    acl: [notify, copy]\n"
    );
    std::fs::write(home.join("knot.conf"), text).unwrap();
    start(
        "knotd",
        folder,
        &["-c", home.join("knot.conf").to_str().unwrap()],
    )
}

fn serial(server: SocketAddr) -> String {
    let said = dig(server, "+short soa example.test");
    said.split(' ').nth(2).unwrap_or_default().to_owned()
}

/// A whole zone as sorted lines.
fn whole(server: SocketAddr, words: &str) -> Vec<String> {
    let said = dig(server, &format!("+noall +answer {words} axfr example.test"));
    let mut lines: Vec<String> = said
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';') && !line.contains("TSIG"))
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

#[test]
fn nsd_and_knot_follow_by_axfr_ixfr_and_notify() {
    let folder = Folder::new();
    let file = folder.0.join("example.zone");
    std::fs::write(&file, zone(7, "www A 192.0.2.1\nold A 192.0.2.2\n")).unwrap();
    let ports = [free_port(), free_port()];
    let process = Process::start(&configuration(&file, &ports));
    let primary = process.dns();
    let secondaries = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let _nsd = nsd(&folder.0, ports[0], primary);
    let _knot = knot(&folder.0, ports[1], primary);
    for secondary in secondaries {
        eventually("the secondary has the zone", || {
            (serial(secondary) == "7").then_some(())
        });
    }
    let signed = format!("-y hmac-sha256:transfer.test:{SECRET}");
    let ours = whole(primary, &signed);
    assert!(
        ours.contains(&"routed.example.test. 10 IN A 192.0.2.21".to_owned()),
        "{ours:?}"
    );
    assert!(
        ours.contains(&"ns.sub.example.test. 60 IN A 192.0.2.9".to_owned()),
        "{ours:?}"
    );
    assert!(
        !ours.iter().any(|line| line.contains("192.0.2.22")),
        "{ours:?}"
    );
    for secondary in secondaries {
        assert_eq!(whole(secondary, ""), ours);
    }
    // A change: they are told, and ask for the difference.
    std::fs::write(&file, zone(8, "www A 192.0.2.1\nnew A 192.0.2.3\n")).unwrap();
    process.succeed(&["reload"]);
    for secondary in secondaries {
        eventually("the secondary has the change", || {
            (serial(secondary) == "8").then_some(())
        });
    }
    let ours = whole(primary, &signed);
    assert!(
        !ours.iter().any(|line| line.starts_with("old.")),
        "{ours:?}"
    );
    for secondary in secondaries {
        assert_eq!(whole(secondary, ""), ours);
    }
    for _ in 0..2 {
        process.wait_for_log("the zone is copied (changes)");
    }
    let changes = dig(
        primary,
        &format!("+noall +answer {signed} ixfr=7 example.test"),
    );
    let records: Vec<&str> = changes
        .lines()
        .filter(|line| line.contains("\tIN\t"))
        .collect();
    assert_eq!(records.len(), 6, "{changes}");
    let current = dig(
        primary,
        &format!("+noall +answer {signed} ixfr=8 example.test"),
    );
    assert_eq!(
        current
            .lines()
            .filter(|line| line.contains("\tIN\t"))
            .count(),
        1,
        "{current}"
    );
}

#[test]
fn only_who_may_gets_a_copy() {
    let folder = Folder::new();
    let file = folder.0.join("example.zone");
    std::fs::write(&file, zone(7, "www A 192.0.2.1\n")).unwrap();
    let process = Process::start(&configuration(&file, &[]));
    let server = process.dns();
    let ask = |key: &str, question: &str| dig(server, &format!("{key} {question}"));
    let good = format!("-y hmac-sha256:transfer.test:{SECRET}");
    let other = format!("-y hmac-sha512:other.test:{SECRET}");
    let forged = "-y hmac-sha256:transfer.test:bm90IHRoZSBzZWNyZXQ=".to_owned();
    let unknown = format!("-y hmac-sha256:nobody.test:{SECRET}");
    for (key, question, said) in [
        ("", "axfr example.test", "Transfer failed"),
        (&*other, "axfr example.test", "Transfer failed"),
        (&*forged, "axfr example.test", "Transfer failed"),
        (&*unknown, "axfr example.test", "Transfer failed"),
        (&*good, "axfr closed.test", "Transfer failed"),
        (&*good, "axfr nowhere.test", "Transfer failed"),
        (&*good, "axfr default.test", "Transfer failed"),
        (&*other, "axfr none.test", "Transfer failed"),
        (&*other, "axfr default.test", "ns.default.test."),
        (&*good, "axfr example.test", "www.example.test."),
        (&*other, "axfr closed.test", "ns.closed.test."),
        // Any question may be signed, by either transport.
        (&*good, "a www.example.test", "192.0.2.1"),
        (&*other, "+tcp a www.example.test", "192.0.2.1"),
        (&*good, "a nothing.x.example.test", "status: NOERROR"),
        (&*forged, "a www.example.test", "BADSIG"),
        (&*unknown, "a www.example.test", "BADKEY"),
    ] {
        let answer = ask(key, question);
        assert!(answer.contains(said), "{key} {question}: {answer}");
        let sound = [&*good, &*other].contains(&key);
        assert!(
            !sound || !answer.contains("Couldn't verify"),
            "{key} {question}: {answer}"
        );
    }
}
