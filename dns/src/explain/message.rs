//! A response read back into text. Trusts nothing: what cannot be read ends the section.

use conf::RecordType;

use super::Line;
use crate::name::{MAX_NAME, Name};
use crate::rdata;
use crate::wire::Rcode;

/// What a response holds.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) rcode: u8,
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Line>,
    pub(super) authority: Vec<Line>,
}

/// Reads a response of ours.
pub(super) fn read(bytes: &[u8]) -> Message {
    let mut message = Message::default();
    let Some(&[_, _, high, low, _, questions, a1, a2, n1, n2, _, _]) = bytes.first_chunk::<12>()
    else {
        return message;
    };
    message.authoritative = high & 4 != 0;
    message.rcode = low & 15;
    let mut at = 12;
    for _ in 0..questions {
        let Some((_, end)) = name(bytes, at) else {
            return message;
        };
        at = end + 4;
    }
    let mut section = |count: u16| -> Vec<Line> {
        let mut lines = Vec::new();
        for _ in 0..count {
            let Some((line, end)) = record(bytes, at) else {
                break;
            };
            lines.push(line);
            at = end;
        }
        lines
    };
    message.answers = section(u16::from_be_bytes([a1, a2]));
    message.authority = section(u16::from_be_bytes([n1, n2]));
    message
}

/// The word for a response code.
pub(super) fn rcode(code: u8) -> String {
    let known = Rcode::ALL
        .into_iter()
        .find(|rcode| rcode.number() == u16::from(code));
    known.map_or_else(|| code.to_string(), |rcode| rcode.as_str().to_owned())
}

fn record(bytes: &[u8], at: usize) -> Option<(Line, usize)> {
    let (name, at) = name(bytes, at)?;
    let head = bytes.get(at..)?.first_chunk::<10>()?;
    let [t1, t2, _, _, ttl @ .., l1, l2] = *head;
    let start = at + 10;
    let end = start + usize::from(u16::from_be_bytes([l1, l2]));
    let rtype = RecordType(u16::from_be_bytes([t1, t2]));
    let line = Line {
        name: name.to_string(),
        ttl: u32::from_be_bytes(ttl),
        r#type: rtype.to_string(),
        data: rdata::show(rtype, bytes.get(start..end)?),
    };
    Some((line, end))
}

/// The name at a place, and where what follows it begins.
fn name(bytes: &[u8], mut at: usize) -> Option<(Name, usize)> {
    let mut wire = Vec::new();
    let mut end = None;
    // Each step takes a byte of the name at least or follows a pointer: more means a loop.
    for _ in 0..MAX_NAME {
        let length = *bytes.get(at)?;
        if length >= 0xc0 {
            let low = *bytes.get(at + 1)?;
            end = end.or(Some(at + 2));
            at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
            continue;
        }
        let next = at + 1 + usize::from(length);
        wire.extend_from_slice(bytes.get(at..next)?);
        if length == 0 {
            return Some((Name::from_wire(&wire).ok()?, end.unwrap_or(next)));
        }
        at = next;
    }
    None
}
