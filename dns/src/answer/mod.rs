//! A packet in, a response out: the whole of answering, without sockets.
//!
//! Called by the UDP threads and TCP workers for every query, by tests and by whoever asks "what
//! would be answered". Pure but for the random draws and its own scratch space.
//! Cost: one pass over the query, one table lookup, one copy of the answer; no allocation, no
//! lock, no syscall, no clock.

mod resolve;

use std::net::IpAddr;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::location::Client;
use crate::metrics::{Decided, ZoneLabel};
use crate::snapshot::Snapshot;
use crate::wire::{
    Edns, Header, LowerName, Question, Rcode, Rejection, Response, Transport, Verdict, limit, parse,
};
use resolve::Resolver;

/// What was answered, for counting.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// Length of the response in the send buffer, in bytes.
    pub len: usize,
    /// Response code.
    pub rcode: Rcode,
    /// Type asked for; 0 when the question could not be read.
    pub qtype: u16,
    pub(crate) zone: ZoneLabel,
    pub(crate) decided: Option<Decided>,
}

/// Answers queries; one for each thread.
#[derive(Debug)]
pub struct Answerer {
    draw: SmallRng,
    name: LowerName,
}

impl Answerer {
    /// An answerer whose draws follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            draw: SmallRng::seed_from_u64(seed),
            name: LowerName::new(),
        }
    }

    /// Answers `packet`, sent by `source`, from `snapshot` into `out`, which should hold 1,232 bytes for UDP and
    /// 65,535 for TCP (a smaller one makes answers truncated). `None`: send nothing.
    pub fn answer(
        &mut self,
        snapshot: &Snapshot,
        packet: &[u8],
        source: IpAddr,
        transport: Transport,
        out: &mut [u8],
    ) -> Option<Answered> {
        match parse(packet, &mut self.name) {
            Verdict::Drop => None,
            Verdict::Reject(mut rejection) => {
                client(snapshot, source, &mut rejection.edns);
                reject(&rejection, out)
            }
            Verdict::Ask(mut question) => {
                let client = client(snapshot, source, &mut question.edns);
                self.look_up(snapshot, &question, client, transport, out)
            }
        }
    }

    fn look_up(
        &mut self,
        snapshot: &Snapshot,
        question: &Question<'_>,
        client: Client,
        transport: Transport,
        out: &mut [u8],
    ) -> Option<Answered> {
        let edns = question.edns;
        let response = Response::begin(out, limit(transport, edns), question.wire, edns)?;
        let mut resolver =
            Resolver::new(snapshot, response, question.qtype, client, &mut self.draw);
        let rcode = resolver.resolve(&mut self.name);
        let (zone, decided) = (resolver.zone_label, resolver.decided);
        Some(Answered {
            len: resolver.response.finish(question.header, rcode),
            rcode,
            qtype: question.qtype,
            zone,
            decided,
        })
    }
}

/// Who is asking. The option of a sender that is not believed is as good as not sent: it is taken
/// out, so that the answer does not carry one either.
fn client(snapshot: &Snapshot, source: IpAddr, edns: &mut Option<Edns>) -> Client {
    let sender = Client::from(source);
    let Some(edns) = edns else { return sender };
    let Some(subnet) = edns.subnet else {
        return sender;
    };
    if !snapshot.believes(sender.address) {
        edns.subnet = None;
        return sender;
    }
    subnet.client().unwrap_or(sender)
}

fn reject(rejection: &Rejection<'_>, out: &mut [u8]) -> Option<Answered> {
    let Rejection {
        header,
        rcode,
        wire,
        qtype,
        edns,
    } = *rejection;
    Some(Answered {
        len: bare(header, rcode, wire, edns, out)?,
        rcode,
        qtype,
        zone: ZoneLabel::NONE,
        decided: None,
    })
}

fn bare(
    header: Header,
    rcode: Rcode,
    question: &[u8],
    edns: Option<Edns>,
    out: &mut [u8],
) -> Option<usize> {
    let response = Response::begin(out, limit(Transport::Udp, None), question, edns)?;
    Some(response.finish(header, rcode))
}

#[cfg(test)]
mod tests;
