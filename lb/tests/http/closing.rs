//! Draining, deregistration, shutdown, the access log.

use crate::balancer::{Balancer, Options};
use crate::target::Target;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn an_exchange_ends_with_502_when_its_targets_delay_is_over() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.head();
    });
    let other = Target::echo();
    let options = Options {
        group: "deregistration-delay = \"1s\"",
        ..Options::default()
    };
    let mut balancer = Balancer::start(&[target.address], &options);
    let mut client = balancer.connect();
    client.send(GET);
    while target.connections() == 0 {
        std::thread::yield_now();
    }
    balancer.reload(&[other.address], &options);
    let (head, body) = client.read_response();
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway"), "{head}");
    assert!(body.contains("target-deregistered"), "{body}");
    client.send(GET);
    assert!(
        client.read_response().0.starts_with("HTTP/1.1 200 OK"),
        "the client was kept"
    );
}

#[test]
fn a_kept_client_connection_follows_a_reload() {
    let (first, second) = (Target::echo(), Target::echo());
    let mut balancer = Balancer::start(&[first.address], &Options::default());
    let mut client = balancer.connect();
    client.send(GET);
    client.read_response();
    balancer.reload(&[second.address], &Options::default());
    client.send(GET);
    client.read_response();
    assert_eq!((first.connections(), second.connections()), (1, 1));
}

#[test]
fn exchanges_are_logged_with_their_target_and_reason() {
    let folder = std::env::temp_dir().join(format!("pointsman-http-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("access.log");
    let target = Target::echo();
    let options = Options {
        access_log: Some(path.clone()),
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    balancer.ask("GET /a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    balancer.ask("GET /a HTTP/1.1\r\n\r\n");
    drop(balancer);
    let mut lines = String::new();
    while lines.lines().count() < 2 {
        lines = std::fs::read_to_string(&path).unwrap_or_default();
        std::thread::yield_now();
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["path"], "/a?b");
    assert_eq!(lines[0]["host"], "h");
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["target"], target.address.to_string());
    assert_eq!(lines[1]["status"], 400);
    assert_eq!(lines[1]["reason"], "missing-host");
}
