//! Targets that die: when another attempt is made, and when it must not be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use healthcheck::TargetState;

use crate::balancer::{Balancer, Options};
use crate::target::{Target, nobody};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn an_unreachable_target_costs_no_request() {
    let target = Target::echo();
    let options = Options {
        group: "health-check = { interval = \"10s\" }",
        ..Options::default()
    };
    let balancer = Balancer::start(&[nobody(), target.address], &options);
    let mut client = balancer.connect();
    for _ in 0..10 {
        client.send(GET);
        assert!(client.read_response().0.starts_with("HTTP/1.1 200 OK"));
    }
}

/// A target that answers `good` requests on each connection, then closes at the next one.
fn closes_after(good: usize) -> (Target, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let target = Target::scripted(move |mut connection| {
        for n in 0.. {
            if connection.head().is_none() {
                return;
            }
            count.fetch_add(1, Ordering::SeqCst);
            if n == good {
                return;
            }
            connection.answer("ok");
        }
    });
    (target, requests)
}

#[test]
fn a_kept_connection_that_dies_is_replaced_for_idempotent_requests() {
    let (target, requests) = closes_after(1);
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    for _ in 0..5 {
        client.send(GET);
        assert!(client.read_response().0.starts_with("HTTP/1.1 200 OK"));
    }
    assert_eq!(requests.load(Ordering::SeqCst), 9);
    balancer.expect_metric("pointsman_retries_total", "stale-connection", 4.0);
    // At once: an answer to the head alone would close the connection.
    let put = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
    for _ in 0..2 {
        client.send(put);
        assert!(client.read_response().0.starts_with("HTTP/1.1 200 OK"));
    }
}

#[test]
fn a_post_that_was_written_is_never_repeated() {
    let (target, requests) = closes_after(1);
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send(GET);
    client.read_response();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    let (head, body) = client.read_response();
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway"), "{head}");
    assert!(body.contains("target-closed"), "{body}");
    assert_eq!(requests.load(Ordering::SeqCst), 2);
    client.send(GET);
    assert!(
        client.read_response().0.starts_with("HTTP/1.1 200 OK"),
        "the client was kept"
    );
}

#[test]
fn a_new_connection_that_dies_sends_the_request_to_another_target_once() {
    let (bad, tried) = closes_after(0);
    let good = Target::echo();
    let balancer = Balancer::start(&[bad.address, good.address], &Options::default());
    balancer.wait_for(2, TargetState::Healthy);
    let mut client = balancer.connect();
    for _ in 0..6 {
        client.send(GET);
        assert!(client.read_response().0.starts_with("HTTP/1.1 200 OK"));
    }
    assert!(tried.load(Ordering::SeqCst) >= 2);
    let retries = tried.load(Ordering::SeqCst) as f64;
    balancer.expect_metric("pointsman_retries_total", "target-closed", retries);
}

#[test]
fn one_target_that_always_dies_is_asked_twice_and_gives_502() {
    let (bad, tried) = closes_after(0);
    let balancer = Balancer::start(&[bad.address], &Options::default());
    let mut client = balancer.connect();
    client.send(GET);
    assert!(client.read_response().0.starts_with("HTTP/1.1 502 "));
    // The second time tells a target that is down, for which the request would be held.
    assert_eq!(tried.load(Ordering::SeqCst), 2);
}

#[test]
fn a_response_that_has_begun_is_not_repeated() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nConte");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send(GET);
    assert!(client.read_response().0.starts_with("HTTP/1.1 502 "));
    assert_eq!(target.connections(), 1);
}

#[test]
fn without_hold_a_refused_connect_is_502_and_with_it_503() {
    for (group, status, reason) in [
        ("hold = \"0s\"", "502 Bad Gateway", "target-connect-failed"),
        (
            "hold = \"200ms\"",
            "503 Service Unavailable",
            "hold-expired",
        ),
    ] {
        let options = Options {
            group,
            ..Options::default()
        };
        let balancer = Balancer::start(&[nobody()], &options);
        balancer.wait_for(1, TargetState::Unhealthy);
        let mut client = balancer.connect();
        client.send(GET);
        let (head, body) = client.read_response();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{head}{body}"
        );
        assert!(body.contains(reason), "{body}");
    }
}

#[test]
fn no_registered_target_is_503_at_once() {
    let balancer = Balancer::start(&[], &Options::default());
    let mut client = balancer.connect();
    client.send(GET);
    let (head, body) = client.read_response();
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable"),
        "{head}"
    );
    assert!(body.contains("no-target"), "{body}");
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let text = client.read_to_end();
    assert!(
        text.starts_with("HTTP/1.1 503 ") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
}
