//! HTTP/1.1: heads and chunked bodies. What is forwarded must mean to the next reader what it
//! meant to us, and where the input is split must not matter.

use std::mem::MaybeUninit;
use std::net::SocketAddr;

use lb::l7::headers::{Edited, RequestEdits};
use lb::l7::http1::{
    BodyLength, ChunkedDecoder, ClientAddress, Forwarding, HeadLimits, MAX_FIELDS, RequestHead,
    parse_request, parse_response, write_request,
};

use super::{Body, outcome, seeds};

const LIMITS: HeadLimits = HeadLimits { bytes: 4096 };

const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: keep-alive, Host\r\n",
    b"Host: b\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\n",
    b"HTTP/1.0",
    b"http://h/",
    b"0\r\n\r\n",
    b"5;a=\"b\"\r\nhello\r\n",
];

pub(super) fn request() -> Body {
    let edits = every_edit();
    Body {
        name: "http-request",
        seeds: seeds(&[
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /a?b=c HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nX-Forwarded-For: 1.2.3.4\r\n\r\nhello",
            "PUT http://h/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "OPTIONS * HTTP/1.0\r\nConnection: keep-alive, X-A\r\nX-A: 1\r\n\r\n",
        ]),
        words: WORDS,
        run: Box::new(move |input| run_request(input, &edits)),
    }
}

fn run_request(input: &[u8], edits: &RequestEdits) -> u64 {
    let mut slots = [MaybeUninit::uninit(); MAX_FIELDS];
    let parsed = parse_request(input, &mut slots, LIMITS);
    let head = match parsed {
        Err(refusal) => return outcome((refusal.as_str(), 1)),
        Ok(None) => return outcome(0),
        Ok(Some(head)) => head,
    };
    assert!(head.bytes.len() <= LIMITS.bytes && input.starts_with(head.bytes));
    for edits in [None, Some(edits)] {
        check_forwarded(&head, edits);
    }
    outcome((
        head.method.len().min(8),
        kind(head.body),
        head.upgrade,
        head.fields.len(),
        head.removed,
    ))
}

/// Everything that a listener can change in requests.
fn every_edit() -> RequestEdits {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let edits = conf::HeaderEdits {
        client_port: true,
        trusted: Some(vec![]),
        forwarded: true,
        rewrites_host: true,
        trace: conf::Trace::Both,
        drop_invalid: true,
        request: conf::FieldEdits {
            remove: vec!["x-a".to_owned()],
            rename: vec![pair("x-b", "x-c")],
            insert: vec![pair("x-d", "1")],
        },
        ..conf::HeaderEdits::default()
    };
    RequestEdits::new(&edits).unwrap_or_else(|| unreachable!("it edits"))
}

/// One request stays one request, with and without edits.
fn check_forwarded(head: &RequestHead<'_, '_>, edits: Option<&RequestEdits>) {
    let address = SocketAddr::from(([192, 0, 2, 1], 9));
    let client = ClientAddress::new(address.ip());
    let local = SocketAddr::from(([127, 0, 0, 1], 80));
    let mut forwarded = Vec::new();
    let forwarding = Forwarding {
        client: &client,
        scheme: "http",
        local,
        identity: b"",
        edited: edits.map(|edits| Edited {
            edits,
            peer: address,
            tls: None,
        }),
    };
    write_request(&mut forwarded, head, forwarding);
    let mut slots = [MaybeUninit::uninit(); MAX_FIELDS];
    let roomy = HeadLimits { bytes: 64 * 1024 };
    match parse_request(&forwarded, &mut slots, roomy) {
        Ok(Some(again)) => {
            assert_eq!(
                again.bytes.len(),
                forwarded.len(),
                "one request becomes one request"
            );
            assert_eq!((again.method, again.body), (head.method, head.body));
            assert_eq!(again.upgrade, head.upgrade);
        }
        // Our own fields may be one too many.
        Err(_) if head.fields.len() + 12 > MAX_FIELDS => {}
        other => panic!(
            "forwarded as {:?}: {other:?}",
            forwarded.escape_ascii().to_string()
        ),
    }
}

pub(super) fn response() -> Body {
    Body {
        name: "http-response",
        seeds: seeds(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nx",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\r\n",
        ]),
        words: WORDS,
        run: Box::new(|input| {
            let outcomes = [false, true].map(|to_head| {
                let mut slots = [MaybeUninit::uninit(); MAX_FIELDS];
                match parse_response(input, &mut slots, LIMITS, to_head) {
                    Err(fault) => outcome(fault.as_str()),
                    Ok(None) => 0,
                    Ok(Some(head)) => {
                        assert!(input.starts_with(head.bytes));
                        assert!(!to_head || kind(head.body) == 0, "HEAD has no body");
                        outcome((
                            head.status / 100,
                            kind(head.body),
                            head.persists(),
                            head.fields.len(),
                        ))
                    }
                }
            });
            outcome(outcomes)
        }),
    }
}

pub(super) fn chunked() -> Body {
    Body {
        name: "http-chunked",
        seeds: seeds(&[
            "5\r\nhello\r\n0\r\n\r\n",
            "A;x=\"y\\\"z\";w\r\n0123456789\r\n0\r\nTrailer: a\r\n\r\nrest",
        ]),
        words: WORDS,
        run: Box::new(run_chunked),
    }
}

fn run_chunked(input: &[u8]) -> u64 {
    let mut whole = ChunkedDecoder::default();
    let at_once = whole.accept(input);
    let mut split = ChunkedDecoder::default();
    let mut taken = 0;
    let mut bytewise = Ok(());
    for byte in input {
        match split.accept(std::slice::from_ref(byte)) {
            Ok(count) => taken += count,
            Err(fault) => {
                bytewise = Err(fault);
                break;
            }
        }
    }
    match (at_once, bytewise) {
        (Ok(count), Ok(())) => assert_eq!((count, whole.is_done()), (taken, split.is_done())),
        (Err(one), Err(other)) => assert_eq!(one, other),
        (one, other) => panic!("at once {one:?}, byte by byte {other:?}"),
    }
    outcome((
        at_once.is_ok(),
        whole.is_done(),
        taken.min(64),
        format!("{:?}", at_once.err()),
    ))
}

fn kind(body: BodyLength) -> u8 {
    match body {
        BodyLength::Empty => 0,
        BodyLength::Counted(_) => 1,
        BodyLength::Chunked => 2,
        BodyLength::UntilClose => 3,
    }
}
