//! What other servers answer to questions that forward rules passed on. Whatever comes, nothing panics,
//! and what a client gets of it can be read and is no longer than the client takes.

use super::{Body, outcome};

pub(super) fn body() -> Body {
    let a = &b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"[..];
    let cname = &b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01x\xc0\x10"[..];
    let opt = &b"\0\0\x29\x10\0\0\0\0\0\0\0"[..];
    let soa = &b"\xc0\x10\0\x06\0\x01\0\0\0\x50\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05"[..];
    Body {
        name: "forward",
        seeds: vec![
            answer(0, [&[a, a], &[], &[opt]]),
            answer(0, [&[cname, a], &[], &[a, opt]]),
            answer(3, [&[], &[soa], &[opt, a]]),
            answer(0, [&[], &[soa], &[]]),
            answer(0, [&[a; 80], &[], &[]]),
        ],
        words: &[
            b"\xc0\x0c",
            b"\xc0\x10",
            b"\0\x29\x10\0",
            b"\0\x01\0\x01",
            b"\xff\xff\xff\xff",
            b"\0\x06\0\x01",
        ],
        run: Box::new(|input| outcome(dns::read_forwarded(input))),
    }
}

fn answer(rcode: u16, sections: [&[&[u8]]; 3]) -> Vec<u8> {
    let mut message = Vec::new();
    let [answers, authority, additional] = sections.map(|records| records.len() as u16);
    for word in [7, 0x8180 | rcode, 1, answers, authority, additional] {
        message.extend(word.to_be_bytes());
    }
    message.extend(b"\x03www\x01a\x04test\0\0\x01\0\x01");
    for record in sections.into_iter().flatten() {
        message.extend(*record);
    }
    message
}
