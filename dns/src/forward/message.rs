//! Questions as they go out, and answers as they come back to clients.
//!
//! Sans-io; never panics on any bytes. Every question has an id, a port and a case of its own, so that
//! an answer that was not asked for is not taken (RFC 5452).

use rand::Rng;

use crate::transfer::message::{Walk, add_count};
use crate::wire::{Edns, Header, Transport};

const TYPE_OPT: u16 = 41;
const RD: u16 = 0x0100;
const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_TRUNCATED: u16 = 0x0200;
const FLAG_RECURSION: u16 = 0x0080;
const HEADER: usize = 12;
/// The largest datagram asked for and sent (DNS flag day 2020).
const UDP_MAX: u16 = 1232;
const UDP_PLAIN: usize = 512;
const SERVFAIL: u16 = 2;

/// What a client asks.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// Name, type and class as the client wrote them.
    pub(crate) question: Box<[u8]>,
    /// What it takes over UDP, when it speaks EDNS, and whether it wants signatures.
    pub(crate) edns: Option<(u16, bool)>,
}

impl Asked {
    /// From a parsed question.
    pub(crate) fn new(header: Header, question: &[u8], edns: Option<Edns>) -> Self {
        Self {
            id: header.id,
            flags: header.flags,
            question: question.into(),
            edns: edns.map(|edns| (edns.udp_size, edns.dnssec_ok)),
        }
    }

    /// The client wants signatures.
    pub(crate) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|(_, wanted)| wanted)
    }
}

/// The message that asks a server, its name in a case of chance.
pub(super) fn question(asked: &Asked, id: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(64 + asked.question.len());
    for word in [id, RD, 1, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    let mut random = rand::rng();
    let name = asked.question.len().saturating_sub(4);
    for (at, &byte) in asked.question.iter().enumerate() {
        // Lengths of labels are below 64, where no letter is.
        let flip = at < name && byte.is_ascii_alphabetic() && random.random();
        message.push(if flip { byte ^ 0x20 } else { byte });
    }
    message.extend_from_slice(&[0, 0, 41]);
    message.extend_from_slice(&UDP_MAX.to_be_bytes());
    let flags = if asked.dnssec_ok() { 0x80 } else { 0 };
    message.extend_from_slice(&[0, 0, flags, 0, 0, 0]);
    add_count(&mut message, 3, 1);
    message
}

/// What an answer is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not the answer to the question.
    Other,
    /// It is cut short: the rest comes over TCP.
    Truncated,
    /// The server does not answer this: another may.
    Refused,
    /// It is for the client.
    Good,
}

/// Judges what came in answer to `question`.
pub(super) fn judge(question: &[u8], answer: &[u8]) -> Verdict {
    let Some((head, _)) = Walk::begin(answer) else {
        return Verdict::Other;
    };
    let asked_end = question_end(question);
    let same = answer.get(HEADER..asked_end) == question.get(HEADER..asked_end);
    let id = answer.get(..2) == question.get(..2);
    if !id || !same || head.flags & FLAG_RESPONSE == 0 || head.flags & 0x7800 != 0 {
        return Verdict::Other;
    }
    if head.flags & FLAG_TRUNCATED != 0 {
        return Verdict::Truncated;
    }
    if !matches!(head.flags & 0xf, 0 | 3) {
        return Verdict::Refused;
    }
    if is_readable(answer) {
        Verdict::Good
    } else {
        Verdict::Refused
    }
}

/// Where the question of our own message ends.
fn question_end(message: &[u8]) -> usize {
    let mut at = HEADER;
    while let Some(&length @ 1..=63) = message.get(at) {
        at += usize::from(length) + 1;
    }
    at + 5
}

/// Seconds that a good answer may be kept: its least TTL, of a negative one its SOA's (RFC 2308
/// section 5), at most `most`. 0: not at all.
pub(super) fn lifetime(answer: &[u8], most: u32) -> u32 {
    let read = || {
        let (head, mut walk) = Walk::begin(answer)?;
        let [_, answers, authority, _] = head.counts;
        walk.question()?;
        let mut least = most;
        let mut soa = false;
        for index in 0..u32::from(answers) + u32::from(authority) {
            let record = walk.record()?;
            least = least.min(if record.ttl > i32::MAX as u32 {
                0
            } else {
                record.ttl
            });
            if index >= u32::from(answers) && record.rtype == 6 {
                soa = true;
                let minimum = record.rdata.last_chunk::<4>()?;
                least = least.min(u32::from_be_bytes(*minimum));
            }
        }
        (answers > 0 || soa).then_some(least)
    };
    read().unwrap_or(0)
}

/// The answer for a client, from a server's that is `age` seconds old.
pub(super) fn reply(asked: &Asked, answer: &[u8], age: u32, transport: Transport) -> Vec<u8> {
    let limit = match (transport, asked.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => UDP_PLAIN,
        (Transport::Udp, Some((size, _))) => usize::from(size.clamp(512, UDP_MAX)),
    };
    match rebuilt(asked, answer, age) {
        Some(message) if message.len() <= limit => message,
        Some(_) => bare(asked, 0, FLAG_TRUNCATED),
        None => failure(asked),
    }
}

fn rebuilt(asked: &Asked, answer: &[u8], age: u32) -> Option<Vec<u8>> {
    let (head, mut walk) = Walk::begin(answer)?;
    let [_, answers, authority, additional] = head.counts;
    walk.question()?;
    let mut message = answer.to_vec();
    // What stands behind the last record is nobody's.
    let mut end = HEADER + asked.question.len();
    let mut kept = additional;
    let kinds = [(answers, false), (authority, false), (additional, true)];
    for (count, extra) in kinds {
        for index in 0..count {
            let record = walk.record()?;
            if extra && record.rtype == TYPE_OPT {
                // Ours replaces it; what may stand behind it cannot be moved.
                end = record.at;
                kept = index;
                break;
            }
            let place = message.get_mut(record.rdata_at - 6..record.rdata_at - 2)?;
            place.copy_from_slice(&record.ttl.saturating_sub(age).to_be_bytes());
            end = record.rdata_at + record.rdata.len();
        }
    }
    message.truncate(end);
    message
        .get_mut(HEADER..HEADER + asked.question.len())?
        .copy_from_slice(&asked.question);
    let flags = FLAG_RESPONSE | FLAG_RECURSION | (asked.flags & RD) | (head.flags & 0xf);
    for (at, word) in [(0, asked.id), (2, flags), (10, kept)] {
        message
            .get_mut(at..at + 2)?
            .copy_from_slice(&word.to_be_bytes());
    }
    push_opt(asked, &mut message);
    // Names may have pointed into what was changed.
    is_readable(&message).then_some(message)
}

/// True when a message is whole: one question, and as many records as it says.
fn is_readable(message: &[u8]) -> bool {
    let read = || {
        let (head, mut walk) = Walk::begin(message)?;
        let [questions, records @ ..] = head.counts;
        walk.question()?;
        let mut records = 0..records.into_iter().map(u32::from).sum();
        Some(questions == 1 && records.all(|_| walk.record().is_some()))
    };
    read() == Some(true)
}

fn push_opt(asked: &Asked, message: &mut Vec<u8>) {
    if let Some((_, dnssec_ok)) = asked.edns {
        message.extend_from_slice(&[0, 0, 41]);
        message.extend_from_slice(&UDP_MAX.to_be_bytes());
        message.extend_from_slice(&[0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        add_count(message, 3, 1);
    }
}

/// No server answered.
pub(super) fn failure(asked: &Asked) -> Vec<u8> {
    bare(asked, SERVFAIL, 0)
}

fn bare(asked: &Asked, rcode: u16, more: u16) -> Vec<u8> {
    let flags = FLAG_RESPONSE | FLAG_RECURSION | (asked.flags & RD) | rcode | more;
    let mut message = Vec::new();
    for word in [asked.id, flags, 1, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(&asked.question);
    push_opt(asked, &mut message);
    message
}

#[cfg(test)]
mod tests;
