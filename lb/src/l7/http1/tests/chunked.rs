//! Chunked bodies against a plain reference.

use super::*;

/// A chunked body read the obvious way: data and end, or `None` when it is wrong or unfinished.
pub(super) fn reference(mut bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
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
pub(super) fn decoded(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), ChunkFault> {
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
