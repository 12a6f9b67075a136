//! A recorded query as a line: Route 53's query log format, or JSON.
//!
//! Called by the writer thread. Names are what clients sent: everything but plain characters is
//! escaped, so that no line can be forged.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use conf::{QueryLogFormat, RecordType};

use super::{Kind, Recorded};
use crate::name::Name;
use crate::snapshot::Snapshot;
use crate::transfer::message::Walk;
use crate::wire::{HEADER_LEN, LowerName, Rcode, Verdict, parse};
use crate::zone::Place;

/// Bits of the opcode in the third byte.
const OPCODE: u8 = 0x78;
/// Type of the record that carries EDNS (RFC 6891).
const TYPE_OPT: u16 = 41;

/// Appends the line of a record, with its end.
pub(super) fn line(
    out: &mut String,
    recorded: &Recorded<'_>,
    format: QueryLogFormat,
    edge: &str,
    snapshot: &Snapshot,
) {
    let mut lower = LowerName::new();
    // The zone of an update stands where a query has its question (RFC 2136 section 2.3).
    let mut packet = recorded.query.to_vec();
    if let (Kind::Update, Some(flags)) = (recorded.kind, packet.get_mut(2)) {
        *flags &= !OPCODE;
        packet.truncate(question_end(recorded.query));
        packet
            .iter_mut()
            .take(12)
            .skip(6)
            .for_each(|count| *count = 0);
    }
    let (wire, qtype, edns) = match parse(&packet, &mut lower) {
        Verdict::Ask(question) => (question.wire, question.qtype, question.edns),
        Verdict::Reject(rejection) => (rejection.wire, rejection.qtype, rejection.edns),
        Verdict::Drop | Verdict::Notify => return,
    };
    let name = wire.get(..wire.len().saturating_sub(4)).unwrap_or_default();
    let name = Name::from_wire(name).map_or_else(|_| "-".to_owned(), |name| shown(&name));
    let rtype = RecordType(qtype);
    let zone = match snapshot
        .zones
        .look_up_for(recorded.source, lower.wire(), None, rtype)
    {
        _ if recorded.kind == Kind::Forwarded => "-",
        Place::Elsewhere => "-",
        Place::At(node) | Place::Missing(node) => &node.zone().id,
        Place::Delegated(node, ..) | Place::Renamed(node, ..) => &node.zone().id,
    };
    let subnet = edns
        .and_then(|edns| edns.subnet)
        .and_then(|subnet| subnet.client());
    let subnet = subnet.map(|client| format!("{}/{}", client.address, client.length));
    let rtype = match recorded.kind {
        Kind::Update => "UPDATE".to_owned(),
        Kind::Answered | Kind::Forwarded => rtype.to_string(),
    };
    let rcode = rcode(recorded.answer);
    let transport = recorded.transport.as_str();
    let source = recorded.source;
    let time = time(recorded.unix);
    // Writing to a String cannot fail.
    let _ = match format {
        QueryLogFormat::Route53 => {
            let subnet = subnet.as_deref().unwrap_or("-");
            let transport = transport.to_ascii_uppercase();
            writeln!(
                out,
                "1.0 {time} {zone} {name} {rtype} {rcode} {transport} {edge} {source} {subnet}"
            )
        }
        QueryLogFormat::Json => {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            let subnet = subnet.map_or_else(|| "null".to_owned(), |subnet| quoted(&subnet));
            let bytes = recorded.answer.len();
            writeln!(
                out,
                "{{\"time\":\"{time}\",\"zone\":{},\"name\":{},\"type\":\"{rtype}\",\
                 \"rcode\":\"{rcode}\",\"transport\":\"{transport}\",\"edge\":{},\
                 \"source\":\"{source}\",\"client_subnet\":{subnet},\"bytes\":{bytes}}}",
                quoted(zone),
                quoted(&name),
                quoted(edge),
            )
        }
    };
}

/// Where the question of a packet ends.
fn question_end(packet: &[u8]) -> usize {
    let mut at = HEADER_LEN;
    while let Some(&length @ 1..=63) = packet.get(at) {
        at += usize::from(length) + 1;
    }
    at + 5
}

/// A name as Route 53 logs it: without the final dot.
fn shown(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(short) => short.to_owned(),
    }
}

/// The response code of an answer, with its upper bits where an OPT record has some (RFC 6891 section
/// 6.1.3).
fn rcode(answer: &[u8]) -> &'static str {
    let code = answer.get(3).map_or(2, |flags| u16::from(flags & 0xf));
    let code = code | upper_bits(answer).unwrap_or(0) << 4;
    let found = Rcode::ALL.into_iter().find(|rcode| rcode.number() == code);
    found.map_or("SERVFAIL", Rcode::as_str)
}

/// Those of an answer that has its OPT record right after the question: one with a code of twelve bits
/// holds nothing else before it. Others have none, or are not worth a walk.
fn upper_bits(answer: &[u8]) -> Option<u16> {
    let (_, mut walk) = Walk::begin(answer)?;
    walk.question()?;
    let first = walk.record()?;
    (first.rtype == TYPE_OPT).then_some((first.ttl >> 24) as u16)
}

/// RFC 3339 in UTC with milliseconds, from microseconds since 1970.
pub(super) fn time(unix: u64) -> String {
    let since = Duration::from_micros(unix);
    let Ok(moment) = (UNIX_EPOCH + since).duration_since(UNIX_EPOCH) else {
        return String::new();
    };
    let (days, rest) = (moment.as_secs() / 86_400, moment.as_secs() % 86_400);
    // Civil date from days since 1970 (Hinnant's algorithm): eras of 400 years from March on.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let millis = moment.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}
