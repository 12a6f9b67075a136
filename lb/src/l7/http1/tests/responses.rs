//! Response heads: how they are framed and relayed, and which are not.

use super::*;

/// Status, body length and relayed head of a response.
pub(super) fn relayed(
    bytes: &[u8],
    client: Version,
    to_head: bool,
) -> Result<Option<(u16, BodyLength, String)>, ResponseFault> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let limits = HeadLimits { bytes: 32 * 1024 };
    let Some(head) = parse_response(bytes, &mut slots, limits, to_head)? else {
        return Ok(None);
    };
    let mut out = Vec::new();
    let close = !head.persists();
    write_response(
        &mut out,
        &head,
        ResponseEdit {
            client,
            close,
            edits: None,
        },
    );
    Ok(Some((
        head.status,
        head.body,
        String::from_utf8_lossy(&out).into_owned(),
    )))
}

#[test]
fn how_responses_are_framed_and_relayed() {
    use BodyLength::{Chunked, Counted, Empty, UntilClose};
    let cases: &[(&str, bool, BodyLength, &str)] = &[
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            false,
            Counted(5),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n",
            true,
            Empty,
            "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "HTTP/1.0 200 OK\r\nA: b\r\n\r\n",
            false,
            UntilClose,
            "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
            Chunked,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n",
            false,
            Empty,
            "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
            false,
            Empty,
            "HTTP/1.1 204 No\r\n\r\n",
        ),
        (
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
            false,
            Empty,
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
        ),
        (
            "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            false,
            Empty,
            "HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            "HTTP/1.1 101 Go\r\nConnection: upgrade, y\r\nUpgrade: x\r\nY: 1\r\n\r\n",
            false,
            Empty,
            "HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nUpgrade: h2\r\nKeep-Alive: timeout=5\r\nConnection: a\r\nA: 1\r\n\
          Content-Length: 0\r\n\r\n",
            false,
            Empty,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
    ];
    for (response, to_head, body, expected) in cases {
        let got = relayed(response.as_bytes(), Version::Http11, *to_head)
            .unwrap()
            .unwrap();
        assert_eq!((got.1, got.2.as_str()), (*body, *expected), "{response}");
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nB: c\r\n\r\n";
    let got = relayed(chunked.as_bytes(), Version::Http10, false)
        .unwrap()
        .unwrap();
    assert_eq!(
        got.2,
        "HTTP/1.1 200 OK\r\nB: c\r\nConnection: keep-alive\r\n\r\n"
    );
}

#[test]
fn which_responses_are_not_relayed() {
    let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
    let cases: Vec<(String, ResponseFault)> = vec![
        (
            "\r\nHTTP/1.1 200 OK\r\n\r\n".into(),
            ResponseFault::BadStatusLine,
        ),
        ("ICY 200 OK\r\n\r\n".into(), ResponseFault::BadStatusLine),
        (
            "HTTP/2.0 200 OK\r\n\r\n".into(),
            ResponseFault::BadStatusLine,
        ),
        (
            "HTTP/1.1 20 OK\r\n\r\n".into(),
            ResponseFault::BadStatusLine,
        ),
        (
            "HTTP/1.1 099 OK\r\n\r\n".into(),
            ResponseFault::BadStatusLine,
        ),
        (
            "HTTP/1.1 200 OK\nA: b\r\n\r\n".into(),
            ResponseFault::BadField,
        ),
        (ok("A: b\r\n c"), ResponseFault::BadField),
        (ok("A : b"), ResponseFault::BadField),
        (
            ok(&format!("A: {}", "b".repeat(33_000))),
            ResponseFault::LargeHead,
        ),
        (
            ok("Content-Length: 1\r\nContent-Length: 2"),
            ResponseFault::BadLength,
        ),
        (
            ok("Content-Length: 1\r\nTransfer-Encoding: chunked"),
            ResponseFault::BadLength,
        ),
        (
            ok("Transfer-Encoding: gzip, chunked"),
            ResponseFault::BadLength,
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            ResponseFault::BadLength,
        ),
    ];
    for (response, expected) in cases {
        let got = relayed(response.as_bytes(), Version::Http11, false);
        assert_eq!(got.err(), Some(expected), "{response:.60}");
    }
}

#[test]
fn keep_alive_timeouts_and_persistence() {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let bytes = b"HTTP/1.1 204 x\r\nKeep-Alive: max=3, timeout=7\r\n\r\n";
    let head = parse_response(bytes, &mut slots, LIMITS, false)
        .unwrap()
        .unwrap();
    assert_eq!((head.keep_alive_timeout, head.persists()), (Some(7), true));
    for (fields, persists) in [("Connection: close\r\n", false), ("", true)] {
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let text = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let head = parse_request(text.as_bytes(), &mut slots, LIMITS)
            .unwrap()
            .unwrap();
        assert_eq!(head.persists(), persists);
    }
}
