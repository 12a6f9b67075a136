//! What a primary sends, read message by message: AXFR (RFC 5936), IXFR (RFC 1995), a bare SOA.
//!
//! Driven by the fetcher, and by a fuzz body. Sans-io; never panics on any bytes. Nothing of a
//! transfer is to be used before its end has come: every record is checked on the way, the
//! signature last, and the size of the whole is bounded.

use conf::RecordType;

use crate::load::ParsedRecord;
use crate::name::Name;
use crate::rdata;
use crate::transfer::content::is_newer;
use crate::transfer::message::{Raw, Walk, add_count, read_name};
use crate::transfer::tsig::{Forged, Keys, Signer, Verifier};

const CLASS_IN: u16 = 1;
const QR: u16 = 0x8000;
const TC: u16 = 0x0200;
const OPCODE: u16 = 0x7800;

/// What is asked of a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Its serial.
    Soa,
    /// What changed since a serial.
    Changes(u32),
    /// Everything.
    Whole,
}

impl Ask {
    fn qtype(self) -> u16 {
        match self {
            Self::Soa => RecordType::SOA.0,
            Self::Changes(_) => 251,
            Self::Whole => 252,
        }
    }
}

/// The most a transfer may bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of all messages.
    pub(crate) bytes: usize,
    /// Records.
    pub(crate) records: usize,
}

impl Limits {
    /// What fits a machine of some gigabytes: the largest zones people serve are about that.
    pub(crate) const DEFAULT: Self = Self {
        bytes: 1 << 30,
        records: 20_000_000,
    };
}

/// From one serial to the next, as the primary says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Difference {
    /// What goes.
    pub(crate) removed: Vec<ParsedRecord>,
    /// What comes.
    pub(crate) added: Vec<ParsedRecord>,
    /// The SOA record after it.
    pub(crate) soa: Option<ParsedRecord>,
}

/// What a transfer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    /// The primary's serial, asked for by itself, or because there is nothing newer.
    Serial(u32),
    /// Every record, the SOA once.
    Whole(Vec<ParsedRecord>),
    /// One after the other.
    Changes(Vec<Difference>),
}

/// Why a primary's answer is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Not a DNS message, or cut off.
    #[error("a message of it cannot be read")]
    Unreadable,
    /// Another id, question or kind of message.
    #[error("it is not the answer to what was asked")]
    Unasked,
    /// Another response code than NOERROR.
    #[error("the primary answers {0}")]
    Rcode(&'static str),
    /// The signature does not hold.
    #[error("{0}")]
    Forged(#[from] Forged),
    /// It is answered without the AA bit: the primary has lost the zone itself.
    #[error("the primary is not authoritative for the zone")]
    NotAuthoritative,
    /// It does not begin with the zone's SOA.
    #[error("it does not begin with the zone's SOA record")]
    NoSoa,
    /// A record that cannot be in the zone.
    #[error("{0}")]
    Record(String),
    /// Serials of changes do not lead from ours to the primary's.
    #[error("its changes do not follow each other")]
    Disorder,
    /// A zone that is older than what the primary promised, and than ours.
    #[error("its serial {0} is not newer than ours, {1}")]
    Older(u32, u32),
    /// More than [`Limits`].
    #[error("it is larger than {0}")]
    TooLarge(&'static str),
    /// The network, or time.
    #[error("{0}")]
    Network(String),
}

impl Fault {
    /// True when the primary may still give the whole zone: it does not do IXFR (some close the
    /// connection then), or does it wrong.
    pub(crate) fn is_of_changes(&self) -> bool {
        !matches!(self, Self::Forged(_) | Self::TooLarge(_))
    }
}

enum State {
    /// The first SOA is to come.
    Start,
    /// It came; what follows tells whether these are changes.
    Begun(ParsedRecord),
    Whole(Vec<ParsedRecord>),
    Removing(Vec<Difference>, Difference),
    Adding(Vec<Difference>, Difference),
    Done(Received),
}

/// One request under way.
pub(crate) struct Incoming<'k> {
    zone: Name,
    ask: Ask,
    id: u16,
    keys: &'k Keys,
    verifier: Option<Verifier>,
    limits: Limits,
    state: State,
    /// The serial all of it leads to.
    target: u32,
    first: bool,
}

impl<'k> Incoming<'k> {
    /// For the answer to `request`, made by [`question`] and signed by `signer`.
    pub(crate) fn new(
        zone: &Name,
        (ask, id): (Ask, u16),
        keys: &'k Keys,
        signer: Option<&Signer>,
        limits: Limits,
    ) -> Result<Self, Fault> {
        let verifier = match signer {
            Some(signer) => Some(Verifier::new(keys, signer).ok_or(Forged::Wrong)?),
            None => None,
        };
        Ok(Self {
            zone: zone.to_lower(),
            ask,
            id,
            keys,
            verifier,
            limits,
            state: State::Start,
            target: 0,
            first: true,
        })
    }

    /// Takes the next message; what it came to once it is whole. `now` in seconds since 1970.
    ///
    /// # Errors
    /// Why nothing of it is to be used. Take no further message then.
    pub(crate) fn take(&mut self, packet: &[u8], now: u32) -> Result<Option<Received>, Fault> {
        self.limits.bytes = self
            .limits
            .bytes
            .checked_sub(packet.len())
            .ok_or(Fault::TooLarge("what a transfer may take"))?;
        let (head, mut walk) = Walk::begin(packet).ok_or(Fault::Unreadable)?;
        if head.id != self.id || head.flags & QR == 0 || head.flags & OPCODE != 0 {
            return Err(Fault::Unasked);
        }
        let signed = match &mut self.verifier {
            Some(verifier) => verifier.take(self.keys, packet, now)?,
            None => true,
        };
        if head.flags & 0xf != 0 {
            return Err(Fault::Rcode(rcode(head.flags & 0xf)));
        }
        if head.flags & TC != 0 {
            return Err(Fault::Unreadable);
        }
        let [questions, answers, ..] = head.counts;
        // Messages after the first may leave the question out (RFC 5936 section 2.2.1).
        if questions > 1 || (self.first && questions != 1) {
            return Err(Fault::Unasked);
        }
        if questions == 1 {
            let asked = walk.question().ok_or(Fault::Unreadable)?;
            let same = asked.name.to_lower() == self.zone && asked.rtype == self.ask.qtype();
            if !same || asked.class != CLASS_IN {
                return Err(Fault::Unasked);
            }
        }
        if self.first && self.ask == Ask::Soa && head.flags & 0x0400 == 0 {
            return Err(Fault::NotAuthoritative);
        }
        self.first = false;
        for _ in 0..answers {
            let raw = walk.record().ok_or(Fault::Unreadable)?;
            let record = self.record(packet, &raw)?;
            self.step(record)?;
        }
        self.end_of_message(signed)
    }

    fn end_of_message(&mut self, signed: bool) -> Result<Option<Received>, Fault> {
        match std::mem::replace(&mut self.state, State::Start) {
            State::Done(_) if !signed => Err(Forged::Missing.into()),
            State::Done(received) => Ok(Some(received)),
            // An answer without a record at all would be waited for without end.
            State::Start => Err(Fault::NoSoa),
            State::Begun(_) if self.ask == Ask::Soa => match signed {
                true => Ok(Some(Received::Serial(self.target))),
                false => Err(Forged::Missing.into()),
            },
            state => {
                self.state = state;
                Ok(None)
            }
        }
    }

    /// A record as the zone would hold it.
    fn record(&mut self, packet: &[u8], raw: &Raw<'_>) -> Result<ParsedRecord, Fault> {
        self.limits.records = self
            .limits
            .records
            .checked_sub(1)
            .ok_or(Fault::TooLarge("the number of records a transfer may have"))?;
        let rtype = RecordType(raw.rtype);
        let bad = |what: &str| Fault::Record(format!("{} {rtype} {what}", raw.owner));
        if raw.class != CLASS_IN {
            return Err(bad("is not of class IN"));
        }
        if !raw.owner.is_subdomain_of(&self.zone) {
            return Err(bad("is not in the zone"));
        }
        if rdata::is_meta(rtype) {
            return Err(bad("is of a type that is never kept"));
        }
        if rtype == RecordType::SOA && raw.owner.to_lower() != self.zone {
            return Err(bad("is not at the zone's apex"));
        }
        let place = (raw.rdata_at, raw.rdata_at + raw.rdata.len());
        let rdata = rdata::expand(rtype, packet, place, read_name)
            .ok_or_else(|| bad("has data that are not of its type"))?;
        Ok(ParsedRecord {
            owner: raw.owner.clone(),
            rtype,
            ttl: if raw.ttl > i32::MAX as u32 {
                0
            } else {
                raw.ttl
            },
            rdata,
            span: conf::Span::default(),
        })
    }

    fn step(&mut self, record: ParsedRecord) -> Result<(), Fault> {
        let is_soa = record.rtype == RecordType::SOA;
        let serial = if is_soa { serial_of(&record) } else { None };
        let state = std::mem::replace(&mut self.state, State::Start);
        self.state = match (state, serial) {
            (State::Start, Some(serial)) => self.begin(record, serial),
            (State::Start, None) => return Err(Fault::NoSoa),
            // What comes after the end is as wrong as what is missing before it.
            (State::Done(_), _) => return Err(Fault::Disorder),
            (State::Begun(_), _) if self.ask == Ask::Soa => return Err(Fault::Disorder),
            (State::Begun(_), Some(serial)) if self.ask == Ask::Changes(serial) => {
                State::Removing(Vec::new(), Difference::default())
            }
            (State::Begun(first), Some(serial)) if serial == self.target => {
                State::Done(Received::Whole(vec![first]))
            }
            (State::Begun(_), Some(_)) => return Err(Fault::Disorder),
            (State::Begun(first), None) => State::Whole(vec![first, record]),
            (State::Whole(records), Some(serial)) if serial == self.target => {
                State::Done(Received::Whole(records))
            }
            (State::Whole(_), Some(_)) => return Err(Fault::Disorder),
            (State::Whole(mut records), None) => {
                records.push(record);
                State::Whole(records)
            }
            (State::Removing(done, mut now), None) => {
                now.removed.push(record);
                State::Removing(done, now)
            }
            (State::Removing(done, mut now), Some(_)) => {
                now.soa = Some(record);
                State::Adding(done, now)
            }
            (State::Adding(done, mut now), None) => {
                now.added.push(record);
                State::Adding(done, now)
            }
            (State::Adding(mut done, now), Some(serial)) => {
                let reached = now.soa.as_ref().and_then(serial_of);
                done.push(now);
                if reached != Some(serial) {
                    return Err(Fault::Disorder);
                }
                match serial == self.target {
                    true => State::Done(Received::Changes(done)),
                    false => State::Removing(done, Difference::default()),
                }
            }
        };
        Ok(())
    }

    fn begin(&mut self, soa: ParsedRecord, serial: u32) -> State {
        self.target = serial;
        match self.ask {
            Ask::Changes(ours) if !is_newer(serial, ours) => State::Done(Received::Serial(serial)),
            _ => State::Begun(soa),
        }
    }
}

/// The serial of an SOA record.
pub(crate) fn serial_of(soa: &ParsedRecord) -> Option<u32> {
    let numbers = soa.rdata.last_chunk::<20>()?;
    numbers
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

/// A question for a primary; for changes with our SOA, whose data is given (RFC 1995 section 3).
pub(crate) fn question(zone: &Name, ask: Ask, id: u16, soa: Option<&ParsedRecord>) -> Vec<u8> {
    let mut message = Vec::with_capacity(512);
    for word in [id, 0, 1, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(zone.as_wire());
    message.extend_from_slice(&ask.qtype().to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    if let (Ask::Changes(_), Some(soa)) = (ask, soa) {
        message.extend_from_slice(&[0xc0, 12]);
        message.extend_from_slice(&RecordType::SOA.0.to_be_bytes());
        message.extend_from_slice(&CLASS_IN.to_be_bytes());
        message.extend_from_slice(&soa.ttl.to_be_bytes());
        message.extend_from_slice(&(soa.rdata.len() as u16).to_be_bytes());
        message.extend_from_slice(&soa.rdata);
        add_count(&mut message, 2, 1);
    }
    message
}

fn rcode(number: u16) -> &'static str {
    match number {
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        _ => "an error",
    }
}

#[cfg(test)]
mod tests;
