//! AXFR and IXFR out: a request judged, then answered message by message.
//!
//! Called by the TCP workers, which write each message before they ask for the next, so that a
//! slow secondary holds one message and no more; and by the UDP threads for IXFR, which is answered
//! there by the present SOA alone (RFC 1995 section 4), unless the client is up to date anyway.

use std::net::IpAddr;
use std::sync::Arc;

use conf::RecordType;

use super::content::{Content, Gone, is_newer};
use super::message::{Asked, Head, Walk, add_count, begin_answer};
use super::tsig::{Signature, Signer, check};
use super::{Outgoing, Published};
use crate::load::ParsedRecord;
use crate::wire::{HEADER_LEN, Rcode, Transport};

const TYPE_AXFR: u16 = 252;
const TYPE_IXFR: u16 = 251;
const CLASS_IN: u16 = 1;
/// Bytes of records gathered into a message: a reader takes no more than that at once anyway.
const MESSAGE: usize = 16 * 1024;
/// A record larger than that stands alone; the room is for header, question and signature.
const LARGEST: usize = 65_535;

/// What a request for a zone leads to.
#[derive(Debug)]
pub(crate) enum Begin {
    /// One message.
    Reply(Vec<u8>),
    /// Many.
    Stream(Box<Stream>),
}

/// True for a query whose type is AXFR or IXFR: what [`begin`] is for.
pub(crate) fn is_transfer(packet: &[u8]) -> bool {
    let Some(head) = packet.first_chunk::<HEADER_LEN>() else {
        return false;
    };
    let [_, _, flags, _, 0, 1, ..] = *head else {
        return false;
    };
    if flags & 0xf8 != 0 {
        return false;
    }
    let mut at = HEADER_LEN;
    loop {
        match packet.get(at) {
            Some(0) => break,
            Some(&length @ 1..=63) => at += usize::from(length) + 1,
            _ => return false,
        }
    }
    let rtype = packet.get(at + 1..at + 3);
    rtype == Some(&TYPE_AXFR.to_be_bytes()) || rtype == Some(&TYPE_IXFR.to_be_bytes())
}

/// Answers a request for a zone by `source`; `now` in seconds since 1970. `None`: send nothing.
pub(crate) fn begin(
    outgoing: &Arc<Outgoing>,
    packet: &[u8],
    source: IpAddr,
    transport: Transport,
    now: u32,
) -> Option<Begin> {
    let (head, mut walk) = Walk::begin(packet)?;
    let refuse =
        |asked: Option<&Asked>, rcode| Some(Begin::Reply(begin_answer(head, asked, rcode, false)));
    let Some(asked) = walk.question() else {
        return refuse(None, Rcode::FormErr);
    };
    let Some((signature, _)) = check(packet, &outgoing.keys, now) else {
        return refuse(Some(&asked), Rcode::FormErr);
    };
    let signer = match signature {
        Signature::None => None,
        Signature::Good(signer) => Some(signer),
        Signature::Bad(bad) => {
            let mut message = begin_answer(head, Some(&asked), Rcode::NotAuth, false);
            bad.push(&outgoing.keys, &mut message, now);
            return Some(Begin::Reply(message));
        }
    };
    let mut request = Request {
        outgoing,
        head,
        asked,
        signer,
        now,
    };
    let rcode = match outgoing.zone(source, &request.asked.name) {
        // Whether the zone is not here or nobody may copy it is not told.
        None => Rcode::Refused,
        _ if request.asked.class != CLASS_IN => Rcode::Refused,
        Some(zone) if !zone.permits(source, request.signer.as_ref().map(|s| s.key)) => {
            tracing::info!(zone = zone.id, %source, "a copy of the zone was refused");
            Rcode::Refused
        }
        Some(zone) => {
            let serial = known_serial(&mut walk, head);
            return Some(request.send(zone, source, transport, serial));
        }
    };
    Some(Begin::Reply(request.reply(rcode, &[])))
}

/// The serial that an IXFR names in its authority section.
fn known_serial(walk: &mut Walk<'_>, head: Head) -> Option<u32> {
    let [_, answers, authorities, _] = head.counts;
    for _ in 0..answers {
        walk.record()?;
    }
    for _ in 0..authorities {
        let record = walk.record()?;
        if record.rtype == RecordType::SOA.0 {
            let numbers = record.rdata.last_chunk::<20>()?;
            return numbers
                .first_chunk()
                .map(|bytes| u32::from_be_bytes(*bytes));
        }
    }
    None
}

struct Request<'o> {
    outgoing: &'o Arc<Outgoing>,
    head: Head,
    asked: Asked,
    signer: Option<Signer>,
    now: u32,
}

impl Request<'_> {
    fn send(
        &mut self,
        zone: &Published,
        source: IpAddr,
        transport: Transport,
        known: Option<u32>,
    ) -> Begin {
        let content = &zone.content;
        let incremental = self.asked.rtype == TYPE_IXFR;
        if transport == Transport::Udp && !incremental {
            // AXFR is for streams (RFC 5936 section 4.2).
            return Begin::Reply(self.reply(Rcode::FormErr, &[]));
        }
        if incremental && (transport == Transport::Udp || is_current(content, known)) {
            return Begin::Reply(self.reply(Rcode::NoError, &content.soa));
        }
        let changes = known
            .filter(|_| incremental)
            .and_then(|serial| content.since(serial));
        let parts = parts(content, changes.map(<[_]>::iter));
        let how = if changes.is_some() {
            "changes"
        } else {
            "whole"
        };
        tracing::info!(zone = zone.id, %source, serial = content.serial, "the zone is copied ({how})");
        Begin::Stream(Box::new(Stream {
            outgoing: self.outgoing.clone(),
            head: self.head,
            asked: self.asked.clone(),
            signer: self.signer.take(),
            parts,
            gone: match changes.is_some() {
                true => Arc::default(),
                false => content.gone.clone(),
            },
            part: 0,
            record: 0,
        }))
    }

    fn reply(&mut self, rcode: Rcode, records: &[ParsedRecord]) -> Vec<u8> {
        let good = rcode == Rcode::NoError;
        let mut message = begin_answer(self.head, Some(&self.asked), rcode, good);
        for record in records {
            push(&mut message, record, &self.asked);
        }
        if let Some(signer) = &mut self.signer {
            signer.sign(&self.outgoing.keys, &mut message, self.now);
        }
        message
    }
}

fn is_current(content: &Content, known: Option<u32>) -> bool {
    known.is_some_and(|known| !is_newer(content.serial, known))
}

/// The records in the order of the wire: SOA first and last; of changes each as what went and what
/// came, either after its SOA.
fn parts<'c>(
    content: &Content,
    changes: Option<impl Iterator<Item = &'c Arc<super::content::Change>>>,
) -> Vec<Arc<[ParsedRecord]>> {
    let mut parts = vec![content.soa.clone()];
    match changes {
        None => parts.extend([content.records.clone(), content.come.clone()]),
        Some(changes) => {
            for change in changes {
                parts.push(change.removed.clone());
                parts.push(change.added.clone());
            }
        }
    }
    parts.push(content.soa.clone());
    parts
}

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Stream {
    outgoing: Arc<Outgoing>,
    head: Head,
    asked: Asked,
    signer: Option<Signer>,
    parts: Vec<Arc<[ParsedRecord]>>,
    /// Records that are passed over.
    gone: Arc<Gone>,
    part: usize,
    record: usize,
}

impl Stream {
    /// The next message; `None` after the last.
    pub(crate) fn next(&mut self, now: u32) -> Option<Vec<u8>> {
        let mut message = begin_answer(self.head, Some(&self.asked), Rcode::NoError, true);
        let empty = message.len();
        while let Some(part) = self.parts.get(self.part) {
            let Some(record) = part.get(self.record) else {
                self.part += 1;
                self.record = 0;
                continue;
            };
            let size = record.owner.as_wire().len() + 10 + record.rdata.len();
            let full = message.len() + size > MESSAGE;
            if full && message.len() > empty {
                break;
            }
            self.record += 1;
            // What does not fit any message can be given to nobody.
            if empty + size > LARGEST || self.gone.contains(record) {
                continue;
            }
            push(&mut message, record, &self.asked);
        }
        if message.len() == empty {
            return None;
        }
        if let Some(signer) = &mut self.signer {
            signer.sign(&self.outgoing.keys, &mut message, now);
        }
        Some(message)
    }
}

/// Appends a record to the answer section; the zone's own name in its owner is a pointer to the
/// question.
fn push(message: &mut Vec<u8>, record: &ParsedRecord, asked: &Asked) {
    match record.owner.relative_wire(&asked.name) {
        Some(labels) if !asked.name.is_root() => {
            message.extend_from_slice(labels);
            message.extend_from_slice(&[0xc0, HEADER_LEN as u8]);
        }
        _ => message.extend_from_slice(record.owner.as_wire()),
    }
    message.extend_from_slice(&record.rtype.0.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    message.extend_from_slice(&record.ttl.to_be_bytes());
    message.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
    message.extend_from_slice(&record.rdata);
    add_count(message, 1, 1);
}
