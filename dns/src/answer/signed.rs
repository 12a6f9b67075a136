//! What only few clients ask: signed questions (TSIG, RFC 8945), transfers over datagrams, notifications,
//! and questions that are for other servers.
//!
//! Called by [`Answerer`](super::Answerer) when a packet has a TSIG record or asks for a zone. The
//! question itself is answered as any other, then signed with the same key.
//! Cost: allocations and a digest or two; only for those who know a key's name.

use std::net::IpAddr;
use std::sync::Arc;

use conf::RecordType;

use super::{Answered, Answerer, Core, Sender};
use crate::forward::{Asked, Rule};
use crate::metrics::ZoneLabel;
use crate::snapshot::Snapshot;
use crate::transfer::tsig::{Signature, check};
use crate::transfer::{Begin, answer_bad, begin, heard};
use crate::wire::{LowerName, Rcode, Transport, Verdict, parse};
use crate::zone::Place;

/// The least a datagram may be limited to, signature included.
const PLAIN_MAX: usize = 512;
/// The RD bit.
const FLAG_RECURSE: u16 = 0x0100;

impl Answerer {
    /// The rule by which a question is for other servers, and the question; `None` when it is answered
    /// here. Of the domains of rules and the zones around a name the longest counts, and of one name the
    /// rule, as in Route 53; without the wish for recursion nobody else is asked.
    pub(crate) fn forwarded(
        &mut self,
        snapshot: &Snapshot,
        packet: &[u8],
        source: IpAddr,
    ) -> Option<(Arc<Rule>, Asked)> {
        let Verdict::Ask(question) = parse(packet, &mut self.name) else {
            return None;
        };
        let plain = !question.signed && !question.chaos && question.wire.ends_with(&[0, 1]);
        if !plain || question.header.flags & FLAG_RECURSE == 0 {
            return None;
        }
        let (rule, length) = snapshot.rules.find(source, self.name.wire())?;
        let qtype = RecordType(question.qtype);
        let zone = match snapshot
            .zones
            .look_up_for(source, self.name.wire(), None, qtype)
        {
            Place::Elsewhere => 0,
            Place::At(node) | Place::Missing(node) => node.zone().apex_len,
            Place::Delegated(node, ..) | Place::Renamed(node, ..) => node.zone().apex_len,
        };
        let asked = Asked::new(question.header, question.wire, question.edns);
        (zone <= length).then(|| (rule.clone(), asked))
    }
}

impl Core {
    /// Answers a question that has a TSIG record; the name is scratch space.
    pub(super) fn signed(
        &mut self,
        snapshot: &Snapshot,
        packet: &[u8],
        (name, sender): (&mut LowerName, Sender),
        out: &mut [u8],
    ) -> Option<Answered> {
        let keys = &snapshot.transfers.keys;
        let now = self.now.unix;
        let (mut signer, question) = match check(packet, keys, now)? {
            (Signature::Good(signer), question) => (signer, question),
            (Signature::Bad(bad), question) => {
                let message = answer_bad(bad, keys, &question, now)?;
                return reply(&message, Rcode::NotAuth, out);
            }
            (Signature::None, _) => return None,
        };
        let room = match sender.transport {
            Transport::Udp => out.len().max(PLAIN_MAX).saturating_sub(signer.room(keys)),
            Transport::Tcp => out.len().saturating_sub(signer.room(keys)),
        };
        let short = out.get_mut(..room)?;
        let came = (&question[..], sender.address, sender.transport);
        let mut answered = self.answer(&mut (), snapshot, came, (name, None), short)?;
        let mut message = out.get(..answered.len)?.to_vec();
        signer.sign(keys, &mut message, now);
        out.get_mut(..message.len())?.copy_from_slice(&message);
        answered.len = message.len();
        Some(answered)
    }

    /// Answers a notification, and passes on what it says.
    pub(super) fn heed(
        &mut self,
        snapshot: &Snapshot,
        packet: &[u8],
        source: IpAddr,
        out: &mut [u8],
    ) -> Option<Answered> {
        let (message, rcode, said) = heard(&snapshot.transfers, packet, source, self.now.unix)?;
        if let (Some(said), Some(notified)) = (said, &self.notified) {
            // With a full queue everything is about to be checked anyway, and timers come.
            let _ = notified.try_send(said);
        }
        reply(&message, rcode, out)
    }

    /// Answers a request for a zone in one message; what needs more is for streams.
    pub(super) fn transfer(
        &mut self,
        snapshot: &Snapshot,
        packet: &[u8],
        sender: Sender,
        out: &mut [u8],
    ) -> Option<Answered> {
        let (address, now) = (sender.address, self.now.unix);
        match begin(&snapshot.transfers, packet, address, Transport::Udp, now)? {
            Begin::Reply(message) => {
                let code = message.get(3).map_or(0, |flags| u16::from(flags & 0xf));
                let found = Rcode::ALL.into_iter().find(|rcode| rcode.number() == code);
                reply(&message, found.unwrap_or(Rcode::ServFail), out)
            }
            Begin::Stream(_) => None,
        }
    }
}

fn reply(message: &[u8], rcode: Rcode, out: &mut [u8]) -> Option<Answered> {
    out.get_mut(..message.len())?.copy_from_slice(message);
    Some(Answered {
        len: message.len(),
        rcode,
        qtype: 0,
        zone: ZoneLabel::NONE,
        decided: None,
    })
}
