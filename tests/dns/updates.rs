//! nsupdate changes zones: over both transports, signed, kept over restarts and reloads, passed on to
//! a secondary.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::dig::dig;
use crate::harness::{Folder, Process, eventually, get};
use crate::secondaries::{SECRET, free_port};

const KEY: &str = "hmac-sha256:transfer.test:";

/// What nsupdate says to these commands.
fn nsupdate(server: SocketAddr, arguments: &[&str], commands: &str) -> String {
    let mut child = Command::new("nsupdate")
        // Not sent again when the machine stalls: an update that was carried out says other things then.
        .args(["-t", "120", "-u", "60", "-d"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!(
        "server {} {}\nzone example.test\n{commands}\nsend\n",
        server.ip(),
        server.port()
    );
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (output.stdout, output.stderr);
    String::from_utf8_lossy(&[out, err].concat()).into_owned()
}

fn configuration(file: &str, serial: &str, peer: u16) -> String {
    format!(
        "[dns]\nbind = \"127.0.0.1:0\"\n\
         [[tsig-key]]\nname = \"transfer.test\"\nsecret = \"{SECRET}\"\n\
         [[tsig-key]]\nname = \"other.test\"\nsecret = \"{SECRET}\"\n\
         [[zone]]\nname = \"example.test\"\nfile = {file:?}\nserial = \"{serial}\"\n\
         allow-transfer = \"127.0.0.1\"\nnotify = \"127.0.0.1:{peer}\"\n\
         allow-update = [{{ networks = [\"127.0.0.0/8\"], key = \"transfer.test\" }}]\n\
         [[zone.record]]\nname = \"routed\"\ntype = \"A\"\npolicy = \"weighted\"\nsets = [\n\
         {{ id = \"a\", weight = 1, values = [\"192.0.2.21\"] }} ]\n"
    )
}

fn zone(serial: u32, more: &str) -> String {
    format!(
        "$TTL 60\n@ IN SOA ns1 hostmaster {serial} 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\n{more}"
    )
}

fn short(server: SocketAddr, question: &str) -> String {
    dig(server, &format!("+short {question}"))
}

fn serial(server: SocketAddr) -> u32 {
    let said = short(server, "soa example.test");
    said.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_zone_is_changed_by_who_may_and_stays_changed() {
    let folder = Folder::new();
    let file = folder.write("example.zone", &zone(7, ""));
    let mut process = Process::start(&configuration(&file, "file", free_port()));
    let server = process.dns();
    let signed = ["-y", &format!("{KEY}{SECRET}")];
    let tcp = [signed[0], signed[1], "-v"];
    let said = nsupdate(
        server,
        &signed,
        "prereq nxdomain new.example.test\nupdate add new.example.test 30 A 192.0.2.7",
    );
    assert!(said.contains("status: NOERROR"), "{said}");
    assert_eq!(short(server, "a new.example.test"), "192.0.2.7\n");
    assert_eq!(serial(server), 8);
    let said = nsupdate(
        server,
        &signed,
        "prereq nxdomain new.example.test\nupdate add new.example.test 30 A 192.0.2.8",
    );
    assert!(said.contains("YXDOMAIN"), "{said}");
    let said = nsupdate(
        server,
        &tcp,
        "update delete www.example.test A\nupdate add txt.example.test 30 TXT \"a b\" c",
    );
    assert!(said.contains("status: NOERROR"), "{said}");
    assert!(dig(server, "a www.example.test").contains("NXDOMAIN"));
    assert_eq!(serial(server), 9);
    // Who may not, and what may not be.
    let other = format!("hmac-sha256:other.test:{SECRET}");
    let forged = format!("{KEY}bm90IHRoZSBzZWNyZXQ=");
    let add = "update add evil.example.test 30 A 192.0.2.66";
    for (arguments, commands, word) in [
        (&[][..], add, "REFUSED"),
        (&["-y", &other], add, "REFUSED"),
        (&["-y", &forged], add, "BADSIG"),
        (
            &signed,
            "update add x.other.test 30 A 192.0.2.66",
            "NOTZONE",
        ),
        (&signed, "update delete routed.example.test A", "REFUSED"),
        (
            &signed,
            "update add routed.example.test 30 A 192.0.2.66",
            "REFUSED",
        ),
        (
            &signed,
            "prereq yxrrset www.example.test A\nupdate add x.example.test 30 A 192.0.2.66",
            "NXRRSET",
        ),
    ] {
        let said = nsupdate(server, arguments, commands);
        assert!(said.contains(word), "{commands}: {word}: {said}");
    }
    assert_eq!(serial(server), 9);
    let records = get(process.admin_tcp(), "/api/v1/zones/example.test/records").json();
    let mut items = records["items"].as_array().unwrap().iter();
    assert!(
        items.any(|item| item["name"] == "txt.example.test."),
        "{records}"
    );
    // A reload, with a file that changed and whose serial did not get past ours.
    std::fs::write(&file, zone(8, "more A 192.0.2.5\n")).unwrap();
    process.succeed(&["reload"]);
    let holds = |server| {
        assert_eq!(short(server, "a more.example.test"), "192.0.2.5\n");
        assert_eq!(short(server, "a new.example.test"), "192.0.2.7\n");
        assert!(dig(server, "a www.example.test").contains("NXDOMAIN"));
    };
    holds(server);
    assert_eq!(serial(server), 10, "another content has another serial");
    let said = nsupdate(
        server,
        &signed,
        "update add later.example.test 30 A 192.0.2.9",
    );
    assert!(said.contains("status: NOERROR"), "{said}");
    assert_eq!(serial(server), 11);
    process.restart();
    let server = process.dns();
    holds(server);
    assert_eq!(short(server, "a later.example.test"), "192.0.2.9\n");
    assert_eq!(serial(server), 11);
}

#[test]
fn a_secondary_hears_of_updates_and_gets_them_as_changes() {
    let folder = Folder::new();
    let file = folder.write("example.zone", &zone(7, ""));
    let port = free_port();
    let process = Process::start(&configuration(&file, "auto", port));
    let server = process.dns();
    let secondary = Process::start(&format!(
        "[dns]\nbind = \"127.0.0.1:{port}\"\n[[zone]]\nname = \"example.test\"\nprimaries = \"{server}\"\n"
    ));
    let copy = secondary.dns();
    eventually("the zone is copied", || {
        (short(copy, "a www.example.test") == "192.0.2.1\n").then_some(())
    });
    let first = serial(server);
    let key = format!("{KEY}{SECRET}");
    for n in 1..=20 {
        let add = format!("update add h{n}.example.test 30 A 192.0.2.{n}");
        let said = nsupdate(server, &["-y", &key], &add);
        assert!(said.contains("status: NOERROR"), "{said}");
    }
    assert!(serial(server) >= first + 20);
    eventually("the changes are copied", || {
        (short(copy, "a h20.example.test") == "192.0.2.20\n").then_some(())
    });
    let shown = get(secondary.admin_tcp(), "/api/v1/zones/example.test").json();
    assert_eq!(shown["secondary"]["whole"], 1, "{shown}");
    assert!(
        shown["secondary"]["by-changes"].as_u64().unwrap() >= 1,
        "{shown}"
    );
}
