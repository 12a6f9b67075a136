//! Connections that carry several requests, on either side.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::balancer::{Balancer, Options};
use crate::target::Target;

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn requests_share_a_connection_on_both_sides() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    for _ in 0..20 {
        client.send(GET);
        let (head, body) = client.read_response();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(body.starts_with("GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.1\r\n"));
        let port = format!("X-Forwarded-Port: {}\r\n", balancer.address.port());
        assert!(body.contains(&port), "{body}");
    }
    assert_eq!(target.connections(), 1);
    balancer.expect_metric("pointsman_requests_total", "2xx", 20.0);
    balancer.expect_metric("pointsman_target_in_flight", "", 0.0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let target = Target::scripted(|mut connection| {
        while let Some(head) = connection.head() {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            connection.answer(&path);
        }
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    let requests: String = (0..50)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    client.send(requests);
    for n in 0..50 {
        assert_eq!(client.read_response().1, format!("/{n}"));
    }
}

#[test]
fn what_a_body_leaves_in_the_buffer_is_the_next_request() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send(
        "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
         POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n\
         \r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert!(client.read_response().1.ends_with("\r\n\r\nhello"));
    assert!(
        client
            .read_response()
            .1
            .ends_with("\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n")
    );
    assert!(client.read_response().1.starts_with("GET /3 "));
}

#[test]
fn http10_closes_unless_it_asks_otherwise() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let text = balancer.ask("GET / HTTP/1.0\r\n\r\n");
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    assert!(
        text.contains(&format!("\r\nHost: {}\r\n", balancer.address)),
        "{text}"
    );
    let mut client = balancer.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let (head, _) = client.read_response();
        assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
    }
}

#[test]
fn connection_close_is_obeyed_and_told() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let text = balancer.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    let mut client = balancer.connect();
    client.send(GET);
    client.read_response();
    assert_eq!(
        target.connections(),
        1,
        "the target's connection outlives the client's"
    );
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send(GET);
    client.finish();
    assert!(client.read_to_end().contains("GET /a HTTP/1.1"));
}

#[test]
fn connections_that_have_bytes_nobody_asked_for_are_dropped() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let unasked = Arc::new(AtomicUsize::new(0));
    let count = unasked.clone();
    let target = Target::scripted(move |mut connection| {
        while let Some(head) = connection.head() {
            let number = connection.number;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
            if head.starts_with("GET /at-once") {
                connection.send(answer + EVIL);
            } else {
                connection.send(answer);
                connection.send(EVIL);
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    for n in 0..10 {
        let path = if n < 5 { "/at-once" } else { "/while-idle" };
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let (_, body) = client.read_response();
        assert_eq!(body, n.to_string());
        while unasked.load(Ordering::SeqCst) <= n {
            std::thread::yield_now();
        }
    }
}
