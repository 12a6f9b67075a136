//! A packet in, a response out: the whole of answering, without sockets.
//!
//! Called by the UDP threads and TCP workers for every query, by tests and by whoever asks "what
//! would be answered". Pure but for the random draws, its own scratch space and the rate limiter's
//! table; the time is told to it.
//! Cost: one pass over the query, one table lookup, one copy of the answer; no allocation, no
//! lock, no syscall, no clock.

mod ahead;
mod chaos;
mod resolve;
mod signed;

use std::net::IpAddr;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::mpsc;

use crate::guard::{Guard, Kind, Verdict as Limit};
use crate::location::Client;
use crate::metrics::{Decided, ZoneLabel};
use crate::policy::Witness;
use crate::secondary::Notified;
use crate::snapshot::Snapshot;
use crate::transfer::is_transfer;
use crate::wire::{
    Edns, Header, LowerName, Options, Rcode, Response, Transport, Verdict, limit, parse_rest,
};
use ahead::{Ahead, Foreseen};
use resolve::{Asked, Resolver};

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

/// The time of answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// Seconds since 1970, which cookies bear; they wrap in 2106.
    pub unix: u32,
    /// The same in microseconds, for records of what was asked.
    pub unix_micros: u64,
    /// Microseconds of a clock that never goes back, which rate limits are counted by.
    pub micros: u64,
}

/// Answers queries; one for each thread.
#[derive(Debug)]
pub struct Answerer {
    core: Core,
    /// The name of a query that nobody looked at before its turn.
    name: LowerName,
    ahead: Ahead,
}

/// What answering needs besides the name.
#[derive(Debug)]
struct Core {
    draw: SmallRng,
    now: Moment,
    /// Who is told of notifications.
    notified: Option<mpsc::Sender<Notified>>,
}

/// Who asks, as far as the packet tells.
#[derive(Debug, Clone, Copy)]
struct Sender {
    address: IpAddr,
    transport: Transport,
    /// It has shown that it receives what is sent to its address: by TCP or by a cookie.
    proven: bool,
}

/// What every answer, short or long, begins and ends with.
#[derive(Debug, Clone, Copy)]
struct Frame<'p> {
    header: Header,
    wire: &'p [u8],
    qtype: u16,
    edns: Option<&'p Edns>,
    options: &'p Options,
}

impl Answerer {
    /// An answerer whose draws follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            core: Core {
                draw: SmallRng::seed_from_u64(seed),
                now: Moment::default(),
                notified: None,
            },
            name: LowerName::new(),
            ahead: Ahead::default(),
        }
    }

    /// Tells `notified` of zones that changed elsewhere.
    pub(crate) fn telling(mut self, notified: mpsc::Sender<Notified>) -> Self {
        self.core.notified = Some(notified);
        self
    }

    /// Has fetched what the answers to a batch of queries will be read from, of all queries at once: one
    /// by one each would wait for memory several times. `each` shows the queries by their places, by
    /// which [`Answerer::answer_foreseen`] answers them.
    pub(crate) fn foresee(
        &mut self,
        snapshot: &Snapshot,
        each: impl FnOnce(&mut dyn FnMut(usize, &[u8])),
    ) {
        self.ahead.look(&snapshot.zones, each);
    }

    /// Tells the time of the answers that follow.
    pub fn set_now(&mut self, now: Moment) {
        self.core.now = now;
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
        self.answer_before(&mut (), snapshot, packet, source, transport, out)
    }

    /// The same before a witness.
    pub(crate) fn answer_before(
        &mut self,
        witness: &mut impl Witness,
        snapshot: &Snapshot,
        packet: &[u8],
        source: IpAddr,
        transport: Transport,
        out: &mut [u8],
    ) -> Option<Answered> {
        let came = (packet, source, transport);
        let asked = (&mut self.name, None);
        self.core.answer(witness, snapshot, came, asked, out)
    }

    /// Answers a datagram that stood at `place` when [`Answerer::foresee`] looked last, with this
    /// `snapshot`, if it did look.
    pub(crate) fn answer_foreseen(
        &mut self,
        place: usize,
        snapshot: &Snapshot,
        packet: &[u8],
        source: IpAddr,
        out: &mut [u8],
    ) -> Option<Answered> {
        let came = (packet, source, Transport::Udp);
        let asked = match self.ahead.get(place) {
            Some((name, foreseen)) => (name, Some(foreseen)),
            None => (&mut self.name, None),
        };
        self.core.answer(&mut (), snapshot, came, asked, out)
    }
}

/// A packet, its sender, and the way it came.
type Came<'p> = (&'p [u8], IpAddr, Transport);

impl Core {
    /// `name` has the question's name in it if it was `foreseen`, and is scratch space.
    fn answer(
        &mut self,
        witness: &mut impl Witness,
        snapshot: &Snapshot,
        (packet, source, transport): Came<'_>,
        (name, foreseen): (&mut LowerName, Option<Foreseen>),
        out: &mut [u8],
    ) -> Option<Answered> {
        let mut options = Options::NONE;
        let mut sender = Sender {
            address: source,
            transport,
            proven: transport == Transport::Tcp,
        };
        match parse_rest(packet, name, foreseen.map(|foreseen| foreseen.end)) {
            Verdict::Drop => None,
            Verdict::Notify => self.heed(snapshot, packet, source, out),
            Verdict::Reject(mut rejection) => {
                client(snapshot, source, &mut rejection.edns);
                let edns = rejection.edns.as_ref();
                self.options(&snapshot.guard, edns, &mut sender, &mut options);
                if is_transfer(packet) {
                    return self.transfer(snapshot, packet, sender, out);
                }
                let frame = Frame {
                    header: rejection.header,
                    wire: rejection.wire,
                    qtype: rejection.qtype,
                    edns,
                    options: &options,
                };
                let answered = frame.bare(rejection.rcode, false, out)?;
                self.limit(snapshot, (name, sender), frame, answered, out)
            }
            Verdict::Ask(question) if question.signed => {
                self.signed(snapshot, packet, (name, sender), out)
            }
            Verdict::Ask(mut question) => {
                let client = client(snapshot, source, &mut question.edns);
                let edns = question.edns.as_ref();
                self.options(&snapshot.guard, edns, &mut sender, &mut options);
                let frame = Frame {
                    header: question.header,
                    wire: question.wire,
                    qtype: question.qtype,
                    edns,
                    options: &options,
                };
                let answered = if question.chaos {
                    chaos::answer(&snapshot.guard, frame, name, out)?
                } else {
                    {
                        let hash = foreseen.map(|foreseen| foreseen.hash);
                        self.look_up(
                            witness,
                            snapshot,
                            frame,
                            (client, sender),
                            (name, hash),
                            out,
                        )?
                    }
                };
                self.limit(snapshot, (name, sender), frame, answered, out)
            }
        }
    }

    fn look_up(
        &mut self,
        witness: &mut impl Witness,
        snapshot: &Snapshot,
        frame: Frame<'_>,
        (client, sender): (Client, Sender),
        (name, hash): (&mut LowerName, Option<u64>),
        out: &mut [u8],
    ) -> Option<Answered> {
        let response = frame.begin(limit(sender.transport, frame.edns), out)?;
        let asked = Asked {
            qtype: frame.qtype,
            client,
            source: sender.address,
            now: self.now.unix,
        };
        let mut resolver = Resolver::new(snapshot, response, asked, &mut self.draw, witness);
        let rcode = resolver.resolve(name, hash);
        let (zone, decided) = (resolver.zone_label, resolver.decided);
        Some(Answered {
            len: resolver.response.finish(frame.header, rcode),
            rcode,
            qtype: frame.qtype,
            zone,
            decided,
        })
    }

    /// Puts the options together that go back beside the client subnet, and finds out whether the cookie
    /// proves the sender.
    fn options(
        &self,
        guard: &Guard,
        edns: Option<&Edns>,
        sender: &mut Sender,
        options: &mut Options,
    ) {
        let Some(edns) = edns else { return };
        if let Some(cookie) = &edns.cookie
            && guard.secrets.is_on()
        {
            let (address, now) = (sender.address, self.now.unix);
            let believed = guard.secrets.believes(cookie, address, now);
            sender.proven |= believed;
            options.cookie(&guard.secrets.answer(cookie, believed, address, now));
        }
        if edns.nsid && !guard.nsid.is_empty() {
            options.nsid(&guard.nsid);
        }
        if edns.keepalive && sender.transport == Transport::Tcp {
            options.keepalive(guard.keepalive);
        }
    }

    /// Holds an answer back, or cuts it short, when its receiver has had too many like it.
    fn limit(
        &mut self,
        snapshot: &Snapshot,
        (lower, sender): (&mut LowerName, Sender),
        frame: Frame<'_>,
        answered: Answered,
        out: &mut [u8],
    ) -> Option<Answered> {
        let limiter = match &snapshot.guard.limiter {
            Some(limiter) if !sender.proven && !limiter.exempts(sender.address) => limiter,
            _ => return Some(answered),
        };
        let name = frame.wire.len().saturating_sub(4);
        lower.fill(frame.wire.get(..name).unwrap_or_default());
        let kind = match answered.rcode {
            Rcode::NoError => Kind::Answer(lower.wire(), frame.qtype),
            Rcode::NxDomain => Kind::Missing(answered.zone.0),
            _ => Kind::Error,
        };
        match limiter.verdict(sender.address, kind, self.now.micros) {
            Limit::Send => Some(answered),
            Limit::Drop => None,
            Limit::Truncate => frame.bare(Rcode::NoError, true, out),
        }
    }
}

impl Frame<'_> {
    #[inline]
    fn begin<'b>(&'b self, limit: usize, out: &'b mut [u8]) -> Option<Response<'b>> {
        Response::begin(out, limit, self.wire, self.edns, self.options)
    }

    /// An answer without records.
    fn bare(&self, rcode: Rcode, truncated: bool, out: &mut [u8]) -> Option<Answered> {
        let mut response = self.begin(limit(Transport::Udp, None), out)?;
        if truncated {
            response.truncate();
        }
        Some(Answered {
            len: response.finish(self.header, rcode),
            rcode,
            qtype: self.qtype,
            zone: ZoneLabel::NONE,
            decided: None,
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

#[cfg(test)]
mod tests;
