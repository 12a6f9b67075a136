//! An UPDATE message taken apart (RFC 2136 section 2), and judged as far as no zone is needed.
//!
//! Called by the threads that answer: what may not be, and what cannot be read, is answered there;
//! the rest goes to the control task. Never panics on any bytes.

use std::net::IpAddr;

use conf::{Permission, RecordType};

use crate::name::Name;
use crate::rdata;
use crate::transfer::message::{Head, Raw, Walk, begin_answer, read_name};
use crate::transfer::tsig::{Signature, Signer, check};
use crate::transfer::{Outgoing, got, permits};
use crate::wire::Rcode;

const QR: u16 = 0x8000;
pub(super) const CLASS_IN: u16 = 1;
pub(super) const CLASS_NONE: u16 = 254;
pub(super) const CLASS_ANY: u16 = 255;
const TYPE_OPT: u16 = 41;

/// A zone that may be updated, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Updatable {
    pub(crate) id: String,
    pub(crate) origin: Name,
    pub(crate) networks: Vec<ipnet::IpNet>,
    pub(crate) allow: Vec<Permission>,
}

/// A record of a prerequisite or of an update.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) owner: Name,
    pub(crate) rtype: RecordType,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// The data, names uncompressed; `None` when they are not of the type.
    pub(crate) rdata: Option<Box<[u8]>>,
    /// Bytes of data in the message.
    pub(crate) length: usize,
}

/// An update that its sender may ask for.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) id: String,
    pub(crate) source: IpAddr,
    pub(crate) prerequisites: Vec<Entry>,
    pub(crate) updates: Vec<Entry>,
    pub(crate) reply: Replier,
}

/// What an answer is made from.
#[derive(Debug)]
pub(crate) struct Replier {
    head: Head,
    zone: crate::transfer::message::Asked,
    signer: Option<Signer>,
    edns: bool,
}

/// What becomes of a message.
#[derive(Debug)]
pub(crate) enum Judged {
    /// It is answered with this.
    Reply(Vec<u8>),
    /// It is carried out.
    Update(Box<Update>),
}

/// Judges a message; `now` in seconds since 1970. `None`: send nothing.
pub(crate) fn judge(
    outgoing: &Outgoing,
    packet: &[u8],
    source: IpAddr,
    now: u32,
) -> Option<Judged> {
    let (head, mut walk) = Walk::begin(packet)?;
    if head.flags & QR != 0 {
        return None;
    }
    let bare = |rcode| {
        let answer = begin_answer(head, None, rcode, false);
        Some(Judged::Reply(answer))
    };
    let [zones, prerequisites, updates, additional] = head.counts;
    // Section 3.1.1: one zone, named by its SOA.
    let Some(zone) = (zones == 1).then(|| walk.question()).flatten() else {
        return bare(Rcode::FormErr);
    };
    let Some((signature, _)) = check(packet, &outgoing.keys, now) else {
        return bare(Rcode::FormErr);
    };
    let signer = match signature {
        Signature::None => None,
        Signature::Good(signer) => Some(signer),
        Signature::Bad(bad) => {
            let mut answer = begin_answer(head, Some(&zone), Rcode::NotAuth, false);
            bad.push(&outgoing.keys, &mut answer, now);
            return Some(Judged::Reply(answer));
        }
    };
    let key = signer.as_ref().map(|signer| signer.key);
    let named = outgoing.updatable.iter().filter(|z| z.origin == zone.name);
    let found = got(source, named, |zone| &zone.networks);
    let served = outgoing.copied(source, &zone.name).is_some();
    let soa = zone.rtype == RecordType::SOA.0;
    let class = zone.class;
    let mut reply = Replier {
        head,
        zone,
        signer,
        edns: false,
    };
    let answer =
        |reply: Replier, rcode| Some(Judged::Reply(reply.answer(outgoing, rcode, "", now)));
    if !soa {
        return answer(reply, Rcode::FormErr);
    }
    let (Some(found), CLASS_IN) = (found, class) else {
        // A secondary would have to pass it on (section 3.1.3).
        let rcode = if served {
            Rcode::NotImp
        } else {
            Rcode::NotAuth
        };
        return answer(reply, rcode);
    };
    // Before the prerequisites, which would tell everybody what is in the zone (section 3.3 comes
    // after them only by its number).
    if !permits(&found.allow, source, key) {
        tracing::info!(zone = found.id, %source, "an update was refused");
        return answer(reply, Rcode::Refused);
    }
    let mut read = |count: u16| -> Option<Vec<Entry>> {
        (0..count)
            .map(|_| Some(entry(packet, &walk.record()?)))
            .collect()
    };
    let (Some(prerequisites), Some(updates), Some(extra)) =
        (read(prerequisites), read(updates), read(additional))
    else {
        return answer(reply, Rcode::FormErr);
    };
    reply.edns = extra.iter().any(|record| record.rtype.0 == TYPE_OPT);
    Some(Judged::Update(Box::new(Update {
        id: found.id.clone(),
        source,
        prerequisites,
        updates,
        reply,
    })))
}

fn entry(packet: &[u8], raw: &Raw<'_>) -> Entry {
    let rtype = RecordType(raw.rtype);
    let place = (raw.rdata_at, raw.rdata_at + raw.rdata.len());
    let rdata = match raw.rdata.is_empty() {
        // A type of no bytes at all is none of those that are known here.
        true => Some(Box::default()),
        false => rdata::expand(rtype, packet, place, read_name),
    };
    Entry {
        owner: raw.owner.clone(),
        rtype,
        class: raw.class,
        ttl: raw.ttl,
        rdata,
        length: raw.rdata.len(),
    }
}

impl Replier {
    /// The answer; `why` goes into an extended error where the client speaks EDNS.
    pub(crate) fn answer(
        mut self,
        outgoing: &Outgoing,
        rcode: Rcode,
        why: &str,
        now: u32,
    ) -> Vec<u8> {
        let mut answer = begin_answer(self.head, Some(&self.zone), rcode, false);
        if self.edns {
            push_opt(&mut answer, why);
        }
        if let Some(signer) = &mut self.signer {
            signer.sign(&outgoing.keys, &mut answer, now);
        }
        answer
    }
}

/// An OPT record, with extended error 18 (Prohibited, RFC 8914) when there is something to say.
fn push_opt(answer: &mut Vec<u8>, why: &str) {
    let mut option = Vec::new();
    if !why.is_empty() {
        let length = 2 + why.len();
        for word in [15, length as u16, 18] {
            option.extend_from_slice(&word.to_be_bytes());
        }
        option.extend_from_slice(why.as_bytes());
    }
    answer.extend_from_slice(&[0, 0, 41]);
    answer.extend_from_slice(&1232_u16.to_be_bytes());
    answer.extend_from_slice(&[0; 4]);
    answer.extend_from_slice(&(option.len() as u16).to_be_bytes());
    answer.extend_from_slice(&option);
    crate::transfer::message::add_count(answer, 3, 1);
}
