//! Silence: clients that trickle, clients that stall, targets that do not answer.

use std::time::{Duration, SystemTime};

use crate::balancer::{Balancer, Options};
use crate::client::PATIENCE;
use crate::target::Target;

#[test]
fn a_head_that_trickles_in_is_cut_off() {
    let target = Target::echo();
    let options = Options {
        listener: "header-timeout = \"500ms\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let mut client = balancer.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    client.patience(Duration::from_millis(20));
    // Each byte would reset a timer that counts from the last one; this one counts from the first.
    for n in 0.. {
        assert!(n < 3000, "still open");
        let taken = client.try_send("A");
        let (text, closed) = client.read_some();
        if !text.is_empty() {
            assert!(text.starts_with("HTTP/1.1 408 Request Timeout"), "{text}");
            break;
        }
        assert!(taken && !closed, "closed without an answer");
    }
    balancer.expect_metric("pointsman_rejected_total", "header-timeout", 1.0);
}

#[test]
fn part_of_a_head_gets_408_and_silence_a_plain_close() {
    let target = Target::echo();
    let options = Options {
        listener: "header-timeout = \"300ms\"\nidle-timeout = \"1s\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let text = balancer.ask("GET / HT");
    assert!(text.starts_with("HTTP/1.1 408 Request Timeout"), "{text}");
    assert_eq!(balancer.ask(""), "");
    assert_eq!(balancer.ask("\r\n"), "");
}

#[test]
fn a_body_that_stops_coming_gets_408() {
    let target = Target::echo();
    let options = Options {
        listener: "idle-timeout = \"1s\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let text = balancer.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    assert!(text.starts_with("HTTP/1.1 408 Request Timeout"), "{text}");
    assert!(text.contains("body-timeout"), "{text}");
}

#[test]
fn a_target_that_does_not_answer_is_504_and_does_not_serve_the_next() {
    let target = Target::scripted(|mut connection| {
        let Some(head) = connection.head() else {
            return;
        };
        match head.starts_with("GET /slow") {
            true => drop(connection.head()),
            false => connection.answer("ok"),
        }
    });
    let options = Options {
        group: "response-timeout = \"1s\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let mut client = balancer.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, _) = client.read_response();
    assert!(head.starts_with("HTTP/1.1 504 Gateway Timeout"), "{head}");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_response().1, "ok");
}

#[test]
fn a_quiet_connection_is_closed_after_the_idle_timeout() {
    let target = Target::echo();
    let options = Options {
        listener: "idle-timeout = \"2s\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    // An attempt in which the machine stalled for what is left of the timeout says nothing.
    let outlives = |pause: u64| {
        let begun = SystemTime::now();
        let mut client = balancer.connect();
        for pause in [1, pause] {
            client.patience(Duration::from_millis(pause));
            let (text, closed) = client.read_some();
            let sent = !closed && client.try_send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
            client.patience(PATIENCE);
            if sent && text.is_empty() && client.try_read_until("\r\n\r\n").is_some() {
                continue;
            }
            let took = begun.elapsed().unwrap_or_default();
            assert!(took > Duration::from_secs(2), "closed after {took:?}");
            return false;
        }
        assert_eq!(client.read_to_end(), "");
        true
    };
    assert!((0..20).any(|_| outlives(1300)));
}
