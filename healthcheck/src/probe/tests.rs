//! Probes against real listeners on loopback.

use std::io;

use conf::{Sni, TlsCheck, TlsTrust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::Outcome;

fn listener() -> (tokio::net::TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn check(kind: TargetHealthCheckKind, timeout: Duration) -> TargetHealthCheck {
    TargetHealthCheck {
        proxy_protocol_out: ProxyProtocol::Off,
        kind,
        port: None,
        interval: Duration::from_secs(5),
        fast_interval: Duration::from_secs(5),
        timeout,
        healthy_threshold: 2,
        unhealthy_threshold: 2,
    }
}

fn http(host: Option<&str>) -> TargetHealthCheckKind {
    TargetHealthCheckKind::Http(HttpCheck {
        method: "GET",
        path: "/healthz?deep=1".to_owned(),
        host: host.map(str::to_owned),
        headers: Vec::new(),
        matcher: Matcher {
            ranges: vec![(200, 299)],
        },
        search_string: None,
        version: conf::HttpVersion::Http1,
        tls: None,
    })
}

async fn probe(kind: TargetHealthCheckKind, timeout: Duration, at: SocketAddr) -> Observation {
    let plan = ProbePlan::for_target(&check(kind, timeout), at.into());
    Network.probe(Arc::new(plan)).await
}

/// Answers one HTTP probe with `response`; what the probe found, and its request.
async fn answered(response: &[u8]) -> (Observation, String, io::Result<usize>) {
    let (listener, address) = listener();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(response).await.unwrap();
        let rest = stream.read(&mut [0; 16]).await;
        (String::from_utf8(request).unwrap(), rest)
    };
    let long = Duration::from_secs(20);
    let (observation, (request, rest)) = tokio::join!(probe(http(None), long, address), serve);
    (observation, request, rest)
}

fn assert_reset(result: &io::Result<usize>) {
    let kind = result.as_ref().map_err(io::Error::kind);
    assert_eq!(kind, Err(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn the_tcp_probe_passes_and_resets() {
    let (listener, address) = listener();
    let tcp = TargetHealthCheckKind::Tcp(TcpCheck::default());
    let observation = probe(tcp, Duration::from_secs(20), address).await;
    assert!(observation.passed(), "{observation:?}");
    assert!(observation.phases.connect.is_some() && observation.phases.response.is_none());
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_reset(&stream.read(&mut [0; 16]).await);
}

#[tokio::test]
async fn refused_connections_are_told() {
    let (listener, address) = listener();
    drop(listener);
    for kind in [TargetHealthCheckKind::Tcp(TcpCheck::default()), http(None)] {
        let observation = probe(kind, Duration::from_secs(20), address).await;
        assert_eq!(observation.outcome, Outcome::Failed);
        assert_eq!(
            &*observation.explanation(),
            "Health checks failed: connection refused"
        );
    }
}

#[tokio::test]
async fn the_http_probe_asks_as_documented_and_resets_after_the_head() {
    let (observation, request, rest) =
        answered(b"HTTP/1.1 204 All Quiet\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert!(observation.passed(), "{observation:?}");
    assert_eq!(&*observation.seen, "HTTP/1.1 204 All Quiet");
    assert!(observation.phases.connect.is_some() && observation.phases.response.is_some());
    assert_reset(&rest);
    let mut lines = request.split("\r\n");
    assert_eq!(lines.next(), Some("GET /healthz?deep=1 HTTP/1.1"));
    let host = lines.next().unwrap();
    assert!(host.starts_with("Host: 127.0.0.1:"), "{host}");
    let agent = concat!(
        "User-Agent: Pointsman-HealthCheck/",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(lines.next(), Some(agent));
}

#[tokio::test]
async fn responses_pass_by_their_final_status() {
    let passed = Outcome::Passed;
    let mismatch = Outcome::CodeMismatch;
    let cases: &[(&[u8], Outcome, &str)] = &[
        (
            b"HTTP/1.1 503 Slow Down\r\n\r\n",
            mismatch(503),
            "HTTP/1.1 503 Slow Down",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nbody", passed, "HTTP/1.0 200 OK"),
        (b"HTTP/1.1 200\r\n\r\n", passed, "HTTP/1.1 200"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            passed,
            "HTTP/1.1 200 OK",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            mismatch(101),
            "HTTP/1.1 101 Switching Protocols",
        ),
        (
            b"SSH-2.0-OpenSSH_9.6\r\n",
            Outcome::Failed,
            "malformed response: invalid HTTP version",
        ),
    ];
    for &(response, outcome, seen) in cases {
        let (observation, ..) = answered(response).await;
        assert_eq!(observation.outcome, outcome, "{seen}");
        assert_eq!(&*observation.seen, seen);
    }
}

#[tokio::test]
async fn heads_are_bounded_and_shown_without_control_characters() {
    let mut endless = b"HTTP/1.1 200 OK\r\n".to_vec();
    for n in 0..100 {
        endless.extend(format!("X-{n}: {}\r\n", "x".repeat(300)).bytes());
    }
    let (observation, ..) = answered(&endless).await;
    assert_eq!(observation.outcome, Outcome::Failed);
    assert_eq!(&*observation.seen, "response head over 16 KiB");

    let mut long = b"HTTP/1.1 200 OK\r\n".to_vec();
    long.extend(format!("X-Long: {}\r\n\r\n", "x".repeat(10_000)).bytes());
    assert!(answered(&long).await.0.passed());

    let line = format!("HTTP/1.1 500 a\tb {}\r\n\r\n", "y".repeat(500));
    let (observation, ..) = answered(line.as_bytes()).await;
    assert!(
        observation.seen.starts_with("HTTP/1.1 500 a b yyy"),
        "{}",
        observation.seen
    );
    assert_eq!(observation.seen.chars().count(), 160);
}

#[tokio::test]
async fn silence_and_early_closing_are_told_apart() {
    let (listener, address) = listener();
    let timeout = Duration::from_millis(300);
    let observation = probe(http(None), timeout, address).await;
    assert_eq!(observation.outcome, Outcome::TimedOut);
    assert_eq!(&*observation.explanation(), "Request timed out");
    assert_eq!(&*observation.seen, "no response within 300ms");
    assert!(observation.ended - observation.started >= timeout);
    drop(listener.accept().await.unwrap());

    let hang_up = async {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
    };
    let long = Duration::from_secs(20);
    let (observation, ()) = tokio::join!(probe(http(None), long, address), hang_up);
    assert_eq!(observation.outcome, Outcome::Failed);
    assert_eq!(
        &*observation.seen,
        "connection closed before the answer was complete"
    );
}

#[test]
fn plans_follow_the_configuration_and_route_53() {
    let address: SocketAddr = "127.0.0.1:3001".parse().unwrap();
    let mut target = check(http(Some("app.test")), Duration::from_secs(2));
    target.port = Some(9000);
    let plan = ProbePlan::for_target(&target, address.into());
    assert_eq!(plan.address.port(), Some(9000));
    let ProbeKind::Http(HttpPlan { request, .. }) = &plan.kind else {
        panic!("an http plan");
    };
    let request = String::from_utf8_lossy(request);
    assert!(request.contains("\r\nHost: app.test\r\n"), "{request}");

    let mut endpoint = Endpoint {
        destination: conf::Destination::Address(address),
        http: None,
        interval: Duration::from_secs(30),
        failure_threshold: 3,
        measure_latency: false,
    };
    let limits = ProbePlan::for_endpoint(&endpoint).limits;
    assert_eq!(limits.connect, Duration::from_secs(10));
    endpoint.interval = Duration::from_secs(3);
    let limits = ProbePlan::for_endpoint(&endpoint).limits;
    assert_eq!(limits.total, Duration::from_secs(3));
    let tls = TlsCheck {
        trust: TlsTrust::Anyone,
        server_name: None,
        sni: Sni::SentFirst,
    };
    for (at, tls, host) in [
        ("127.0.0.1:80", None, "127.0.0.1"),
        ("127.0.0.1:81", None, "127.0.0.1:81"),
        ("[::1]:80", None, "[::1]"),
        ("127.0.0.1:443", Some(&tls), "127.0.0.1"),
        ("127.0.0.1:80", Some(&tls), "127.0.0.1:80"),
    ] {
        endpoint.destination = conf::Destination::Address(at.parse().unwrap());
        endpoint.http = Some(EndpointHttp {
            path: "/".to_owned(),
            host: None,
            search_string: None,
            tls: tls.cloned(),
        });
        let plan = ProbePlan::for_endpoint(&endpoint);
        assert_eq!(plan.limits.connect, Duration::from_secs(4));
        assert_eq!(plan.limits.response, Duration::from_secs(2));
        assert_eq!(plan.limits.body, Duration::from_secs(2));
        let ProbeKind::Http(HttpPlan {
            request, matcher, ..
        }) = &plan.kind
        else {
            panic!("an http plan");
        };
        let request = String::from_utf8_lossy(request);
        assert!(
            request.contains(&format!("\r\nHost: {host}\r\n")),
            "{request}"
        );
        assert!(matcher.matches(399) && !matcher.matches(400) && !matcher.matches(199));
    }
}
