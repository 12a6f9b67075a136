//! Request heads: what is forwarded, as what, and what is refused.

use super::*;

/// The forwarded head, or the refusal, or `None` for more.
pub(super) fn forwarded(bytes: &[u8]) -> Result<Option<String>, Refusal> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let Some(head) = parse_request(bytes, &mut slots, LIMITS)? else {
        return Ok(None);
    };
    let client = ClientAddress::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let forwarding = Forwarding {
        client: &client,
        scheme: "http",
        local: SocketAddr::from(([127, 0, 0, 1], 8080)),
        identity: b"",
        edited: None,
    };
    let mut out = Vec::new();
    write_request(&mut out, &head, forwarding);
    Ok(Some(String::from_utf8_lossy(&out).into_owned()))
}

pub(super) const ADDED: &str =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n";

#[test]
fn what_is_forwarded() {
    let cases: &[(&str, &str)] = &[
        (
            "GET /a?b HTTP/1.1\r\nhOST:  x \r\nB: 1\r\nA: 2\r\n\r\n",
            "GET /a?b HTTP/1.1\r\nhOST:  x \r\nB: 1\r\nA: 2\r\n+\r\n",
        ),
        (
            "\r\n\r\nGET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n+\r\n",
        ),
        (
            "GET / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n+\r\n",
        ),
        (
            "GET http://a:81?q HTTP/1.1\r\nHost: b\r\nC: d\r\n\r\n",
            "GET /?q HTTP/1.1\r\nHost: a:81\r\nC: d\r\n+\r\n",
        ),
        (
            "OPTIONS HTTP://a HTTP/1.1\r\nHost: b\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n+\r\n",
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: b\r\n+\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nKeep-Alive: 3\r\nHost: x\r\nConnection: keep-alive, y, Host, \
          X-Forwarded-For, content-length\r\nY: 1\r\nZ: 2\r\nProxy-Connection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nZ: 2\r\n+\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nTE: gzip, trailers\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n+TE: trailers\r\nConnection: TE\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n+Connection: Upgrade\r\n\r\n",
        ),
        // An option beside `upgrade` once took the Upgrade field away and left the promise of it.
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: y, Upgrade\r\nUpgrade: websocket\r\nY: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n+Connection: Upgrade\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n+\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\n\
          HTTP2-Settings: AA\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n+\r\n",
        ),
    ];
    for (request, expected) in cases {
        let expected = expected.replace('+', ADDED);
        assert_eq!(
            forwarded(request.as_bytes()),
            Ok(Some(expected)),
            "{request}"
        );
    }
}

#[test]
fn forwarded_for_grows_at_its_end_and_the_rest_is_our_own() {
    let request = "GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nHost: x\r\n\
                   x-forwarded-for: 3.3.3.3\r\nX-Forwarded-Proto: https\r\n\r\n";
    let out = forwarded(request.as_bytes()).unwrap().unwrap();
    let for_line = "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n";
    assert!(out.contains(for_line), "{out}");
    assert_eq!(out.matches("Proto: http\r\n").count(), 1);
    assert!(!out.contains("https"));
}

#[test]
fn what_is_refused() {
    let long = |n: usize| "a".repeat(n);
    let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
    let cases: Vec<(String, Refusal)> = vec![
        (
            "G(T / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadMethod,
        ),
        (
            " GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadMethod,
        ),
        (format!("{} / HTTP/1.1\r\n", long(33)), Refusal::LongMethod),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".into(),
            Refusal::Connect,
        ),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".into(), Refusal::Trace),
        (
            "GET * HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadTarget,
        ),
        (
            "GET a HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadTarget,
        ),
        (
            "GET /# HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadTarget,
        ),
        (
            "GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadTarget,
        ),
        (
            "GET http://u@a/ HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadTarget,
        ),
        (
            "GET ftp://a/ HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadTarget,
        ),
        (
            "GET  / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadTarget,
        ),
        ("GET /\r\n".into(), Refusal::BadTarget),
        (format!("GET /{}", long(17_000)), Refusal::LongRequestLine),
        (
            "GET / HTTP/2.0\r\nHost: x\r\n\r\n".into(),
            Refusal::UnsupportedVersion,
        ),
        (
            "GET / HTTP/01.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadVersion,
        ),
        (
            "GET / http/1.1\r\nHost: x\r\n\r\n".into(),
            Refusal::BadVersion,
        ),
        (
            "GET / HTTP/1.1\nHost: x\r\n\r\n".into(),
            Refusal::BareLineEnd,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\n\r\n".into(),
            Refusal::BareLineEnd,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\n\n".into(),
            Refusal::BareLineEnd,
        ),
        (with("A: b\r\n c"), Refusal::FoldedField),
        (with("A : b"), Refusal::BadFieldName),
        (with(": b"), Refusal::BadFieldName),
        (with("A"), Refusal::BadFieldName),
        (with("A: \u{1}"), Refusal::BadFieldValue),
        (with("A: b\rc"), Refusal::BadFieldValue),
        (with("Content_Length: 1"), Refusal::SuspiciousField),
        (with(&format!("A: {}", long(70_000))), Refusal::LargeHead),
        (with(&"A: b\r\n".repeat(130)), Refusal::ManyFields),
        ("GET / HTTP/1.1\r\n\r\n".into(), Refusal::MissingHost),
        (with("Host: x"), Refusal::SeveralHosts),
        (
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".into(),
            Refusal::BadHost,
        ),
        ("GET / HTTP/1.0\r\nHost: \r\n\r\n".into(), Refusal::BadHost),
        (
            with("Content-Length: 1\r\nContent-Length: 1"),
            Refusal::SeveralContentLengths,
        ),
        (
            with("Content-Length: 1\r\nTransfer-Encoding: chunked"),
            Refusal::BothLengths,
        ),
        (
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            Refusal::BadTransferEncoding,
        ),
        (
            with("Transfer-Encoding: chunked, chunked"),
            Refusal::BadTransferEncoding,
        ),
        (
            with("Transfer-Encoding: chunked;q=1"),
            Refusal::BadTransferEncoding,
        ),
        (
            with("Transfer-Encoding: xchunked"),
            Refusal::BadTransferEncoding,
        ),
        (with("Transfer-Encoding: "), Refusal::BadTransferEncoding),
        (
            with("Transfer-Encoding: gzip"),
            Refusal::UnknownTransferCoding,
        ),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Refusal::EncodingInHttp10,
        ),
        (
            with(&format!("Connection: {}", "a,".repeat(17))),
            Refusal::BadConnection,
        ),
        (with("Connection: a b"), Refusal::BadConnection),
        (
            with("Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 1"),
            Refusal::UpgradeWithBody,
        ),
        (with("Expect: 200-ok"), Refusal::UnknownExpectation),
    ];
    for (request, expected) in cases {
        let shown = request.get(..request.len().min(80));
        assert_eq!(forwarded(request.as_bytes()), Err(expected), "{shown:?}");
    }
    for bad in [
        "+5",
        "-1",
        "0x5",
        "1_0",
        "1 0",
        "5, 5",
        "005",
        "00",
        "",
        "99999999999999999999",
    ] {
        let request = with(&format!("Content-Length: {bad}"));
        assert_eq!(
            forwarded(request.as_bytes()),
            Err(Refusal::BadContentLength),
            "{bad}"
        );
    }
}
