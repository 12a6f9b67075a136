//! The codec by tables of cases, and by properties: splitting never matters, arbitrary bytes never
//! panic, what is accepted is written again as it came.

use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024 };

/// The forwarded head, or the refusal, or `None` for more.
fn forwarded(bytes: &[u8]) -> Result<Option<String>, Refusal> {
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

const ADDED: &str =
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

/// Status, body length and relayed head of a response.
fn relayed(
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

/// A chunked body read the obvious way: data and end, or `None` when it is wrong or unfinished.
fn reference(mut bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let whole = bytes.len();
    let mut data = Vec::new();
    let line = |bytes: &mut &[u8]| -> Option<Vec<u8>> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = bytes[..end].to_vec();
        *bytes = &bytes[end + 2..];
        Some(line)
    };
    loop {
        let size = String::from_utf8(line(&mut bytes)?).ok()?;
        let size = size.split(';').next()?.to_owned();
        let size = usize::from_str_radix(&size, 16).ok()?;
        if size == 0 {
            while !line(&mut bytes)?.is_empty() {}
            return Some((data, whole - bytes.len()));
        }
        data.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// What our decoder makes of a body fed in pieces.
fn decoded(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), ChunkFault> {
    let mut decoder = ChunkedDecoder::default();
    let (mut data, mut taken) = (Vec::new(), 0);
    for piece in bytes.chunks(piece) {
        let mut at = 0;
        loop {
            match decoder.step(&piece[at..])? {
                Step::Framing(0) => break,
                Step::Framing(n) => at += n,
                Step::Data(n) => {
                    data.extend_from_slice(&piece[at..at + n]);
                    at += n;
                }
            }
        }
        taken += at;
        if at < piece.len() {
            break;
        }
    }
    Ok((data, taken, decoder.is_done()))
}

#[test]
fn which_chunked_bodies_are_refused() {
    use ChunkFault::{Malformed, Overhead, Trailer};
    let overhead = format!("1;{}\r\n", "a".repeat(17_000));
    let trailers = format!("0\r\nA: {}\r\n", "a".repeat(9_000));
    let cases: &[(&str, ChunkFault)] = &[
        ("\r\n", Malformed),
        (";a\r\n", Malformed),
        ("0x5\r\n", Malformed),
        ("-1\r\n", Malformed),
        (" 5\r\n", Malformed),
        ("5 \r\n", Malformed),
        ("5\n", Malformed),
        ("5\rh", Malformed),
        ("5;\r\n", Malformed),
        ("5;\nhello", Malformed),
        ("5;a\rX", Malformed),
        ("1_0", Malformed),
        ("5;\0a\r\n", Malformed),
        ("5\r\nhello0\r\n", Malformed),
        ("5\r\nhello\n0", Malformed),
        ("5\r\nhello!!\r\n", Malformed),
        ("FFFFFFFFFFFFFFFF0\r\n", Malformed),
        ("0\r\n\n", Trailer),
        ("0\r\nA\r\n", Trailer),
        ("0\r\n A: b\r\n", Trailer),
        ("0\r\nContent-Length: 5\r\n", Trailer),
        ("0\r\nHOST: x\r\n", Trailer),
        ("0\r\nA: b\0\r\n", Trailer),
        ("0\r\nA: b\nC: d\r\n", Trailer),
        (&overhead, Overhead),
        (&trailers, Overhead),
    ];
    for (body, fault) in cases {
        assert_eq!(decoded(body.as_bytes(), 7), Err(*fault), "{body:.40}");
    }
}

#[test]
fn extensions_and_trailers_pass() {
    let body =
        b"5;a=b;c=\"d;\\\"e\"\r\nhello\r\nA\r\n0123456789\r\n00\r\nX: \t y\xff\r\nZ:\r\n\r\nGET";
    for piece in 1..body.len() {
        let (data, taken, done) = decoded(body, piece).unwrap();
        assert_eq!(
            (data.as_slice(), taken, done),
            (&b"hello0123456789"[..], body.len() - 3, true)
        );
    }
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z-]{1,12}: [ -~]{0,20}",
        Just("Host: a".to_owned()),
        Just("Content-Length: 5".to_owned()),
        Just("Transfer-Encoding: chunked".to_owned()),
        Just("Connection: close, x-a".to_owned()),
        Just("Expect: 100-continue".to_owned()),
        Just(" folded".to_owned()),
        "[\\x00-\\x7f]{0,12}",
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(GET|POST|OPTIONS|G\\(T) [!-~]{1,12} HTTP/[0-2].[0-2]",
        Just("GET / HTTP/1.1".to_owned()),
        Just("GET http://a/ HTTP/1.1".to_owned()),
    ];
    let end = prop_oneof![9 => Just("\r\n"), 1 => Just("\n")];
    (line, prop::collection::vec((field(), end), 0..6)).prop_map(|(line, fields)| {
        let mut text = line + "\r\n";
        for (field, end) in fields {
            text += &field;
            text += end;
        }
        (text + "\r\nbody").into_bytes()
    })
}

proptest! {
    #[test]
    fn splitting_a_request_changes_nothing(bytes in request()) {
        let whole = forwarded(&bytes);
        let first = (1..=bytes.len()).find_map(|end| forwarded(&bytes[..end]).transpose());
        prop_assert_eq!(whole.transpose().map(|r| r.map_err(Refusal::status)),
                        first.map(|r| r.map_err(Refusal::status)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = forwarded(&bytes);
        let _ = relayed(&bytes, Version::Http11, false);
        let _ = decoded(&bytes, 3);
        let _ = forwarded(&[b"GET / HTTP/1.1\r\nHost: x\r\n", bytes.as_slice()].concat());
        let _ = relayed(&[b"HTTP/1.1 200 OK\r\n", bytes.as_slice()].concat(), Version::Http10, true);
    }

    #[test]
    fn plain_fields_are_written_as_they_came(fields in prop::collection::vec("X-[a-zA-Z0-9]{1,9}:[ \t]{0,2}[!-~]{1,9}[ ]?", 0..20)) {
        let lines: String = fields.iter().map(|f| format!("{f}\r\n")).collect();
        let request = format!("GET /p HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let out = forwarded(request.as_bytes()).unwrap().unwrap();
        let same = format!("GET /p HTTP/1.1\r\nHost: x\r\n{lines}{ADDED}\r\n");
        prop_assert_eq!(&out, &same);
        let again = forwarded(out.replace("X-Forwarded-For: 192.0.2.7\r\n", "").as_bytes());
        prop_assert_eq!(again.unwrap().unwrap(), same);
    }

    #[test]
    fn chunked_bodies_agree_with_the_reference(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..6),
        extension in prop::option::of(";[a-z]{1,4}=[a-z]{1,4}"),
        mutation in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        piece in 1_usize..20,
    ) {
        let mut body = Vec::new();
        for chunk in &chunks {
            let extension = extension.as_deref().unwrap_or_default();
            body.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\nX-T: 1\r\n\r\n");
        if let Some((index, byte)) = mutation {
            let at = index.index(body.len());
            body[at] = byte;
        } else {
            prop_assert_eq!(decoded(&body, piece).unwrap(), (chunks.concat(), body.len(), true));
        }
        // Ours may refuse more than the reference does, never read something else into it.
        if let Ok((data, taken, true)) = decoded(&body, piece) {
            prop_assert_eq!(reference(&body), Some((data, taken)));
        }
        prop_assert_eq!(decoded(&body, piece).is_ok(), decoded(&body, body.len()).is_ok());
    }
}
