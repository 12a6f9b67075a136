//! Whole messages off the query path: names and records read with compression, answers put
//! together in a vector.
//!
//! Used for transfers, notifications and signatures. Bounded by the message; never panics on any
//! bytes.

use crate::name::{MAX_NAME, Name};
use crate::wire::{HEADER_LEN, Rcode};

/// Flags of a response to a query, before code and RD.
const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
/// Opcode and RD come back as they were.
const COPIED: u16 = 0x7900;

/// The header's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// Questions and the records of the three sections.
    pub(crate) counts: [u16; 4],
}

/// The first question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) name: Name,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
}

/// One record as it stands in a message.
#[derive(Debug)]
pub(crate) struct Raw<'p> {
    /// Where it begins.
    pub(crate) at: usize,
    pub(crate) owner: Name,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    /// As sent: what passes 2^31 - 1 means 0 (RFC 2181 section 8).
    pub(crate) ttl: u32,
    pub(crate) rdata: &'p [u8],
    /// Where its data begin.
    pub(crate) rdata_at: usize,
}

/// Walks over a message from its start.
#[derive(Debug)]
pub(crate) struct Walk<'p> {
    packet: &'p [u8],
    at: usize,
}

impl<'p> Walk<'p> {
    /// The header, and a walk that stands behind it.
    pub(crate) fn begin(packet: &'p [u8]) -> Option<(Head, Self)> {
        let head = packet.first_chunk::<HEADER_LEN>()?;
        let (words, _) = head.as_chunks::<2>();
        let [id, flags, counts @ ..] = words else {
            return None;
        };
        let mut numbers = [0; 4];
        for (number, word) in numbers.iter_mut().zip(counts) {
            *number = u16::from_be_bytes(*word);
        }
        let head = Head {
            id: u16::from_be_bytes(*id),
            flags: u16::from_be_bytes(*flags),
            counts: numbers,
        };
        Some((
            head,
            Self {
                packet,
                at: HEADER_LEN,
            },
        ))
    }

    /// The next question.
    pub(crate) fn question(&mut self) -> Option<Asked> {
        let (name, at) = read_name(self.packet, self.at)?;
        let &[t1, t2, c1, c2] = self.packet.get(at..at + 4)?.first_chunk::<4>()?;
        self.at = at + 4;
        Some(Asked {
            name,
            rtype: u16::from_be_bytes([t1, t2]),
            class: u16::from_be_bytes([c1, c2]),
        })
    }

    /// The next record.
    pub(crate) fn record(&mut self) -> Option<Raw<'p>> {
        let start = self.at;
        let (owner, at) = read_name(self.packet, start)?;
        let &[t1, t2, c1, c2, s1, s2, s3, s4, l1, l2] =
            self.packet.get(at..)?.first_chunk::<10>()?;
        let rdata_at = at + 10;
        let end = rdata_at + usize::from(u16::from_be_bytes([l1, l2]));
        let rdata = self.packet.get(rdata_at..end)?;
        self.at = end;
        Some(Raw {
            at: start,
            owner,
            rtype: u16::from_be_bytes([t1, t2]),
            class: u16::from_be_bytes([c1, c2]),
            ttl: u32::from_be_bytes([s1, s2, s3, s4]),
            rdata,
            rdata_at,
        })
    }
}

/// The name that begins at `at`, and where what follows it begins. Pointers must lead backwards,
/// each further than the one before, so that there is an end.
pub(crate) fn read_name(packet: &[u8], at: usize) -> Option<(Name, usize)> {
    let mut wire = Vec::new();
    let (mut from, mut next, mut floor) = (at, None, at);
    loop {
        let length = *packet.get(from)?;
        match length {
            0 => {
                wire.push(0);
                let end = next.unwrap_or(from + 1);
                return Some((Name::from_wire(&wire).ok()?, end));
            }
            1..=63 => {
                let end = from + 1 + usize::from(length);
                wire.extend_from_slice(packet.get(from..end)?);
                if wire.len() >= MAX_NAME {
                    return None;
                }
                from = end;
            }
            0xc0.. => {
                let low = *packet.get(from + 1)?;
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                next.get_or_insert(from + 2);
                if target >= floor {
                    return None;
                }
                floor = target;
                from = target;
            }
            _ => return None,
        }
    }
}

/// Begins an answer to a message: its header, the question when one is given.
pub(crate) fn begin_answer(head: Head, asked: Option<&Asked>, rcode: Rcode, aa: bool) -> Vec<u8> {
    let mut flags = RESPONSE | (head.flags & COPIED) | (rcode.number() & 0xf);
    if aa {
        flags |= AUTHORITATIVE;
    }
    let mut message = Vec::with_capacity(512);
    for word in [head.id, flags, u16::from(asked.is_some()), 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    if let Some(asked) = asked {
        message.extend_from_slice(asked.name.as_wire());
        message.extend_from_slice(&asked.rtype.to_be_bytes());
        message.extend_from_slice(&asked.class.to_be_bytes());
    }
    message
}

/// Adds to a count of the header: 0 questions, 1 answer, 2 authority, 3 additional.
pub(crate) fn add_count(message: &mut [u8], section: usize, more: u16) {
    let at = 4 + 2 * section;
    if let Some(place) = message.get_mut(at..at + 2)
        && let Some(bytes) = place.first_chunk_mut::<2>()
    {
        *bytes = u16::from_be_bytes(*bytes).wrapping_add(more).to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_lead_backwards_or_nowhere() {
        let packet = b"\x03www\x04test\0\x01a\xc0\x04\xc0\x0c\x01b\xc0\x0a";
        let name = |at| read_name(packet, at).map(|(name, end)| (name.to_string(), end));
        assert_eq!(name(0), Some(("www.test.".to_owned(), 10)));
        assert_eq!(name(10), Some(("a.test.".to_owned(), 14)));
        assert_eq!(name(16), Some(("b.a.test.".to_owned(), 20)));
        for (packet, at) in [
            (&b"\xc0\x00"[..], 0),
            (b"\x01a\xc0\x00", 0),
            (b"\xc0\x02\xc0\x00", 2),
            (b"\x01a\xc0", 0),
            (b"\x03ab", 0),
            (b"\x80a", 0),
        ] {
            assert_eq!(
                read_name(packet, at).map(|(name, _)| name.to_string()),
                None,
                "{packet:?}"
            );
        }
    }
}
