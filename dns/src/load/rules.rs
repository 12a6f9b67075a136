//! Rules of a zone as a whole, over file and config records together.
//!
//! Errors are what BIND, NSD and Knot all refuse: CNAME beside other data, several CNAMEs or
//! DNAMEs at one name. The rest are warnings: the data is served, or kept and never served. Alias
//! targets that only a zone file can hold are checked here too.

use std::collections::{BTreeMap, HashMap, HashSet};

use conf::{AliasTarget, Diagnostic, RecordType, SetData, Span, Zone};

use super::{ParsedRecord, RoutedRecord};
use crate::name::Name;
use crate::zonefile::Problems;
use crate::zonefile::problems::NOT_LOADED;

pub(super) fn check(
    records: &[ParsedRecord],
    routed: &[RoutedRecord],
    origin: &Name,
    zone: &Zone,
    problems: &mut Problems,
) {
    let tree = Tree::new(records, routed, origin);
    tree.check_singletons(problems);
    tree.check_cuts(problems);
    tree.check_targets(records, problems);
    if zone.file.is_some() {
        tree.check_aliases(zone, problems);
    }
}

/// The rules that refuse a zone, for records that came from elsewhere.
pub(super) fn check_copied(records: &[ParsedRecord], origin: &Name, problems: &mut Problems) {
    Tree::new(records, &[], origin).check_singletons(problems);
}

/// Types of which one record at most may stand at a name, routed ones counted as one.
const SINGLETONS: [(RecordType, &str); 2] = [
    (RecordType::CNAME, "several-cname"),
    (RecordType::DNAME, "several-dname"),
];

struct Tree<'a> {
    origin: &'a Name,
    /// Types and places of everything at a name.
    nodes: HashMap<&'a Name, Vec<(RecordType, Span)>>,
    /// Names below which nothing is served: delegations and DNAMEs.
    cuts: HashSet<&'a Name>,
}

impl<'a> Tree<'a> {
    fn new(records: &'a [ParsedRecord], routed: &'a [RoutedRecord], origin: &'a Name) -> Self {
        let mut nodes: HashMap<&Name, Vec<(RecordType, Span)>> = HashMap::new();
        let plain = records.iter().map(|r| (&r.owner, r.rtype, r.span));
        let chosen = routed.iter().map(|r| (&r.owner, r.rtype, r.span));
        let mut cuts = HashSet::new();
        for (owner, rtype, span) in plain.chain(chosen) {
            nodes.entry(owner).or_default().push((rtype, span));
            let delegates = rtype == RecordType::NS && owner != origin;
            if delegates || rtype == RecordType::DNAME {
                cuts.insert(owner);
            }
        }
        Self {
            origin,
            nodes,
            cuts,
        }
    }

    fn has(&self, name: &Name, wanted: &[RecordType]) -> bool {
        let types = self.nodes.get(name).map_or(&[][..], Vec::as_slice);
        types.iter().any(|(rtype, _)| wanted.contains(rtype))
    }

    /// Nodes in the order of the text, so that reports come in that order too.
    fn in_order(&self) -> Vec<(&'a Name, &[(RecordType, Span)])> {
        let nodes = self.nodes.iter();
        let mut nodes: Vec<_> = nodes
            .map(|(&name, types)| (name, types.as_slice()))
            .collect();
        nodes.sort_unstable_by_key(|(_, types)| types.first().map(|&(_, span)| span));
        nodes
    }

    fn check_singletons(&self, problems: &mut Problems) {
        for (name, types) in self.in_order() {
            for (single, code) in SINGLETONS {
                let mut found = types.iter().filter(|(rtype, _)| *rtype == single);
                if let (Some((_, first)), Some((_, second))) = (found.next(), found.next()) {
                    let message = format!("{name} has more than one {single} record");
                    problems.push(
                        Diagnostic::error(code, *second, message)
                            .consequence(NOT_LOADED)
                            .help(format!("keep one {single} record at this name"))
                            .related(*first, "first given here"),
                    );
                }
            }
            check_cname(name, types, problems);
            self.check_ns_owner(name, types, problems);
        }
    }

    fn check_ns_owner(&self, name: &Name, types: &[(RecordType, Span)], problems: &mut Problems) {
        let Some((_, span)) = types.iter().find(|(rtype, _)| *rtype == RecordType::NS) else {
            return;
        };
        if name.is_wildcard() {
            let message = format!("{name} delegates a wildcard");
            problems.push(
                Diagnostic::warning("wildcard-ns", *span, message).consequence(
                    "its meaning is undefined (RFC 4592 section 4.2); BIND would refuse the zone",
                ),
            );
        }
        if name != self.origin && self.has(name, &[RecordType::DNAME]) {
            let message = format!("{name} has NS and DNAME records");
            problems.push(
                Diagnostic::warning("ns-and-dname", *span, message)
                    .consequence("names below it are delegated, the DNAME is never used"),
            );
        }
    }

    /// The lowest-lying cut at or above `name`'s parent, if any.
    fn cut_above(&self, name: &Name) -> Option<&'a Name> {
        if self.cuts.is_empty() {
            return None;
        }
        let mut above = name.parent();
        while let Some(current) = above {
            if let Some(&cut) = self.cuts.get(&current) {
                return Some(cut);
            }
            if current == *self.origin {
                return None;
            }
            above = current.parent();
        }
        None
    }

    /// Data that is never served because a delegation or a DNAME is above it (addresses may be
    /// glue).
    fn check_cuts(&self, problems: &mut Problems) {
        let mut hidden: BTreeMap<Span, (&Name, &Name, usize)> = BTreeMap::new();
        let mut first_of: HashMap<&Name, Span> = HashMap::new();
        for (name, types) in self.in_order() {
            let Some(cut) = self.cut_above(name) else {
                continue;
            };
            let delegated = self.has(cut, &[RecordType::NS]);
            let is_glue = |rtype| delegated && [RecordType::A, RecordType::AAAA].contains(&rtype);
            for &(_, span) in types.iter().filter(|(rtype, _)| !is_glue(*rtype)) {
                let first = *first_of.entry(cut).or_insert(span);
                hidden.entry(first).or_insert((cut, name, 0)).2 += 1;
            }
        }
        for (span, (cut, name, count)) in hidden {
            let message = match count {
                1 => format!("{name} is below {cut}, which is delegated or has a DNAME record"),
                _ => format!(
                    "{count} records, {name} among them, are below {cut}, which is delegated or has a DNAME record"
                ),
            };
            problems.push(
                Diagnostic::warning("occluded", span, message)
                    .consequence("what is below it is never served"),
            );
        }
    }

    /// Names that NS, MX and SRV records point at, as far as they are in this zone.
    fn check_targets(&self, records: &[ParsedRecord], problems: &mut Problems) {
        for record in records {
            let offset = match record.rtype {
                RecordType::NS => 0,
                RecordType::MX => 2,
                RecordType::SRV => 6,
                _ => continue,
            };
            let data = record.rdata.get(offset..).unwrap_or_default();
            let Ok(target) = Name::from_wire(data) else {
                continue;
            };
            if !target.is_subdomain_of(self.origin) || target.is_root() {
                continue;
            }
            if let Some(problem) = self.check_target(record, &target) {
                problems.push(problem);
            }
        }
    }

    fn check_target(&self, record: &ParsedRecord, target: &Name) -> Option<Diagnostic> {
        let rtype = record.rtype;
        if self.has(target, &[RecordType::CNAME]) {
            let message = format!("the {rtype} record points at {target}, which is a CNAME");
            return Some(
                Diagnostic::warning("target-is-cname", record.span, message).consequence(
                    "some resolvers and mail servers do not follow it (RFC 2181 section 10.3)",
                ),
            );
        }
        if self.has(target, &[RecordType::A, RecordType::AAAA]) || self.covered_by_wildcard(target)
        {
            return None;
        }
        let below_cut = self.cuts.contains(target) || self.cut_above(target).is_some();
        match (below_cut, rtype) {
            (true, RecordType::NS) => {
                let message = format!("{target} is below a delegation and has no address here");
                Some(
                    Diagnostic::warning("missing-glue", record.span, message)
                        .consequence(
                            "resolvers cannot reach the delegated zone by this name server",
                        )
                        .help(format!("add an A or AAAA record for {target}")),
                )
            }
            (true, _) => None,
            (false, _) => {
                let message =
                    format!("the {rtype} record points at {target}, which has no address");
                Some(
                    Diagnostic::warning("target-without-address", record.span, message)
                        .help(format!("add an A or AAAA record for {target}")),
                )
            }
        }
    }

    fn covered_by_wildcard(&self, name: &Name) -> bool {
        if self.nodes.contains_key(name) {
            return false;
        }
        let mut above = name.parent();
        while let Some(current) = above {
            let wildcard = current.prepend(b"*");
            if wildcard.is_ok_and(|wildcard| self.nodes.contains_key(&wildcard)) {
                return true;
            }
            if current == *self.origin {
                return false;
            }
            above = current.parent();
        }
        false
    }

    /// Aliases to records: the target must exist with the alias's type. (Without a zone file the
    /// config file alone can tell, and did.)
    fn check_aliases(&self, zone: &Zone, problems: &mut Problems) {
        for record in &zone.records {
            for set in &record.sets {
                let SetData::Alias(alias) = &set.data else {
                    continue;
                };
                let AliasTarget::Record(text) = &alias.target else {
                    continue;
                };
                let Ok(target) = Name::parse(text.as_bytes(), Some(self.origin)) else {
                    continue;
                };
                // `conf` has reported a target outside of the zone.
                if !target.is_subdomain_of(self.origin) {
                    continue;
                }
                for rtype in &record.types {
                    if !self.has(&target, &[rtype.value]) {
                        let suggest = !problems.is_full();
                        problems.push(self.dangling(text.span, &target, rtype.value, suggest));
                    }
                }
            }
        }
    }

    fn dangling(&self, span: Span, target: &Name, rtype: RecordType, suggest: bool) -> Diagnostic {
        let message = format!("the zone has no {rtype} record at {target}");
        let diagnostic = Diagnostic::error("alias-target-missing", span, message)
            .consequence("the alias would have no answer");
        if self.has(target, &[RecordType::CNAME]) {
            return diagnostic.help("a CNAME record stands there: name what it points at");
        }
        if !suggest {
            return diagnostic;
        }
        let text = target.to_lower().to_string();
        let candidates = self.nodes.keys().filter(|name| self.has(name, &[rtype]));
        let nearest = candidates
            .map(|name| {
                (
                    strsim::damerau_levenshtein(&name.to_lower().to_string(), &text),
                    name,
                )
            })
            .min_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        match nearest {
            Some((distance, name)) if distance <= 3 => {
                diagnostic.help(format!("did you mean {name}?"))
            }
            _ => diagnostic,
        }
    }
}

/// CNAME beside other data (RFC 1034 section 3.6.2; DNSSEC records may stand there, RFC 4034
/// section 3 and 4).
fn check_cname(name: &Name, types: &[(RecordType, Span)], problems: &mut Problems) {
    const KEY: RecordType = RecordType(25);
    const BESIDE: [RecordType; 4] = [RecordType::CNAME, RecordType::RRSIG, RecordType::NSEC, KEY];
    let cname = types.iter().find(|(rtype, _)| *rtype == RecordType::CNAME);
    let other = types.iter().find(|(rtype, _)| !BESIDE.contains(rtype));
    if let (Some((_, cname)), Some((rtype, other))) = (cname, other) {
        let message = format!("{name} has a CNAME record and other data ({rtype})");
        problems.push(
            Diagnostic::error("cname-and-other-data", *cname, message)
                .consequence(NOT_LOADED)
                .help("a CNAME stands alone at its name: use an alias, or remove one of the two")
                .related(*other, "the other data"),
        );
    }
}
