//! NSD and Knot as primaries: zones copied whole and by changes, told of by NOTIFY, signed; kept over
//! a restart without any primary, refused when too old.

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::dig::dig;
use crate::harness::{Folder, Process, eventually, get};
use crate::namespace::Running;
use crate::secondaries::{SECRET, free_port, start};

pub fn zone(serial: u32, expire: u32, records: &str) -> String {
    format!(
        "$TTL 60\n@ IN SOA ns1 hostmaster {serial} 1 1 {expire} 60\n@ NS ns1\nns1 A 127.0.0.1\n\
         mail MX 10 ns1\n* TXT \"any \\\"thing\\\"\"\nsub NS ns.sub\nns.sub A 192.0.2.9\n\
         _s._tcp SRV 1 2 3 ns1\nodd TYPE999 \\# 2 abcd\n@ HTTPS 1 . alpn=h2\n{records}"
    )
}

/// Zones `name` from 127.0.0.1 at each port, signed.
pub fn configuration(zones: &[(&str, &[u16])]) -> String {
    let mut text = format!(
        "[dns]\nbind = \"127.0.0.1:0\"\n\
         [[tsig-key]]\nname = \"transfer.test\"\nsecret = \"{SECRET}\"\n"
    );
    for (name, ports) in zones {
        let primaries: Vec<String> = ports
            .iter()
            .map(|port| format!("{{ address = \"127.0.0.1:{port}\", key = \"transfer.test\" }}"))
            .collect();
        text += &format!(
            "[[zone]]\nname = \"{name}\"\nprimaries = [{}]\nallow-transfer = \"127.0.0.1\"\n",
            primaries.join(", ")
        );
    }
    text
}

fn nsd(folder: &Path, name: &str, port: u16, ours: SocketAddr) -> Running {
    let home = folder.join("nsd");
    std::fs::create_dir_all(&home).unwrap();
    let (at, us) = (home.display(), ours.port());
    let text = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  zonesdir: \"{at}\"\n  database: \"\"\n  pidfile: \"\"\n\
         \x20 xfrdfile: \"{at}/xfrd\"\n  zonelistfile: \"{at}/list\"\n  xfrdir: \"{at}\"\n\
         \x20 username: \"\"\n  chroot: \"\"\n  server-count: 1\n  verbosity: 2\n\
         remote-control:\n  control-enable: no\n\
         key:\n  name: transfer.test\n  algorithm: hmac-sha256\n  secret: \"{SECRET}\"\n\
         zone:\n  name: {name}\n  zonefile: \"{}\"\n  store-ixfr: yes\n  create-ixfr: yes\n\
         \x20 provide-xfr: 127.0.0.1 transfer.test\n  notify: 127.0.0.1@{us} transfer.test\n",
        folder.join("nsd.zone").display()
    );
    std::fs::write(home.join("nsd.conf"), text).unwrap();
    start(
        "nsd",
        folder,
        &["-d", "-c", home.join("nsd.conf").to_str().unwrap()],
    )
}

pub fn knot(folder: &Path, name: &str, port: u16, ours: SocketAddr) -> Running {
    let home = folder.join("knot");
    std::fs::create_dir_all(&home).unwrap();
    let (at, us) = (home.display(), ours.port());
    let text = format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: \"{at}\"\n  udp-workers: 1\n  tcp-workers: 1\n\
         \x20 background-workers: 1\n\
         log:\n  - target: stderr\n    any: info\n\
         database:\n  storage: \"{at}\"\n\
         key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         remote:\n  - id: us\n    address: 127.0.0.1@{us}\n    key: transfer.test\n\
         acl:\n  - id: copy\n    address: 127.0.0.1\n    key: transfer.test\n    action: transfer\n\
         zone:\n  - domain: {name}\n    file: \"{}\"\n    zonefile-load: difference\n\
         \x20   notify: us\n    acl: copy\n",
        folder.join("knot.zone").display()
    );
    std::fs::write(home.join("knot.conf"), text).unwrap();
    start(
        "knotd",
        folder,
        &["-c", home.join("knot.conf").to_str().unwrap()],
    )
}

fn reload(server: &Running) {
    kill_process(Pid::from_child(&server.0), Signal::HUP).unwrap();
}

pub fn serial(server: SocketAddr, name: &str) -> String {
    let said = dig(server, &format!("+short soa {name}"));
    said.split(' ').nth(2).unwrap_or_default().to_owned()
}

/// A whole zone as sorted lines.
fn whole(server: SocketAddr, words: &str, name: &str) -> Vec<String> {
    let said = dig(server, &format!("+noall +answer {words} axfr {name}"));
    let mut lines: Vec<String> = said
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';') && !line.contains("TSIG"))
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

pub fn api(process: &Process, name: &str) -> Value {
    get(process.admin_tcp(), &format!("/api/v1/zones/{name}")).json()
}

#[test]
fn zones_of_nsd_and_knot_are_followed_by_axfr_ixfr_and_notify() {
    let folder = Folder::new();
    let ports = [free_port(), free_port()];
    let names = ["nsd.test", "knot.test"];
    // A refresh of one second would do it all: NOTIFY must be quicker than an hour.
    let slow = |serial, records: &str| {
        zone(serial, 86400, records)
            .replace(&format!(" {serial} 1 1 "), &format!(" {serial} 3600 3600 "))
    };
    for file in ["nsd.zone", "knot.zone"] {
        let text = slow(7, "www A 192.0.2.1\nold A 192.0.2.2\n");
        std::fs::write(folder.0.join(file), text).unwrap();
    }
    let zones = [(names[0], &ports[..1]), (names[1], &ports[1..])];
    let process = Process::start(&configuration(&zones));
    let ours = process.dns();
    for name in names {
        let said = dig(ours, &format!("a www.{name}"));
        assert!(said.contains("SERVFAIL"), "{said}");
        assert!(said.contains("EDE: 14"), "{said}");
    }
    let _nsd = nsd(&folder.0, names[0], ports[0], ours);
    let _knot = knot(&folder.0, names[1], ports[1], ours);
    for name in names {
        eventually("the zone is here", || {
            (serial(ours, name) == "7").then_some(())
        });
    }
    let signed = format!("-y hmac-sha256:transfer.test:{SECRET}");
    let same = || {
        for (name, port) in names.iter().zip(ports) {
            let theirs = SocketAddr::from(([127, 0, 0, 1], port));
            assert_eq!(whole(ours, "", name), whole(theirs, &signed, name));
        }
    };
    same();
    for (file, server) in [("nsd.zone", &_nsd), ("knot.zone", &_knot)] {
        std::fs::write(
            folder.0.join(file),
            slow(8, "www A 192.0.2.1\nnew A 192.0.2.3\n"),
        )
        .unwrap();
        reload(server);
    }
    for name in names {
        eventually("the change is here", || {
            (serial(ours, name) == "8").then_some(())
        });
        let shown = api(&process, name);
        let secondary = &shown["secondary"];
        assert_eq!(secondary["state"], "good", "{shown}");
        assert_eq!(secondary["by-changes"], 1, "{shown}");
        assert_eq!(secondary["whole"], 1, "{shown}");
        assert_eq!(shown["serial"], 8, "{shown}");
        assert_eq!(shown["records"], 12, "{shown}");
    }
    same();
    // A reload of the configuration keeps the copies.
    process.succeed(&["reload"]);
    same();
    let records = get(process.admin_tcp(), "/api/v1/zones/knot.test/records").json();
    let mut items = records["items"].as_array().unwrap().iter();
    assert!(
        items.any(|item| item["name"] == "new.knot.test." && item["answers"][0] == "192.0.2.3"),
        "{records}"
    );
    let metrics = get(process.admin_tcp(), "/metrics").body;
    for line in [
        "pointsman_dns_zone_serial{zone=\"nsd.test\"} 8",
        "pointsman_dns_transfers_total{result=\"changes\",zone=\"knot.test\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn a_copy_outlives_process_and_primary_until_it_expires() {
    let folder = Folder::new();
    let port = free_port();
    let name = "knot.test";
    let file = folder.0.join("knot.zone");
    std::fs::write(&file, zone(7, 3600, "www A 192.0.2.1\n")).unwrap();
    let zones = [(name, &[port][..])];
    let text = configuration(&zones);
    let mut process = Process::start(&text);
    let primary = knot(&folder.0, name, port, process.dns());
    eventually("the zone is here", || {
        (serial(process.dns(), name) == "7").then_some(())
    });
    drop(primary);
    process.restart();
    let ours = process.dns();
    // At once, without anybody to ask.
    assert_eq!(dig(ours, &format!("+short a www.{name}")), "192.0.2.1\n");
    eventually("the failure is shown", || {
        let shown = api(&process, name);
        let error = shown["secondary"]["error"].as_str()?;
        (error.contains("refused") && shown["status"] == "warning").then_some(())
    });
    std::fs::write(&file, zone(8, 2, "www A 192.0.2.2\n")).unwrap();
    let primary = knot(&folder.0, name, port, ours);
    eventually("the change is here", || {
        (serial(ours, name) == "8").then_some(())
    });
    drop(primary);
    eventually("it is too old", || {
        let said = dig(ours, &format!("a www.{name}"));
        (said.contains("SERVFAIL") && said.contains("EDE: 24")).then_some(())
    });
    assert_eq!(api(&process, name)["status"], "error");
    assert!(
        whole(ours, "", name).is_empty(),
        "nobody gets a copy of what is too old"
    );
    let primary = knot(&folder.0, name, port, ours);
    eventually("it is served again", || {
        (dig(ours, &format!("+short a www.{name}")) == "192.0.2.2\n").then_some(())
    });
    drop(primary);
}
