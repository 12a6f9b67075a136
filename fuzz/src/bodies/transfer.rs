//! What a primary sends: whole zones and changes, as the task of secondary zones reads them.
//!
//! Input is a stream of messages with their lengths before them, as on TCP. Whatever comes, nothing
//! panics, and what is taken has one SOA record, at its apex, and no record outside of the zone.

use super::{Body, outcome};

pub(super) fn body() -> Body {
    let a = (&b"\x03www\xc0\x0c"[..], 1, &[192, 0, 2, 1][..]);
    let mx = (&b"\xc0\x0c"[..], 15, &b"\0\x05\x03www\xc0\x0c"[..]);
    let (five, six) = (soa(5), soa(6));
    let (five, six) = (
        (&b"\xc0\x0c"[..], 6, &five[..]),
        (&b"\xc0\x0c"[..], 6, &six[..]),
    );
    Body {
        name: "transfer",
        seeds: vec![
            stream(252, &[&[five, a, mx, five]]),
            stream(252, &[&[five], &[a], &[mx, five]]),
            stream(251, &[&[six, five, a, six, mx, six]]),
            stream(251, &[&[six, a, mx, six]]),
            stream(251, &[&[five]]),
        ],
        words: &[
            b"\xc0\x0c",
            b"\0\x06\0\x01",
            b"\0\x01\0\x01",
            b"\0\x05\0\x01",
            b"\0\xfa\0\xff",
            b"\x03www",
            b"\0\0\0\x05",
        ],
        run: Box::new(|input| outcome(dns::read_transfer(input))),
    }
}

type Record<'r> = (&'r [u8], u16, &'r [u8]);

fn stream(qtype: u16, messages: &[&[Record<'_>]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for records in messages {
        let mut message = Vec::new();
        for word in [7_u16, 0x8400, 1, records.len() as u16, 0, 0] {
            message.extend(word.to_be_bytes());
        }
        message.extend(b"\x01a\x04test\0");
        message.extend(qtype.to_be_bytes());
        message.extend([0, 1]);
        for (owner, rtype, data) in *records {
            message.extend(*owner);
            message.extend(rtype.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60]);
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(*data);
        }
        bytes.extend((message.len() as u16).to_be_bytes());
        bytes.extend(message);
    }
    bytes
}

fn soa(serial: u32) -> Vec<u8> {
    let mut data = vec![0, 0];
    for number in [serial, 2, 3, 4, 5] {
        data.extend(number.to_be_bytes());
    }
    data
}
