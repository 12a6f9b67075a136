//! `[[zone.record]]` and its sets, by the rules of Route 53.
//!
//! Names and values stay text: their syntax belongs to the `dns` crate. What is checked here is
//! what does not need it: policies, set ids, roles, references.

use std::collections::HashMap;

use super::alias;
use super::beyond;
use super::defaults::Numbers;
use super::dns::ttl;
use super::hints;
use super::lints;
use super::sets::{self, SetContext};
use super::{Definitions, Names};
use crate::document::Table;
use crate::known;
use crate::section::Section;
use crate::suggest;
use crate::tree::{Choice, Reader, Scope};
use crate::{
    AliasTarget, CollectionIdx, Diagnostic, Policy, Record, RecordSet, RecordType, SetData, Span,
    Spanned,
};

/// Types people write, for suggestions.
const COMMON_TYPES: [&str; 16] = [
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV",
    "SSHFP", "TLSA", "TXT",
];
/// Types that are never data: questions and signatures of messages (RFC 6895 section 3.1).
const META_TYPES: [RecordType; 5] = [
    RecordType::OPT,
    RecordType::TSIG,
    RecordType::IXFR,
    RecordType::AXFR,
    RecordType::ANY,
];

/// The zone a record is in.
pub(super) struct ZoneContext {
    /// Its name in plain form; `None` when that is not usable.
    pub(super) name: Option<String>,
    /// True when records may also come from a file.
    pub(super) has_file: bool,
    /// TTL of records that give none.
    pub(super) ttl: u32,
}

impl ZoneContext {
    /// The plain absolute form of an owner name as written.
    pub(super) fn absolute(&self, name: &str) -> String {
        let zone = self.name.as_deref().unwrap_or("");
        match name {
            "@" | "" => zone.to_owned(),
            name if name.ends_with('.') => plain(name),
            name => format!("{}.{zone}", plain(name)),
        }
    }

    /// True when a plain absolute name is the zone's or below it.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.name.as_deref().is_none_or(|zone| {
            name.strip_suffix(zone)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

/// Lower case, without the final dot.
pub(super) fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Resolves a zone's records.
pub(super) fn resolve(
    tables: &[&Table],
    zone: &ZoneContext,
    scope: &Scope<'_>,
    numbers: &Numbers,
    names: &mut Names,
    definitions: Definitions<'_>,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut incomplete = false;
    for table in tables {
        let reader = Reader::new(scope, table, Section::Record, "this record");
        match record(reader, zone, numbers, names, definitions) {
            Some(record) => records.push(record),
            None => incomplete = true,
        }
    }
    check_unique(&mut records, zone, scope);
    alias::check_graph(&records, zone, incomplete, scope);
    records
}

fn record(
    mut reader: Reader<'_>,
    zone: &ZoneContext,
    numbers: &Numbers,
    names: &mut Names,
    definitions: Definitions<'_>,
) -> Option<Record> {
    reader.missing(
        "name",
        "there would be no name to answer for",
        "add `name = \"www\"`, or `name = \"@\"` for the zone itself",
    );
    reader.missing(
        "type",
        "it would not be known what to answer",
        "add `type = \"A\"`",
    );
    let name = reader.text("name");
    let types = types(&mut reader);
    if let Some(name) = &name {
        let first = types
            .first()
            .map_or(String::new(), |t| format!(" {}", t.value));
        reader.rename(format!("record `{}`{first}", name.value));
        check_in_zone(&reader, name, zone);
    }
    let own_ttl = ttl(&mut reader, &numbers.ttl);
    let policy = policy(&mut reader);
    let cidr_collection = cidr_collection(&mut reader, policy, names);
    let max_answers = max_answers(&mut reader, policy, numbers);
    let beyond = beyond::of_record(&mut reader, policy, own_ttl.unwrap_or(zone.ttl));
    let context = SetContext {
        types: &types,
        policy,
        listeners: definitions.listeners,
        regions: definitions.regions,
        all_down: beyond.all_down,
        collection: cidr_collection.and_then(|index| definitions.collections.get(index.0)),
        numbers,
    };
    let sets = sets::resolve(&mut reader, &context, names);
    check_types(&reader, &types, policy, &sets);
    let hints = hints::resolve(&mut reader, &types, &sets, names);
    if own_ttl.is_some() && !sets.is_empty() && sets.iter().all(is_record_alias) {
        ttl_without_effect(&reader);
    }
    let span = reader.span();
    let ttl_span = reader.key_span("ttl");
    let (Some(name), Some(policy), false) = (name, policy, types.is_empty() || sets.is_empty())
    else {
        reader.finish();
        return None;
    };
    let record = Record {
        name: Spanned::new(name.value.to_owned(), name.span),
        types,
        policy,
        cidr_collection,
        max_answers,
        hints,
        beyond,
        ttl: own_ttl.unwrap_or(zone.ttl),
        sets,
        span,
    };
    // A set that is broken may be the one that is missing.
    if record.policy == Policy::Simple || record.sets.len() == reader.tables("sets").len() {
        lints::record(&reader, &record, ttl_span);
    }
    reader.finish();
    Some(record)
}

fn types(reader: &mut Reader<'_>) -> Vec<Spanned<RecordType>> {
    let mut found: Vec<Spanned<RecordType>> = Vec::new();
    for text in reader.texts("type") {
        if let Some(later) = known::value(Section::Record, "type", text.value) {
            let what = format!("record type `{}`", text.value);
            reader
                .scope()
                .report(known::refuse(&what, text.span, later));
            continue;
        }
        match RecordType::parse(text.value).filter(|parsed| !META_TYPES.contains(parsed)) {
            Some(parsed) if found.iter().any(|other| other.value == parsed) => reader.bad_value(
                text.span,
                format!("type `{parsed}` is listed twice"),
                "remove one of them",
            ),
            Some(parsed) => found.push(Spanned::new(parsed, text.span)),
            None => {
                let help = if ["ALIAS", "ANAME"].contains(&text.value) {
                    "write `type = \"A\"` and `alias = { record = \"…\" }`".to_owned()
                } else if RecordType::parse(text.value).is_some() {
                    "it stands in questions only; write a record for each type of data".to_owned()
                } else {
                    suggest::help(text.value, COMMON_TYPES, "such as", "")
                };
                let message = format!("`{}` is not a record type", text.value);
                reader.bad_value(text.span, message, help);
            }
        }
    }
    found
}

fn check_in_zone(reader: &Reader<'_>, name: &Spanned<&str>, zone: &ZoneContext) {
    if let Some(zone_name) = &zone.name
        && !zone.contains(&zone.absolute(name.value))
    {
        reader.scope().report(
            Diagnostic::error(
                "outside-zone",
                name.span,
                format!("`{}` is not in zone `{zone_name}`", name.value),
            )
            .consequence("queries for the name would never be answered from this zone")
            .help("leave the final dot off for a name relative to the zone, or move the record"),
        );
    }
}

/// The policy; `None` when it is refused. Without one a record is simple.
fn policy(reader: &mut Reader<'_>) -> Option<Policy> {
    let words = Policy::ALL.map(|policy| (policy.as_str(), policy));
    match reader.choice("policy", &words) {
        Choice::Is(policy) => Some(policy.value),
        Choice::Absent => Some(Policy::Simple),
        Choice::Refused | Choice::Later => None,
    }
}

/// The collection of an ip-based record.
fn cidr_collection(
    reader: &mut Reader<'_>,
    policy: Option<Policy>,
    names: &mut Names,
) -> Option<CollectionIdx> {
    match policy {
        Some(Policy::IpBased) => reader.missing(
            "cidr-collection",
            "it would not be known which clients its locations are",
            "add `cidr-collection = \"…\"`, the name of a [[cidr-collection]]",
        ),
        Some(_) => {
            reader.misplaced(
                "cidr-collection",
                "only ip-based records choose by the client's network",
                "remove it, or use policy `ip-based`",
            );
            return None;
        }
        None => {}
    }
    let name = reader.text("cidr-collection")?;
    names.collections.find(name, reader.scope())
}

/// How many sets a multivalue record answers with at most.
fn max_answers(reader: &mut Reader<'_>, policy: Option<Policy>, numbers: &Numbers) -> u8 {
    let limit = &numbers.max_answers;
    if !matches!(policy, Some(Policy::Multivalue) | None) {
        reader.misplaced(
            "max-answers",
            "only multivalue records answer with several sets",
            "remove it, or use policy `multivalue`",
        );
    }
    let found = match policy {
        Some(Policy::Multivalue) | None => reader.whole("max-answers", limit),
        Some(_) => None,
    };
    let number = found.map_or(limit.default, |found| found.value);
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn is_record_alias(set: &RecordSet) -> bool {
    matches!(&set.data, SetData::Alias(alias) if matches!(alias.target, AliasTarget::Record(_)))
}

fn ttl_without_effect(reader: &Reader<'_>) {
    if let Some(span) = reader.key_span("ttl") {
        reader.scope().report(
            Diagnostic::warning(
                "no-effect",
                span,
                format!("`ttl` of {} has no effect", reader.title()),
            )
            .consequence("an alias to a record answers with that record's TTL")
            .help("set `ttl` on the record it stands for"),
        );
    }
}

fn check_types(
    reader: &Reader<'_>,
    types: &[Spanned<RecordType>],
    policy: Option<Policy>,
    sets: &[RecordSet],
) {
    let only_aliases = sets.iter().all(|set| matches!(set.data, SetData::Alias(_)));
    if let [_, second, ..] = types
        && !only_aliases
    {
        reader.scope().report(
            Diagnostic::error(
                "type-list",
                second.span,
                format!("{} has several types, but not only aliases", reader.title()),
            )
            .consequence("its values cannot be of all these types")
            .help("write one [[zone.record]] for each type"),
        );
    }
    let Some(policy) = policy.filter(|policy| *policy != Policy::Simple) else {
        return;
    };
    for found in types {
        let refused = match found.value {
            RecordType::NS | RecordType::SOA | RecordType::DS => true,
            RecordType::CNAME => policy == Policy::Multivalue,
            _ => false,
        };
        if refused {
            let message = format!("{} records cannot be {}", found.value, policy.as_str());
            reader.scope().report(
                Diagnostic::error("policy-not-for-type", found.span, message)
                    .consequence(
                        "resolvers need the same answer each time, and Route 53 refuses it too",
                    )
                    .help("use policy `simple`"),
            );
        }
    }
}

/// Refuses a second record of a name and type, and takes it out, so that it is not reported again
/// by those who read the model.
fn check_unique(records: &mut Vec<Record>, zone: &ZoneContext, scope: &Scope<'_>) {
    let mut seen: HashMap<(String, RecordType), Span> = HashMap::new();
    for record in records.iter_mut() {
        let owner = zone.absolute(&record.name);
        let name = record.name.clone();
        record.types.retain(|found| {
            let first = *seen
                .entry((owner.clone(), found.value))
                .or_insert(name.span);
            if first != name.span {
                scope.report(duplicate(&name, found.value, first));
            }
            first == name.span
        });
    }
    records.retain(|record| !record.types.is_empty());
}

fn duplicate(name: &Spanned<String>, of_type: RecordType, first: Span) -> Diagnostic {
    let message = format!("there are two records `{}` {of_type}", name.value);
    Diagnostic::error("duplicate-record", name.span, message)
        .consequence("only one of them could be answered")
        .help("put all values into one [[zone.record]], or make them `sets` under one policy")
        .related(first, "first defined here")
}
