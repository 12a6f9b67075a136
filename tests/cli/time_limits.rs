//! Rates and time limits from the outside.
#![expect(
    clippy::disallowed_methods,
    reason = "a target of a test is another program's stand-in"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::harness::{Process, connect, eventually, exchange};
use crate::tls::{group, listener};

/// A target that answers every request with more than sockets hold.
fn large() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                // A probe that only connects sends nothing.
                if client.read(&mut head).is_ok_and(|count| count > 0) {
                    let megabyte = vec![b'x'; 1 << 20];
                    let _ =
                        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n");
                    while client.write_all(&megabyte).is_ok() {}
                }
            });
        }
    });
    address
}

/// A target that answers once it has a body of this size.
fn whole(size: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            std::thread::spawn(move || {
                let (mut got, mut room) = (Vec::<u8>::new(), [0; 4096]);
                while let Ok(count @ 1..) = client.read(&mut room) {
                    got.extend(&room[..count]);
                    let head = got.windows(4).position(|four| four == b"\r\n\r\n");
                    if head.is_some_and(|head| got.len() == head + 4 + size) {
                        let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                        return;
                    }
                }
            });
        }
    });
    address
}

fn configuration(target: SocketAddr, more: &str) -> String {
    format!(
        "[logs]\naccess = \"off\"\npast-requests = 10\n{}{}\
         [target-group.health-check]\nprotocol = \"tcp\"\n",
        listener("web", "http", "app", more),
        group("app", "http", target),
    )
}

/// How the last request ended, once it has.
fn last(process: &Process) -> Value {
    eventually("the request's end", || {
        let shown = process.succeed(&["why", "--last", "1", "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        Some(shown["items"][0].clone()).filter(|item| !item.is_null())
    })
}

#[test]
fn a_body_that_stops_moving_is_408_and_one_that_moves_is_not() {
    let target = whole(100_000);
    let rate = |window: u32| format!("min-rate = \"1KiB\"\nmin-rate-window = \"{window}s\"");
    // A machine that stalls for a moment must not make a moving body look like one that does not.
    let process = Process::start(&format!(
        "{}{}",
        configuration(target, &rate(1)),
        listener("z-patient", "http", "app", &rate(60))
    ));
    process.wait_for_state("app", target, "healthy");
    let head =
        "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n";
    let stalled = exchange(connect(process.listener(0)), &format!("{head}a few bytes"));
    assert_eq!(stalled.status, 408, "{}", stalled.body);
    assert!(stalled.body.contains("(body-too-slow)"), "{}", stalled.body);
    assert_eq!(last(&process)["reason"], "body-too-slow");
    let moving = format!("{head}{}", "x".repeat(100_000));
    assert_eq!(exchange(connect(process.listener(1)), &moving).status, 200);
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let target = large();
    let rate = "min-rate = \"1KiB\"\nmin-rate-window = \"1s\"";
    let process = Process::start(&configuration(target, rate));
    process.wait_for_state("app", target, "healthy");
    let mut client = connect(process.listener(0));
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    let item = last(&process);
    assert_eq!(item["termination"], "client-too-slow", "{item}");
    let mut got = 0;
    let mut room = vec![0; 1 << 20];
    while let Ok(count @ 1..) = client.read(&mut room) {
        got += count;
    }
    assert!(got < 268_435_456, "{got}");
}

#[test]
fn the_whole_has_its_time() {
    // It waits for a body, which does not come, and never answers.
    let target = whole(1);
    let process = Process::start(&configuration(target, "request-timeout = \"1s\""));
    process.wait_for_state("app", target, "healthy");
    let request = "GET /slow HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let answer = exchange(connect(process.listener(0)), request);
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert_eq!(last(&process)["reason"], "request-timeout");
}
