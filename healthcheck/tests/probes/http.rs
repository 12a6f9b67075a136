//! HTTP checks: method, headers, search string, codings, fast interval.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use healthcheck::TargetState::{Healthy, Unhealthy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{answer, answering, assert_seen, locally, probed, request, service};

const SEARCH: &str = "protocol = \"http\"\nsearch-string = \"all good\"";

fn response(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat()
}

#[tokio::test]
async fn search_strings_are_found_in_every_framing_and_coding() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"{\"status\": \"all good\"}").unwrap();
    let gzip = gzip.finish().unwrap();
    let length = gzip.len();
    let late = |at: usize| [&b"x".repeat(at)[..], b"all good"].concat();
    let without = "HTTP/1.1 200 OK, without the search string in the first 5120 bytes of the body";
    let cases = [
        (response("200 OK\r\nContent-Length: 8", b"all good"), Ok(())),
        (response("200 OK", b"it is all good here"), Ok(())),
        (
            response(
                "200 OK\r\nTransfer-Encoding: chunked",
                b"6\r\nall go\r\n2\r\nod\r\n0\r\n\r\n",
            ),
            Ok(()),
        ),
        (
            response(
                &format!("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}"),
                &gzip,
            ),
            Ok(()),
        ),
        (response("200 OK", &late(5120 - 8)), Ok(())),
        (response("200 OK", &late(5120 - 7)), Err(without)),
        (
            response("200 OK\r\nContent-Length: 8", b"ALL GOOD"),
            Err(without),
        ),
        (response("200 OK\r\nContent-Length: 0", b""), Err(without)),
        (
            response("204 No Content", b""),
            Err(
                "HTTP/1.1 204 No Content, without the search string in the first 5120 bytes of the body",
            ),
        ),
        (
            response("503 Slow Down\r\nContent-Length: 8", b"all good"),
            Err("HTTP/1.1 503 Slow Down"),
        ),
        (
            response("200 OK\r\nContent-Encoding: br", b"all good"),
            Err("the body's content coding is not known here"),
        ),
        (
            response("200 OK\r\nContent-Encoding: gzip", b"it is all good here"),
            Err("body cannot be decoded: invalid gzip header"),
        ),
        (
            response("200 OK\r\nContent-Length: 9, 8", b"all good"),
            Err("malformed response: content-length"),
        ),
    ];
    locally(async {
        for (response, expected) in cases {
            let found = probed(SEARCH, answering(response)).await;
            match expected {
                Ok(()) => assert_seen(&found, Healthy, "HTTP/1.1 200 OK"),
                Err(seen) => assert_seen(&found, Unhealthy, seen),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_cut_short_is_not_one_without_the_string() {
    let cut = |stream| async {
        let mut stream = stream;
        request(&mut stream).await;
        let head = response("200 OK\r\nContent-Length: 100", b"all");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &head)
            .await
            .unwrap();
    };
    locally(async {
        let found = probed(SEARCH, service(cut)).await;
        let seen = "connection closed before the answer was complete";
        assert_seen(&found, Unhealthy, seen);
    })
    .await;
}

#[tokio::test]
async fn requests_are_written_as_the_file_says() {
    let check = r#"
        protocol = "http"
        method = "POST"
        path = "/check?deep=1"
        host = "app.test"
        headers = { "X-Probe" = "yes, please", "user-agent" = "ELB-HealthChecker/2.0" }
    "#;
    let echo = |mut stream| async move {
        let request: String = request(&mut stream).await;
        let expected = "POST /check?deep=1 HTTP/1.1\r\nHost: app.test\r\nAccept: */*\r\n\
                        X-Probe: yes, please\r\nuser-agent: ELB-HealthChecker/2.0\r\n\
                        Content-Length: 0\r\nConnection: close\r\n\r\n";
        let status = if request == expected {
            "200 As Asked"
        } else {
            "500 Not As Asked"
        };
        let head = response(status, b"");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &head)
            .await
            .unwrap();
    };
    locally(async {
        let found = probed(check, service(echo)).await;
        assert_seen(&found, Healthy, "HTTP/1.1 200 As Asked");
        let phases = &found.observations[0];
        assert!(phases.connect_ms.is_some() && phases.tls_ms.is_none());
        assert!(phases.first_byte_ms.unwrap() <= phases.response_ms.unwrap());
    })
    .await;
}

#[tokio::test]
async fn redirects_are_answers_to_be_matched_not_followed() {
    let moved = || {
        response(
            "302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0",
            b"",
        )
    };
    let http = "protocol = \"http\"";
    locally(async {
        let found = probed(http, answering(moved())).await;
        assert_seen(&found, Unhealthy, "HTTP/1.1 302 Found");
        let description = "Health checks failed with these codes: [302]";
        assert_eq!(found.description, description);
        let matching = format!("{http}\nmatcher = \"200,301-302\"");
        let found = probed(&matching, answering(moved())).await;
        assert_seen(&found, Healthy, "HTTP/1.1 302 Found");
    })
    .await;
}

#[tokio::test]
async fn a_probe_needs_no_more_than_the_head() {
    let never_ends = |stream| async { answer(stream, b"HTTP/1.1 200 OK\r\n\r\nand so on").await };
    locally(async {
        let found = probed("protocol = \"http\"", service(never_ends)).await;
        assert_seen(&found, Healthy, "HTTP/1.1 200 OK");
    })
    .await;
}

#[tokio::test]
async fn ipv6_targets_are_probed_on_their_own_port_or_on_another() {
    locally(async {
        let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port();
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(async move {
                    let head = request(&mut stream).await;
                    // Says as its reason which Host it was asked for.
                    let host = head.lines().nth(1).unwrap_or_default();
                    let response = format!("HTTP/1.1 200 {host}\r\n\r\n");
                    let _gone = stream.write_all(response.as_bytes()).await;
                    let _gone = stream.read(&mut [0; 16]).await;
                });
            }
        });
        let seen = format!("HTTP/1.1 200 Host: [::1]:{port}");
        let found = probed("protocol = \"http\"", address).await;
        assert_seen(&found, Healthy, &seen);
        let other: std::net::SocketAddr = "[::1]:1".parse().unwrap();
        let check = format!("protocol = \"http\"\nport = {port}");
        assert_seen(&probed(&check, other).await, Healthy, &seen);
        let check = format!("protocol = \"tcp\"\nport = {port}");
        assert_seen(&probed(&check, other).await, Healthy, "connected");
        let check = "protocol = \"tcp\"\nport = \"traffic-port\"";
        assert_seen(&probed(check, other).await, Unhealthy, "connection refused");
    })
    .await;
}
