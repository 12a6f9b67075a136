//! DNS and the balancer agree: what a drain takes from one, it takes from the other.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use serde_json::Value;

use crate::harness::{PATIENCE, Process, Service, eventually, http_over, output, stderr, stdout};

/// Asks for A records; the addresses answered.
pub(crate) fn ask(server: SocketAddr, name: &str) -> Vec<Ipv4Addr> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query, server).unwrap();
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    let answer = &answer[..length];
    assert_eq!(&answer[..2], [0x12, 0x34]);
    assert_eq!(answer[3] & 0x0f, 0, "rcode");
    let count = usize::from(answer[7]);
    // The answers follow the question: pointer, type, class, ttl, length and four bytes each.
    let records = &answer[query.len()..];
    let address = |record: &[u8]| <[u8; 4]>::try_from(&record[12..16]).unwrap().into();
    records.chunks(16).take(count).map(address).collect()
}

fn start(one: &Service) -> Process {
    let text = http_over(&[one]);
    Process::start(&format!(
        "runtime.shutdown-delay = \"600s\"\n{text}\
         [dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"example.test\"\n\
         [[zone.record]]\nname = \"app\"\ntype = \"A\"\nalias = {{ target-group = \"app\" }}\n\
         [[zone.record]]\nname = \"www\"\ntype = \"A\"\npolicy = \"failover\"\nsets = [\n\
         {{ id = \"a\", failover = \"primary\", alias = {{ listener = \"web\" }} }},\n\
         {{ id = \"b\", failover = \"secondary\", values = [\"192.0.2.2\"] }} ]\n"
    ))
}

#[test]
fn a_drained_target_has_left_dns_when_the_drain_returns() {
    let one = Service::start("one");
    let process = start(&one);
    process.wait_for_state("app", one.http, "healthy");
    let server = process.dns();
    let local = [Ipv4Addr::LOCALHOST];
    eventually("the target is answered", || {
        (ask(server, "app.example.test") == local).then_some(())
    });
    assert_eq!(ask(server, "www.example.test"), local);
    process.succeed(&["drain", "app", &one.http.to_string()]);
    assert_eq!(
        ask(server, "www.example.test"),
        [Ipv4Addr::new(192, 0, 2, 2)]
    );
    process.succeed(&["undrain", "app", &one.http.to_string()]);
    assert_eq!(ask(server, "app.example.test"), local);
}

#[test]
fn own_listeners_leave_dns_when_the_shutdown_begins() {
    let one = Service::start("one");
    let process = start(&one);
    process.wait_for_state("app", one.http, "healthy");
    let server = process.dns();
    eventually("the listener is answered", || {
        (ask(server, "www.example.test") == [Ipv4Addr::LOCALHOST]).then_some(())
    });
    process.signal(rustix::process::Signal::TERM);
    process.wait_for_log("still accepting");
    eventually("the listener has left", || {
        (ask(server, "www.example.test") == [Ipv4Addr::new(192, 0, 2, 2)]).then_some(())
    });
}

#[test]
fn answers_are_explained_by_the_running_process_and_counted_nowhere() {
    let one = Service::start("one");
    let process = start(&one);
    process.wait_for_state("app", one.http, "healthy");
    let admin = format!("http://{}", process.admin_tcp());
    let ask = |arguments: &[&str]| {
        let all = [
            &["dns", "answer", "www.example.test"],
            arguments,
            &["--admin", &admin],
        ];
        output(&all.concat())
    };
    process.succeed(&["drain", "app", &one.http.to_string()]);
    let said = stdout(&ask(&[]));
    assert!(said.contains("www.example.test. 10 A 192.0.2.2"), "{said}");
    assert!(
        said.contains("   a  unhealthy") && said.contains("-> b  healthy"),
        "{said}"
    );
    process.succeed(&["undrain", "app", &one.http.to_string()]);
    let json: Value = serde_json::from_slice(&ask(&["--json"]).stdout).unwrap();
    assert_eq!(json["answers"][0]["data"], "127.0.0.1");
    assert_eq!(json["steps"][0]["chosen"][0], "a");
    assert_eq!(ask(&["--from", "x"]).status.code(), Some(64));
    let metrics = crate::harness::get(process.admin_tcp(), "/metrics").body;
    let counted = metrics
        .lines()
        .find(|l| l.starts_with("pointsman_dns_policy_decisions_total{"));
    assert_eq!(counted, None);
}

#[test]
fn files_are_asked_and_tables_run_without_a_process() {
    let folder = std::env::temp_dir().join(format!("pointsman-table-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let config = file(
        "p.toml",
        "[[health-check]]\nname = \"a\"\ntype = \"tcp\"\naddress = \"192.0.2.9:80\"\n\
         [[zone]]\nname = \"example.test\"\n[[zone.record]]\nname = \"www\"\ntype = \"A\"\n\
         policy = \"failover\"\nsets = [\n\
         { id = \"p\", failover = \"primary\", values = [\"192.0.2.1\"], health-check = \"a\" },\n\
         { id = \"s\", failover = \"secondary\", values = [\"192.0.2.2\"] } ]\n",
    );
    let said = stdout(&output(&[
        "dns",
        "answer",
        "www.example.test",
        "-c",
        &config,
        "--down",
        "a",
    ]));
    assert!(said.contains("www.example.test. 10 A 192.0.2.2"), "{said}");
    assert!(said.contains("check `a` is down"), "{said}");
    let unknown = output(&[
        "dns",
        "answer",
        "www.example.test",
        "-c",
        &config,
        "--down",
        "b",
    ]);
    assert_eq!(unknown.status.code(), Some(64));
    let good = "config p.toml\n? www.example.test A\n= 192.0.2.1\nhealth a=down\n= 192.0.2.2\n";
    let good = output(&["test", &file("good.txt", good)]);
    assert_eq!(stdout(&good), "2 expectations, all met\n");
    let bad = output(&[
        "test",
        &file("bad.txt", "? www.example.test A\n= 192.0.2.2\n"),
        "-c",
        &config,
    ]);
    assert_eq!(bad.status.code(), Some(1));
    let line = "bad.txt:2: www.example.test. A from 127.0.0.1: 192.0.2.1 came: 192.0.2.1:100";
    assert!(stdout(&bad).trim_end().ends_with(line), "{}", stdout(&bad));
    assert!(stderr(&bad).contains("1 of 1 expectations"));
    std::fs::remove_dir_all(&folder).unwrap();
}
