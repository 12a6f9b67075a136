//! Requests that are refused, and that the client gets to see it.

use crate::balancer::{Balancer, Options};
use crate::target::Target;

#[test]
fn a_refusal_names_its_reason_and_closes() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    for (request, status, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "missing-host"),
        (
            "GET / HTTP/3.0\r\n\r\n",
            "505 HTTP Version Not Supported",
            "unsupported-version",
        ),
        (
            "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
            "405 Method Not Allowed",
            "trace-method",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "400 Bad Request",
            "bad-chunk",
        ),
    ] {
        let text = balancer.ask(request);
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{text}"
        );
        assert!(
            text.contains("\r\nConnection: close\r\n") && text.contains(reason),
            "{text}"
        );
    }
    assert_eq!(target.connections(), 0);
    balancer.expect_metric("pointsman_rejected_total", "bad-request", 4.0);
}

#[test]
fn a_refused_upload_sees_the_status_not_a_reset() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
    client.send("x".repeat(200_000));
    assert!(client.read_to_end().contains("several-content-lengths"));
}

#[test]
fn oversize_heads_are_refused() {
    let target = Target::echo();
    let options = Options {
        listener: "max-header-bytes = \"24KiB\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let long = "a".repeat(15_000);
    let fits = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: {long}\r\n\r\n");
    assert!(balancer.ask(&fits).starts_with("HTTP/1.1 200 OK"));
    let fields = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\nB: {long}\r\n\r\n");
    assert!(balancer.ask(&fields).starts_with("HTTP/1.1 431 "));
    assert!(
        balancer
            .ask(&format!("GET /{long}{long}"))
            .starts_with("HTTP/1.1 414 ")
    );
}

#[test]
fn a_chunk_fault_in_a_body_under_way_ends_both_sides() {
    let target = Target::scripted(|mut connection| {
        connection.read_until("hello");
        assert!(
            connection.read_until("never").is_none(),
            "the fault went through"
        );
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    while target.connections() == 0 {
        std::thread::yield_now();
    }
    client.send("-1\r\n");
    assert!(client.read_to_end().contains("bad-chunk"));
}
