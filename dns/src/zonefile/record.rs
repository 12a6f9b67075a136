//! Records: `[owner] [ttl] [class] type data`, TTL and class in either order (RFC 1035 section
//! 5.1).

use conf::{Diagnostic, RecordType, Span};

use super::FALLBACK_TTL;
use super::input::lossy;
use super::problems::{self, LEFT_OUT, NOT_LOADED};
use super::reader::{CurrentOwner, Place, Reader};
use super::scanner::{Entry, Token};
use crate::load::ParsedRecord;
use crate::name::{Name, NameError};
use crate::rdata::{self, Fields};

/// Longest TTL in seconds (RFC 2181 section 8).
pub(crate) const MAX_TTL: u32 = (1 << 31) - 1;

/// What stands between owner and data.
pub(super) struct Head {
    pub(super) ttl: Option<u32>,
    pub(super) rtype: RecordType,
    /// Tokens up to and with the type.
    pub(super) tokens: usize,
}

impl Reader<'_> {
    pub(super) fn read_record(&mut self, text: &[u8], entry: &Entry, place: &mut Place) {
        let tokens = match entry.leading_blank {
            true => entry.tokens.as_slice(),
            false => entry.tokens.get(1..).unwrap_or_default(),
        };
        let owner = self.read_owner(text, entry, place);
        let Some(head) = self.read_head(text, tokens, place, entry) else {
            return;
        };
        let data = tokens.get(head.tokens..).unwrap_or_default();
        let whole = match (data.first(), data.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => entry.range(),
        };
        let fields = Fields::new(text, data, whole, &place.origin);
        let Some(rdata) = self.read_data(head.rtype, fields, |range| place.span(range)) else {
            return;
        };
        let ttl = self.settle_ttl(&head, &rdata, place.span(entry.range()));
        if let Some(owner) = owner {
            self.records.push(ParsedRecord {
                owner,
                rtype: head.rtype,
                ttl,
                rdata,
                span: place.span(entry.range()),
            });
        }
    }

    /// The owner: the entry's own, else that of the entry before.
    fn read_owner(&mut self, text: &[u8], entry: &Entry, place: &mut Place) -> Option<Name> {
        let first = entry.tokens.first()?;
        let span = place.span(first.start..first.end);
        if entry.leading_blank {
            return self.repeat_owner(span, place);
        }
        let raw = text.get(first.start..first.end)?;
        let name = match Name::parse(raw, Some(&place.origin)) {
            Ok(name) => name,
            Err(why) => {
                let message = format!("`{}` is not an owner name: {why}", lossy(raw));
                self.problems.push(match why {
                    // NSD and Knot make something of any three digits.
                    NameError::BadEscape => {
                        Diagnostic::warning("owner", span, message).consequence(LEFT_OUT)
                    }
                    _ => Diagnostic::error("owner", span, message).consequence(NOT_LOADED),
                });
                place.owner = CurrentOwner::Unreadable;
                return None;
            }
        };
        if !raw.is_ascii() {
            let message = format!("`{}` is not in ASCII", lossy(raw));
            self.problems.push(
                Diagnostic::warning("non-ascii-name", span, message)
                    .consequence("browsers and resolvers ask for the xn-- form instead")
                    .help("write the name in its xn-- form (IDNA)"),
            );
        }
        place.owner = CurrentOwner::Known(name.clone());
        Some(name)
    }

    /// The owner of an entry that begins with a blank.
    fn repeat_owner(&mut self, span: Span, place: &mut Place) -> Option<Name> {
        match &place.owner {
            CurrentOwner::Known(name) => Some(name.clone()),
            CurrentOwner::Unreadable => None,
            CurrentOwner::None => {
                let message = "the first record begins with a blank: it has no owner";
                self.problems.push(
                    Diagnostic::warning("no-owner", span, message)
                        .consequence(format!("the record is taken to be at {}", place.origin))
                        .help("begin the line with a name, or with @ for the zone itself"),
                );
                place.owner = CurrentOwner::Known(place.origin.clone());
                Some(place.origin.clone())
            }
        }
    }

    /// TTL, class and type from the start of `tokens`.
    pub(super) fn read_head(
        &mut self,
        text: &[u8],
        tokens: &[Token],
        place: &Place,
        entry: &Entry,
    ) -> Option<Head> {
        let mut ttl = None;
        let mut class_seen = false;
        for (index, token) in tokens.iter().enumerate() {
            let raw = text.get(token.start..token.end)?;
            let span = place.span(token.start..token.end);
            if ttl.is_none()
                && let Some(value) = rdata::seconds(raw)
            {
                ttl = Some(self.check_ttl(value, span));
            } else if !class_seen && let Some(class) = class_by_name(&lossy(raw)) {
                class_seen = true;
                if class != 1 {
                    let message = format!("the class {} is not IN", lossy(raw));
                    self.problems.push(
                        Diagnostic::error("class", span, message)
                            .consequence(NOT_LOADED)
                            .help("write IN, or leave the class out"),
                    );
                    return None;
                }
            } else {
                return self.read_type(&lossy(raw), span).map(|rtype| Head {
                    ttl,
                    rtype,
                    tokens: index + 1,
                });
            }
        }
        let message = "the record has no type";
        self.problems.push(
            Diagnostic::error("zone-syntax", place.span(entry.range()), message)
                .consequence(NOT_LOADED)
                .help("a record is: owner TTL class type data; TTL and class may be left out"),
        );
        None
    }

    fn read_type(&mut self, text: &str, span: Span) -> Option<RecordType> {
        let Some(rtype) = rdata::type_by_name(text) else {
            let message = format!("`{text}` is not a record type");
            let similar = match self.problems.is_full() {
                true => None,
                false => rdata::similar_type(text),
            };
            let help = match similar {
                Some(similar) => format!("did you mean {similar}?"),
                None => "types without a name are written TYPE123".to_owned(),
            };
            self.problems.push(
                Diagnostic::error("record-type", span, message)
                    .consequence(NOT_LOADED)
                    .help(help),
            );
            return None;
        };
        if !rdata::is_meta(rtype) {
            return Some(rtype);
        }
        let message = format!("{rtype} is not a type of data");
        self.problems.push(match rtype {
            RecordType::ANY | RecordType::AXFR | RecordType::IXFR | RecordType::TSIG => {
                Diagnostic::error("record-type", span, message).consequence(NOT_LOADED)
            }
            // NSD or Knot load the others.
            _ => Diagnostic::warning("record-type", span, message).consequence(LEFT_OUT),
        });
        None
    }

    /// Data from its tokens, its problems reported at what `place` makes of their ranges.
    pub(super) fn read_data(
        &mut self,
        rtype: RecordType,
        fields: Fields<'_>,
        place: impl Fn(std::ops::Range<usize>) -> Span,
    ) -> Option<Box<[u8]>> {
        match rdata::read(rtype, fields) {
            Ok((rdata, notes)) => {
                for note in notes {
                    let span = place(note.range.clone());
                    self.problems.push(problems::of_note(note, span));
                }
                Some(rdata)
            }
            Err(error) => {
                let span = place(error.range.clone());
                self.problems.push(problems::of_rdata(error, span));
                None
            }
        }
    }

    /// A TTL as written; one over 31 bits counts as 0 (RFC 2181 section 8).
    pub(super) fn check_ttl(&mut self, value: u64, span: Span) -> u32 {
        match u32::try_from(value) {
            Ok(ttl) if ttl <= MAX_TTL => ttl,
            _ => {
                let message = format!("the TTL {value} is over {MAX_TTL} seconds");
                self.problems.push(
                    Diagnostic::warning("ttl", span, message)
                        .consequence("it counts as 0: nobody may cache the record")
                        .help("write a shorter time, such as 4w"),
                );
                0
            }
        }
    }

    /// The TTL of a record: its own, else `$TTL`, else the last one given, else the SOA's minimum.
    pub(super) fn settle_ttl(&mut self, head: &Head, rdata: &[u8], span: Span) -> u32 {
        if let Some(ttl) = head.ttl {
            self.last_ttl = Some(ttl);
            return ttl;
        }
        if let Some(ttl) = self.default_ttl {
            return ttl;
        }
        let (ttl, source) = match (self.last_ttl, head.rtype) {
            (Some(ttl), _) => (ttl, "the last TTL before it"),
            (None, RecordType::SOA) => {
                let minimum = rdata
                    .last_chunk()
                    .map_or(0, |bytes| u32::from_be_bytes(*bytes));
                let ttl = minimum.min(MAX_TTL);
                self.default_ttl = Some(ttl);
                (ttl, "the SOA record's last number")
            }
            (None, _) => (FALLBACK_TTL, "one hour"),
        };
        if !self.warned_of_ttl {
            self.warned_of_ttl = true;
            self.problems.push(
                Diagnostic::warning("no-ttl", span, "neither the record nor $TTL gives a TTL")
                    .consequence(format!("its TTL is {source}, {ttl} seconds"))
                    .help("begin the file with $TTL and a time"),
            );
        }
        ttl
    }
}

/// The number of a class: a mnemonic, or `CLASS1` (RFC 3597 section 5).
fn class_by_name(text: &str) -> Option<u16> {
    const CLASSES: &[(&str, u16)] = &[("IN", 1), ("CS", 2), ("CH", 3), ("CHAOS", 3), ("HS", 4)];
    let known = CLASSES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    if let Some(&(_, number)) = known {
        return Some(number);
    }
    let (prefix, digits) = text.split_at_checked(5)?;
    if !prefix.eq_ignore_ascii_case("CLASS") || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
