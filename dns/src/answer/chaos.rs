//! Class CH: what the server says of itself, when the configuration lets it (RFC 4892).
//!
//! Called by [`Answerer`](super::Answerer). Without a word for it in the configuration every such
//! question is refused: what runs here is no stranger's business.

use conf::RecordType;

use super::{Answered, Frame};
use crate::guard::Guard;
use crate::metrics::ZoneLabel;
use crate::wire::{LowerName, Rcode, Section, Transport, limit};

const VERSION: [&[u8]; 2] = [b"\x07version\x04bind\0", b"\x07version\x06server\0"];
const HOSTNAME: [&[u8]; 2] = [b"\x08hostname\x04bind\0", b"\x02id\x06server\0"];
/// Owner, type TXT, class CH, TTL 0.
const HEAD: [u8; 10] = [0xc0, 0x0c, 0, 16, 0, 3, 0, 0, 0, 0];

/// Answers a question of class CH.
pub(super) fn answer(
    guard: &Guard,
    frame: Frame<'_>,
    name: &LowerName,
    out: &mut [u8],
) -> Option<Answered> {
    let text = match name.wire() {
        name if VERSION.contains(&name) => &guard.version,
        name if HOSTNAME.contains(&name) => &guard.hostname,
        _ => return frame.bare(Rcode::Refused, false, out),
    };
    if text.is_empty() {
        return frame.bare(Rcode::Refused, false, out);
    }
    let mut response = frame.begin(limit(Transport::Udp, None), out)?;
    response.authoritative = true;
    if [RecordType::TXT.0, RecordType::ANY.0].contains(&frame.qtype) {
        let length = text.len() as u8;
        let lengths = [0, length + 1, length];
        let pushed = [&HEAD[..], &lengths, text].map(|part| response.push_bytes(part));
        if pushed.iter().any(Result::is_err) || response.add(Section::Answer, 1).is_err() {
            response.truncate();
        }
    }
    Some(Answered {
        len: response.finish(frame.header, Rcode::NoError),
        rcode: Rcode::NoError,
        qtype: frame.qtype,
        zone: ZoneLabel::NONE,
        decided: None,
    })
}
