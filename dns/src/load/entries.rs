//! `[[zone.record]]` entries: names and values read, simple ones with values made plain records.
//!
//! Called once per zone, after its file was read. Everything wrong here is an error at the value's
//! own place in the config file.

use std::collections::{HashMap, HashSet};

use conf::{
    AliasTarget, Diagnostic, FileId, Policy, Record, RecordSet, RecordType, SetData, Span, Zone,
};

use super::{ParsedRecord, RoutedAlias, RoutedData, RoutedRecord, RoutedSet, RoutedTarget};
use crate::name::Name;
use crate::rdata;
use crate::zonefile::Problems;

/// What the entries of one zone come to.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) records: Vec<ParsedRecord>,
    pub(super) routed: Vec<RoutedRecord>,
}

pub(super) fn read(
    zone: &Zone,
    origin: &Name,
    in_file: &[ParsedRecord],
    problems: &mut Problems,
) -> Entries {
    let mut reader = Reader {
        origin,
        problems,
        from_file: in_file.iter().map(|record| record.span.file).collect(),
        taken: in_file
            .iter()
            .map(|record| ((record.owner.clone(), record.rtype), record.span))
            .collect(),
        entries: Entries::default(),
    };
    for record in &zone.records {
        reader.read_record(record);
    }
    reader.entries
}

struct Reader<'a> {
    origin: &'a Name,
    problems: &'a mut Problems,
    /// Files that zone-file records are from.
    from_file: HashSet<FileId>,
    /// (name, type) pairs that exist, and where.
    taken: HashMap<(Name, RecordType), Span>,
    entries: Entries,
}

impl Reader<'_> {
    fn read_record(&mut self, record: &Record) {
        let Some(owner) = self.read_owner(record) else {
            return;
        };
        for rtype in &record.types {
            if let Some(&first) = self.taken.get(&(owner.clone(), rtype.value)) {
                if !self.from_file.contains(&first.file) && is_plain(&record.name) {
                    continue;
                }
                let message = format!("{owner} {} is given twice", rtype.value);
                self.problems.push(
                    Diagnostic::error("duplicate-record", record.span, message)
                        .consequence("which of the two answers would be chance")
                        .help("keep one of them; further values go into its sets")
                        .related(first, "first given here"),
                );
                continue;
            }
            self.taken.insert((owner.clone(), rtype.value), record.span);
            if self.check_type(&owner, rtype.value, rtype.span) {
                self.read_type(record, &owner, rtype.value);
            }
        }
    }

    fn read_owner(&mut self, record: &Record) -> Option<Name> {
        let (text, span) = (record.name.as_str(), record.name.span);
        let owner = match Name::parse(text, Some(self.origin)) {
            Ok(owner) => owner,
            Err(why) => {
                let message = format!("`{text}` is not a record name: {why}");
                self.problems.push(
                    Diagnostic::error("record-name", span, message)
                        .help("write a name relative to the zone, or @ for the zone itself"),
                );
                return None;
            }
        };
        if !owner.is_subdomain_of(self.origin) {
            if is_plain(text) {
                return None;
            }
            let message = format!("{owner} is not in the zone {}", self.origin);
            self.problems.push(
                Diagnostic::error("outside-zone", span, message)
                    .consequence("the record would never be asked for here")
                    .help("leave the final dot out to name something below the zone"),
            );
            return None;
        }
        let absolute = Name::parse(text, Some(&Name::root())).ok();
        if absolute.is_some_and(|name| name != owner && name.is_subdomain_of(self.origin)) {
            let message = format!("`{text}` stands for {owner}: the zone's name is in it twice");
            self.problems.push(
                Diagnostic::warning("record-name", span, message)
                    .help("end the name with a dot, or leave the zone's name out"),
            );
        }
        Some(owner)
    }

    /// False when records of this type cannot be written here.
    fn check_type(&mut self, owner: &Name, rtype: RecordType, span: Span) -> bool {
        let message = if rdata::is_meta(rtype) {
            format!("{rtype} is not a type of data")
        } else if rtype == RecordType::SOA && owner != self.origin {
            format!(
                "an SOA record belongs to the zone's own name, {}",
                self.origin
            )
        } else {
            return true;
        };
        self.problems
            .push(Diagnostic::error("record-type", span, message));
        false
    }

    fn read_type(&mut self, record: &Record, owner: &Name, rtype: RecordType) {
        let sets: Vec<RoutedSet> = record
            .sets
            .iter()
            .filter_map(|set| self.read_set(set, rtype))
            .collect();
        if sets.len() != record.sets.len() {
            return;
        }
        if let (Policy::Simple, None, [set]) = (record.policy, record.hints, record.sets.as_slice())
            && let SetData::Values(values) = &set.data
        {
            self.add_plain(
                record,
                owner,
                rtype,
                sets,
                values.iter().map(|value| value.span),
            );
            return;
        }
        self.entries.routed.push(RoutedRecord {
            owner: owner.clone(),
            rtype,
            policy: record.policy,
            cidr_collection: record.cidr_collection,
            max_answers: record.max_answers,
            hints: record.hints,
            beyond: record.beyond,
            ttl: record.ttl,
            sets,
            span: record.span,
        });
    }

    /// A simple record with values needs no decision.
    fn add_plain(
        &mut self,
        record: &Record,
        owner: &Name,
        rtype: RecordType,
        sets: Vec<RoutedSet>,
        spans: impl Iterator<Item = Span>,
    ) {
        let values = sets.into_iter().filter_map(|set| match set.data {
            RoutedData::Values(values) => Some(values),
            RoutedData::Alias(_) => None,
        });
        for (rdata, span) in values.flatten().zip(spans) {
            self.entries.records.push(ParsedRecord {
                owner: owner.clone(),
                rtype,
                ttl: record.ttl,
                rdata,
                span,
            });
        }
    }

    fn read_set(&mut self, set: &RecordSet, rtype: RecordType) -> Option<RoutedSet> {
        let data = match &set.data {
            SetData::Values(values) => {
                let read = self.read_values(values, rtype)?;
                let second = values.get(1).map_or(set.span, |value| value.span);
                self.check_single(rtype, read.len(), second)?;
                RoutedData::Values(read)
            }
            SetData::Alias(alias) => RoutedData::Alias(RoutedAlias {
                target: self.read_target(&alias.target)?,
                evaluate_target_health: alias.evaluate_target_health,
            }),
        };
        Some(RoutedSet {
            id: set.id.clone(),
            weight: set.weight,
            failover: set.failover,
            audience: set.audience,
            health_check: set.health_check,
            dial: set.dial,
            fallback: set.fallback,
            data,
            span: set.span,
        })
    }

    fn read_values(
        &mut self,
        values: &[conf::Spanned<String>],
        rtype: RecordType,
    ) -> Option<Vec<Box<[u8]>>> {
        let mut read = Vec::with_capacity(values.len());
        let mut seen = HashSet::new();
        for value in values {
            match rdata::parse(rtype, value.as_bytes(), self.origin) {
                Ok((data, notes)) => {
                    for note in notes {
                        self.problems.push(
                            Diagnostic::warning("record-value", value.span, note.message)
                                .consequence("the record is served as written"),
                        );
                    }
                    self.warn_of_relative_name(rtype, &data, value);
                    if !seen.insert(data.clone()) {
                        let message = format!("the value `{}` is given twice", value.value);
                        self.problems
                            .push(Diagnostic::error("record-value", value.span, message));
                    }
                    read.push(data);
                }
                Err(error) => {
                    let mut diagnostic =
                        Diagnostic::error("record-value", value.span, error.message)
                            .consequence(format!("the {rtype} record could not be answered"));
                    diagnostic.help = error.help.or_else(|| example(rtype).map(str::to_owned));
                    self.problems.push(diagnostic);
                }
            }
        }
        (read.len() == values.len()).then_some(read)
    }

    /// `app.example.com` without a final dot is below the zone, which is hardly ever meant.
    fn warn_of_relative_name(
        &mut self,
        rtype: RecordType,
        data: &[u8],
        value: &conf::Spanned<String>,
    ) {
        for field in rdata::names(rtype, data) {
            let bytes = data.get(field.start..field.end).unwrap_or_default();
            let Ok(name) = Name::from_wire(bytes) else {
                continue;
            };
            let relative = value.split_ascii_whitespace().find(|word| {
                word.contains('.')
                    && !word.ends_with('.')
                    && Name::parse(word, Some(self.origin)).is_ok_and(|parsed| parsed == name)
            });
            if let Some(word) = relative {
                let message = format!("`{word}` has no final dot: it stands for {name}");
                self.problems.push(
                    Diagnostic::warning("relative-name", value.span, message).help(format!(
                        "write \"{word}.\" for the name outside of the zone"
                    )),
                );
            }
        }
    }

    /// At most one CNAME, DNAME or SOA record answers at a time (RFC 1034 section 3.6.2, RFC 6672
    /// section 2.4).
    fn check_single(&mut self, rtype: RecordType, count: usize, span: Span) -> Option<()> {
        let single = [RecordType::CNAME, RecordType::DNAME, RecordType::SOA].contains(&rtype);
        if !single || count == 1 {
            return Some(());
        }
        let message = format!("a {rtype} record has one value, not {count}");
        self.problems.push(
            Diagnostic::error("record-value", span, message)
                .help("to share traffic between several, give one set to each"),
        );
        None
    }

    fn read_target(&mut self, target: &AliasTarget) -> Option<RoutedTarget> {
        let text = match target {
            AliasTarget::Listener(listener) => return Some(RoutedTarget::Listener(*listener)),
            AliasTarget::TargetGroup(group) => return Some(RoutedTarget::TargetGroup(*group)),
            AliasTarget::Record(text) => text,
        };
        match Name::parse(text.as_bytes(), Some(self.origin)) {
            Ok(name) => Some(RoutedTarget::Record(name)),
            Err(why) => {
                let message = format!("`{}` is not a record name: {why}", text.value);
                self.problems
                    .push(Diagnostic::error("record-name", text.span, message));
                None
            }
        }
    }
}

/// True for a name without escapes: `conf` compares those itself, and has reported duplicates and
/// names outside of the zone.
fn is_plain(text: &str) -> bool {
    !text.contains('\\')
}

/// What a value of the type looks like.
fn example(rtype: RecordType) -> Option<&'static str> {
    Some(match rtype {
        RecordType::A => "write an address such as \"192.0.2.10\"",
        RecordType::AAAA => "write an address such as \"2001:db8::10\"",
        RecordType::MX => "write preference and name: \"10 mail.example.test.\"",
        RecordType::SRV => "write priority, weight, port and name: \"10 5 5060 sip.example.test.\"",
        RecordType::TXT => "write quoted strings: '\"some text\"'",
        RecordType::CAA => "write flags, tag and value: '0 issue \"ca.example\"'",
        RecordType::SVCB | RecordType::HTTPS => {
            "write priority, target and parameters: \"1 . alpn=h2,h3 port=8443\""
        }
        _ => return None,
    })
}
