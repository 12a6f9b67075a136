//! Desync mitigation: any bytes have a tier, and what is written again is one head or refused.

use std::mem::MaybeUninit;

use lb::l7::desync::{classify, head_length, normalise};
use lb::l7::http1::{HeadLimits, MAX_FIELDS, parse_request};

use super::{Body, outcome, seeds};

const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer_Encoding : identity\r\n",
    b"Content-Length: 5\r\n",
    b"\r\n Content-Length: 6\r\n",
    b": empty\r\n",
    b"Host: b\r\n",
];

pub(super) fn body() -> Body {
    Body {
        name: "http-desync",
        seeds: seeds(&[
            "GET /a b HTTP/1.1\nHost: a\n\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "PUT / HTTP/1.9\r\nHost: a\r\nX: y\r\n z\r\nContent-Type: a\r\n b:c\r\n\r\n",
        ]),
        words: WORDS,
        run: Box::new(run),
    }
}

fn run(input: &[u8]) -> u64 {
    let verdict = classify(input);
    let Some(length) = head_length(input) else {
        return outcome((verdict.reason, 0));
    };
    let mut out = Vec::new();
    let http10 = normalise(&mut out, input.get(..length).unwrap_or_default());
    let mut slots = [MaybeUninit::uninit(); MAX_FIELDS];
    let limits = HeadLimits { bytes: 1 << 20 };
    let passes = match parse_request(&out, &mut slots, limits) {
        Ok(Some(head)) => {
            assert_eq!(
                head.bytes.len(),
                out.len(),
                "one request becomes one request"
            );
            true
        }
        Ok(None) => panic!("unfinished: {:?}", out.escape_ascii().to_string()),
        Err(_) => false,
    };
    outcome((verdict.reason, http10, passes))
}
