//! NOTIFY in (RFC 1996): a primary says that a zone changed.
//!
//! Called for messages of that opcode by the threads that answer. Judged and answered here; what
//! follows from it is the business of the task of secondary zones.

use std::net::IpAddr;

use conf::{KeyIdx, Peer, Permission, RecordType};

use super::message::{Walk, begin_answer};
use super::tsig::{Signature, check};
use super::{Outgoing, permits};
use crate::name::Name;
use crate::secondary::Notified;
use crate::wire::Rcode;

const QR: u16 = 0x8000;
const CLASS_IN: u16 = 1;

/// A zone that is copied from elsewhere: who is believed about it.
#[derive(Debug, Clone)]
pub(crate) struct Copied {
    pub(super) id: String,
    pub(super) origin: Name,
    pub(super) networks: Vec<ipnet::IpNet>,
    pub(super) primaries: Vec<Peer>,
    pub(super) allow: Vec<Permission>,
}

impl Copied {
    /// True when somebody at `source` who signed with `key` is believed. A primary need not send
    /// from the port it listens on.
    fn believes(&self, source: IpAddr, key: Option<KeyIdx>) -> bool {
        let source = source.to_canonical();
        let mut primaries = self.primaries.iter();
        let primary = primaries.any(|peer| {
            let same = peer.address.ip().to_canonical() == source;
            same && (peer.key.is_none() || peer.key == key)
        });
        primary || permits(&self.allow, source, key)
    }
}

/// The answer to a notification, and what it says; `now` in seconds since 1970. `None`: send
/// nothing.
pub(crate) fn heard(
    outgoing: &Outgoing,
    packet: &[u8],
    source: IpAddr,
    now: u32,
) -> Option<(Vec<u8>, Rcode, Option<Notified>)> {
    let (head, mut walk) = Walk::begin(packet)?;
    if head.flags & QR != 0 {
        return None;
    }
    let asked = match head.counts {
        [1, ..] => walk.question(),
        _ => None,
    };
    let refuse = |rcode| {
        let answer = begin_answer(head, asked.as_ref(), rcode, false);
        Some((answer, rcode, None))
    };
    let Some(question) = &asked else {
        return refuse(Rcode::FormErr);
    };
    let Some((signature, _)) = check(packet, &outgoing.keys, now) else {
        return refuse(Rcode::FormErr);
    };
    let mut signer = match signature {
        Signature::None => None,
        Signature::Good(signer) => Some(signer),
        Signature::Bad(bad) => {
            let mut answer = begin_answer(head, asked.as_ref(), Rcode::NotAuth, false);
            bad.push(&outgoing.keys, &mut answer, now);
            return Some((answer, Rcode::NotAuth, None));
        }
    };
    let key = signer.as_ref().map(|signer| signer.key);
    let is_soa = question.rtype == RecordType::SOA.0 && question.class == CLASS_IN;
    let (rcode, notified) = match outgoing.copied(source, &question.name) {
        None => (Rcode::NotAuth, None),
        Some(_) if !is_soa => (Rcode::FormErr, None),
        Some(zone) if !zone.believes(source, key) => {
            tracing::info!(zone = zone.id, %source, "a NOTIFY was refused");
            (Rcode::Refused, None)
        }
        Some(zone) => {
            let serial = (head.counts[1] > 0)
                .then(|| walk.record())
                .flatten()
                .filter(|record| record.rtype == RecordType::SOA.0)
                .and_then(|record| record.rdata.last_chunk::<20>()?.first_chunk().copied());
            let notified = Notified {
                id: zone.id.clone(),
                serial: serial.map(u32::from_be_bytes),
            };
            (Rcode::NoError, Some(notified))
        }
    };
    let mut answer = begin_answer(head, asked.as_ref(), rcode, rcode == Rcode::NoError);
    if let Some(signer) = &mut signer {
        signer.sign(&outgoing.keys, &mut answer, now);
    }
    Some((answer, rcode, notified))
}
