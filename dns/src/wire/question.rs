//! The query parser: strict, on the raw packet, written by hand.
//!
//! Called once per packet by the answer path. What it refuses it refuses with the response code the
//! client should see; what must not be answered at all (responses, fragments of headers) it drops,
//! so that two servers can never answer each other for ever (RUSTSEC-2023-0041).
//! Cost: one pass over the packet, no allocation; never panics on any bytes.

use super::options::{OPTION_COOKIE, OPTION_KEEPALIVE, OPTION_NSID};
use super::subnet::{OPTION_SUBNET, Subnet};
use super::{Cookie, LowerName, Rcode};
use crate::name::MAX_NAME;

/// Length of the message header.
pub(crate) const HEADER_LEN: usize = 12;
/// Length of a question's type and class.
const TYPE_AND_CLASS: usize = 4;
/// Length of type, class, TTL and RDATA length of a record.
const RECORD_FIXED_LEN: usize = 10;
const OPCODE_NOTIFY: u16 = 4 << 11;
const TYPE_OPT: u16 = 41;
const TYPE_TSIG: u16 = 250;
const TYPE_AXFR: u16 = 252;
const TYPE_IXFR: u16 = 251;
/// Types 249 to 254 ask for something else than records; what they ask for is not done here.
const QUESTION_TYPES: std::ops::RangeInclusive<u16> = 249..=254;
const CLASS_IN: u16 = 1;
const CLASS_CHAOS: u16 = 3;
const CLASS_ANY: u16 = 255;

/// What an answer takes over from the query's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    /// Message id.
    pub(crate) id: u16,
    /// The query's flags word.
    pub(crate) flags: u16,
}

/// What the client's OPT record said (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Edns {
    /// The largest datagram the client takes.
    pub(crate) udp_size: u16,
    /// The DO bit.
    pub(crate) dnssec_ok: bool,
    /// The client's network, if the sender names it.
    pub(crate) subnet: Option<Subnet>,
    /// The client's cookie (RFC 7873).
    pub(crate) cookie: Option<Cookie>,
    /// The client asks who we are (RFC 5001).
    pub(crate) nsid: bool,
    /// The client asks how long its connection is kept (RFC 7828).
    pub(crate) keepalive: bool,
}

/// A query that can be looked up.
#[derive(Debug)]
pub(crate) struct Question<'p> {
    /// Id and flags.
    pub(crate) header: Header,
    /// Name, type and class as the client wrote them.
    pub(crate) wire: &'p [u8],
    /// Type asked for.
    pub(crate) qtype: u16,
    /// The OPT record, if there was one.
    pub(crate) edns: Option<Edns>,
    /// The class is CH: it asks about the server, not about a zone.
    pub(crate) chaos: bool,
    /// There is a TSIG record, not looked at yet.
    pub(crate) signed: bool,
}

/// A query that is answered with nothing but a response code.
#[derive(Debug)]
pub(crate) struct Rejection<'p> {
    /// Id and flags.
    pub(crate) header: Header,
    /// What is wrong.
    pub(crate) rcode: Rcode,
    /// The question, when it could be read.
    pub(crate) wire: &'p [u8],
    /// Type asked for, 0 when it could not be read.
    pub(crate) qtype: u16,
    /// The OPT record, if it could be read.
    pub(crate) edns: Option<Edns>,
}

/// What becomes of a packet.
#[derive(Debug)]
pub(crate) enum Verdict<'p> {
    /// Nothing is sent.
    Drop,
    /// A response code is sent.
    Reject(Rejection<'p>),
    /// The question is looked up.
    Ask(Question<'p>),
    /// Somebody says that a zone changed (RFC 1996).
    Notify,
}

/// Reads a packet; the question's name goes into `name` in lower case.
pub(crate) fn parse<'p>(packet: &'p [u8], name: &mut LowerName) -> Verdict<'p> {
    parse_rest(packet, name, None)
}

/// The same for a packet whose name may be in `name` already: `end` is what [`read_name`] said of it.
pub(crate) fn parse_rest<'p>(
    packet: &'p [u8],
    name: &mut LowerName,
    end: Option<usize>,
) -> Verdict<'p> {
    let Some(head) = packet.first_chunk::<HEADER_LEN>() else {
        return Verdict::Drop;
    };
    let word = |at: usize| match head.get(at..at + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    let header = Header {
        id: word(0),
        flags: word(2),
    };
    if header.flags & 0x8000 != 0 {
        return Verdict::Drop;
    }
    let bare = |rcode| {
        Verdict::Reject(Rejection {
            header,
            rcode,
            wire: &[],
            qtype: 0,
            edns: None,
        })
    };
    match header.flags & 0x7800 {
        0 => {}
        OPCODE_NOTIFY => return Verdict::Notify,
        _ => return bare(Rcode::NotImp),
    }
    if word(4) == 0 && word(6) == 0 {
        return without_question(packet, header, word(8), word(10));
    }
    // RFC 9619: exactly one question; and a query has no answers.
    if word(4) != 1 || word(6) != 0 {
        return bare(Rcode::FormErr);
    }
    let end = end.or_else(|| read_name(packet, name));
    let Some((wire, qtype, qclass)) = end.and_then(|end| question(packet, end)) else {
        return bare(Rcode::FormErr);
    };
    let reject = |rcode, edns| {
        Verdict::Reject(Rejection {
            header,
            rcode,
            wire,
            qtype,
            edns,
        })
    };
    let records = packet.get(HEADER_LEN + wire.len()..).unwrap_or_default();
    match read_edns(records, word(8), word(10)) {
        Err(()) => reject(Rcode::FormErr, None),
        Ok((Some((_, version)), _)) if version > 0 => reject(Rcode::BadVers, Some(Edns::default())),
        Ok((opt, signed)) => {
            let edns = opt.map(|(edns, _)| edns);
            match refusal(qtype, qclass) {
                Some(rcode) => reject(rcode, edns),
                None => Verdict::Ask(Question {
                    header,
                    wire,
                    qtype,
                    edns,
                    chaos: qclass == CLASS_CHAOS,
                    signed,
                }),
            }
        }
    }
}

/// A query with a cookie may come without a question, to get a server cookie (RFC 7873 section
/// 5.4).
fn without_question(packet: &[u8], header: Header, authority: u16, additional: u16) -> Verdict<'_> {
    let records = packet.get(HEADER_LEN..).unwrap_or_default();
    let edns = match read_edns(records, authority, additional) {
        Ok((Some((edns, 0)), _)) => Some(edns),
        _ => None,
    };
    let asks = edns.is_some_and(|edns| edns.cookie.is_some());
    Verdict::Reject(Rejection {
        header,
        rcode: if asks { Rcode::NoError } else { Rcode::FormErr },
        wire: &[],
        qtype: 0,
        edns: edns.filter(|_| asks),
    })
}

/// What types and classes that are never looked up are answered with.
fn refusal(qtype: u16, qclass: u16) -> Option<Rcode> {
    match (qtype, qclass) {
        (TYPE_OPT, _) => Some(Rcode::FormErr),
        (TYPE_AXFR | TYPE_IXFR, _) => Some(Rcode::Refused),
        (qtype, _) if QUESTION_TYPES.contains(&qtype) => Some(Rcode::NotImp),
        (_, CLASS_IN | CLASS_ANY | CLASS_CHAOS) => None,
        _ => Some(Rcode::Refused),
    }
}

/// Reads the question's name, in lower case: the length of the question. `None` for a name that is too
/// long or holds a compression pointer or an extended label, and for a question that runs out of the
/// packet.
pub(crate) fn read_name(packet: &[u8], name: &mut LowerName) -> Option<usize> {
    let rest = packet.get(HEADER_LEN..)?;
    let mut at = 0;
    loop {
        match *rest.get(at)? {
            0 => break,
            length @ 1..=63 => at += usize::from(length) + 1,
            _ => return None,
        }
        if at >= MAX_NAME {
            return None;
        }
    }
    let end = at + 1;
    name.fill(rest.get(..end)?);
    (end + TYPE_AND_CLASS <= rest.len()).then_some(end + TYPE_AND_CLASS)
}

/// A question that has this length: its bytes, type and class.
fn question(packet: &[u8], length: usize) -> Option<(&[u8], u16, u16)> {
    let wire = packet.get(HEADER_LEN..HEADER_LEN + length)?;
    let &[type_high, type_low, class_high, class_low] = wire.last_chunk::<TYPE_AND_CLASS>()?;
    Some((
        wire,
        u16::from_be_bytes([type_high, type_low]),
        u16::from_be_bytes([class_high, class_low]),
    ))
}

/// The OPT record with its version, and whether there is a signature.
type Extra = (Option<(Edns, u8)>, bool);

/// The OPT record among the additional records, with its version. Authority records (an IXFR has
/// one) are skipped, bytes after the last record are tolerated.
fn read_edns(mut rest: &[u8], authority: u16, additional: u16) -> Result<Extra, ()> {
    let mut found = None;
    let mut signed = false;
    for index in 0..u32::from(authority) + u32::from(additional) {
        let (record, after) = split_record(rest).ok_or(())?;
        rest = after;
        signed |= record.rtype == TYPE_TSIG;
        if index < u32::from(authority) || record.rtype != TYPE_OPT {
            continue;
        }
        if found.is_some() || !record.at_root {
            return Err(());
        }
        let options = read_options(record.rdata)?;
        let [_, version, flags, _] = record.ttl;
        found = Some((
            Edns {
                udp_size: record.class,
                dnssec_ok: flags & 0x80 != 0,
                ..options
            },
            version,
        ));
    }
    Ok((found, signed))
}

struct RawRecord<'p> {
    at_root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    rdata: &'p [u8],
}

fn split_record(bytes: &[u8]) -> Option<(RawRecord<'_>, &[u8])> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => break at += 1,
            length @ 1..=63 => at += usize::from(length) + 1,
            0xc0.. => break at += 2,
            _ => return None,
        }
        if at > MAX_NAME {
            return None;
        }
    }
    let (fixed, rest) = bytes.get(at..)?.split_first_chunk::<RECORD_FIXED_LEN>()?;
    let [t1, t2, c1, c2, ttl @ .., l1, l2] = *fixed;
    let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
    let record = RawRecord {
        at_root: at == 1,
        rtype: u16::from_be_bytes([t1, t2]),
        class: u16::from_be_bytes([c1, c2]),
        ttl,
        rdata,
    };
    Some((record, rest))
}

/// The options of an OPT record: each must stay inside it, and there is one client subnet at most.
fn read_options(mut rdata: &[u8]) -> Result<Edns, ()> {
    let mut edns = Edns::default();
    while let Some((&[code_high, code_low, high, low], rest)) = rdata.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (data, after) = rest.split_at_checked(length).ok_or(())?;
        match u16::from_be_bytes([code_high, code_low]) {
            OPTION_SUBNET => {
                let read = Subnet::read(data).ok_or(())?;
                if edns.subnet.replace(read).is_some() {
                    return Err(());
                }
            }
            // Of several cookies the first counts (RFC 7873 section 5.2).
            OPTION_COOKIE if edns.cookie.is_none() => {
                edns.cookie = Some(Cookie::read(data).ok_or(())?);
            }
            // Data in either is ignored (RFC 5001 section 2.1), or for a server to send only.
            OPTION_NSID => edns.nsid = true,
            OPTION_KEEPALIVE => edns.keepalive = data.is_empty(),
            _ => {}
        }
        rdata = after;
    }
    if rdata.is_empty() { Ok(edns) } else { Err(()) }
}

#[cfg(test)]
mod tests;
