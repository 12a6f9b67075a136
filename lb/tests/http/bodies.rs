//! Bodies both ways: counted, chunked, until close, early, large, at the same time.

use crate::balancer::{Balancer, Options};
use crate::target::Target;

#[test]
fn expectations_are_forwarded_and_100_is_relayed() {
    let target = Target::scripted(|mut connection| {
        let head = connection.head().unwrap_or_default();
        assert!(head.contains("Expect: 100-continue\r\n"));
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = connection.read_until("hello").unwrap_or_default();
        connection.answer(&body);
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    assert_eq!(client.read_response().1, "hello");
}

#[test]
fn a_final_answer_before_the_body_ends_the_connection() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nstart");
    let text = client.read_to_end();
    assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{text}");
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nno"), "{text}");
}

#[test]
fn interim_responses_reach_only_those_who_can_read_them() {
    let script = |mut connection: crate::target::Connection| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n");
            connection.answer("ok");
        }
    };
    let target = Target::scripted(script);
    let balancer = Balancer::start(&[target.address], &Options::default());
    let text = balancer.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 200 OK"));
    let text = balancer.ask("GET / HTTP/1.0\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
}

#[test]
fn head_and_304_have_no_body() {
    let target = Target::scripted(|mut connection| {
        while let Some(head) = connection.head() {
            match head.starts_with("HEAD") {
                true => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
                false => connection.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
            }
        }
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(client.read_head().contains("Content-Length: 1000"));
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(client.read_head().starts_with("HTTP/1.1 304 "));
    }
    assert_eq!(target.connections(), 1);
}

#[test]
fn chunked_responses_pass_with_their_trailers() {
    let target = Target::scripted(|mut connection| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n");
            connection.send("3;x=y\r\nabc\r\n");
            connection.send("2\r\nde\r\n0\r\nT: 1\r\n\r\n");
        }
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.read_head();
        assert_eq!(
            client.read_until("\r\n\r\n"),
            "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
        );
    }
    assert_eq!(target.connections(), 1);
    let text = balancer.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(text.ends_with("Connection: close\r\n\r\nabcde"), "{text}");
    assert!(!text.contains("Transfer-Encoding"), "{text}");
}

#[test]
fn a_response_without_length_lasts_until_the_target_closes() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\n\r\nall ");
        connection.send("of it");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let text = balancer.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it"
    );
}

#[test]
fn large_bodies_pass_both_ways_at_once() {
    const SIZE: usize = 8 * 1024 * 1024;
    let target = Target::scripted(|mut connection| {
        let Some(head) = connection.head() else {
            return;
        };
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        assert!(head.contains(&format!("Content-Length: {SIZE}")));
        let early = connection.take_ahead();
        let mut left = SIZE - early.len();
        connection.send(early);
        let mut some = vec![0; 100_000];
        while left > 0 {
            match std::io::Read::read(&mut connection.stream, &mut some) {
                Ok(count) if count > 0 => {
                    connection.send(&some[..count]);
                    left -= count;
                }
                _ => return,
            }
        }
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let body: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    let mut client = balancer.connect();
    client.send(format!(
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n"
    ));
    let sent = body.clone();
    let mut reader = client.reader();
    let sending = std::thread::spawn(move || client.send(sent));
    let head = reader.read_head();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        reader.read_exact(SIZE) == body,
        "the body changed on its way"
    );
    sending.join().unwrap();
}

#[test]
fn a_truncated_response_is_never_completed() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        connection.send("x".repeat(50_000));
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read_head();
    let (body, closed) = client.read_some();
    assert!(closed && body.len() <= 50_000);
}

#[test]
fn malformed_responses_become_502() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "nonsense\r\n\r\n",
    ] {
        let target = Target::scripted(move |mut connection| {
            connection.head();
            connection.send(response);
            connection.head();
        });
        let balancer = Balancer::start(&[target.address], &Options::default());
        let mut client = balancer.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (head, _) = client.read_response();
        assert!(
            head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{response}: {head}"
        );
    }
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nA: {}\r\n\r\n",
            "a".repeat(33_000)
        ));
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let text = balancer.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(text.contains("target-large-head"), "{text}");
}

#[test]
fn a_target_that_dies_after_100_still_gets_the_client_a_502() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        connection.read_until("hello");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    let (head, _) = client.read_response();
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway"), "{head}");
}
