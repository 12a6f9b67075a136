//! The codec by tables of cases, and by properties: splitting never matters, arbitrary bytes never
//! panic, what is accepted is written again as it came.

mod chunked;
mod requests;
mod responses;

use super::*;
use chunked::{decoded, reference};
use proptest::prelude::*;
use requests::{ADDED, forwarded};
use responses::relayed;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024 };

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
