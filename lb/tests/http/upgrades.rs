//! Upgraded connections.

use crate::balancer::{Balancer, Options};
use crate::target::Target;

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn bytes_are_tunnelled_after_101_and_not_before() {
    let target = Target::scripted(|mut connection| {
        let head = connection.head().unwrap_or_default();
        assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nConnection: Upgrade\r\n"), "{head}");
        connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nfirst.");
        while let Some(word) = connection.read_until(".") {
            connection.send(word.to_uppercase());
        }
        connection.send("bye.");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send(format!("{UPGRADE}ahead."));
    let head = client.read_head();
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nConnection: Upgrade\r\n"), "{head}");
    assert_eq!(client.read_until("."), "first.");
    assert_eq!(client.read_until("."), "AHEAD.");
    client.send("hello.");
    assert_eq!(client.read_until("."), "HELLO.");
    client.finish();
    assert_eq!(client.read_to_end(), "bye.");
}

#[test]
fn without_101_the_connection_stays_http() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send(format!("{UPGRADE}GET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(client.read_response().1.starts_with("GET /chat "));
    assert!(client.read_response().1.starts_with("GET /next "));
}

#[test]
fn an_upgrade_with_a_body_is_refused() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let request = UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello");
    assert!(balancer.ask(&request).contains("upgrade-with-body"));
    assert_eq!(target.connections(), 0);
}
