//! A zone's records while it is updated: as they were compiled, and the names that changed since.
//!
//! Read and changed by updates, read by whoever makes a layer of it or asks for all records. Finding a
//! name costs a binary search; nothing here walks the zone but [`Current::new`] and
//! [`Current::records`].

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use conf::RecordType;

use super::delta::{Base, Step};
use crate::load::{ParsedRecord, ZoneSource};
use crate::name::Name;
use crate::zone::alias_targets;

/// Names that may differ in a zone of any size before it is compiled anew.
const CHANGED: usize = 1000;
/// In a large zone one name in so many may: a layer is made anew with every update.
const CHANGED_SHARE: usize = 100;

/// What a zone was compiled from.
#[derive(Debug, Default)]
struct Compiled {
    /// In order of owner and type.
    records: Arc<[ParsedRecord]>,
    /// Names on which others depend: cuts and DNAMEs, their name servers, what aliases name.
    tied: HashSet<Name>,
}

/// A zone's records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current {
    compiled: Arc<Compiled>,
    /// Everything at each name that differs; nothing where there is nothing any more.
    changed: BTreeMap<Name, Arc<[ParsedRecord]>>,
    /// Records in all.
    len: usize,
}

impl Current {
    /// That of a zone as it is compiled.
    pub(crate) fn new(zone: &ZoneSource) -> Self {
        Self::of(zone, Base::new(&zone.records))
    }

    /// The same when these are the zone's records.
    pub(crate) fn of(zone: &ZoneSource, records: Base) -> Self {
        let records = records.records().clone();
        let cuts = records.iter().filter(|r| {
            r.rtype == RecordType::DNAME || (r.rtype == RecordType::NS && r.owner != zone.origin)
        });
        let servers = cuts.clone().filter(|r| r.rtype == RecordType::NS);
        let servers = servers.filter_map(|record| Name::from_wire(&record.rdata).ok());
        let mut tied: HashSet<Name> = servers.collect();
        tied.extend(cuts.map(|record| record.owner.clone()));
        tied.extend(alias_targets(zone).map(|(name, _)| name.clone()));
        Self {
            len: records.len(),
            compiled: Arc::new(Compiled { records, tied }),
            changed: BTreeMap::new(),
        }
    }

    /// Records in all.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All records.
    pub(crate) fn records(&self) -> Vec<ParsedRecord> {
        let compiled = self.compiled.records.iter();
        let kept = compiled.filter(|record| !self.changed.contains_key(&record.owner));
        let changed = self.changed.values().flat_map(|records| records.iter());
        kept.chain(changed).cloned().collect()
    }

    /// Everything at a name.
    pub(crate) fn at(&self, name: &Name) -> &[ParsedRecord] {
        match self.changed.get(name) {
            Some(records) => records,
            None => self.was_at(name),
        }
    }

    fn was_at(&self, name: &Name) -> &[ParsedRecord] {
        let records = &self.compiled.records;
        let start = records.partition_point(|record| record.owner < *name);
        let rest = records.get(start..).unwrap_or_default();
        let end = rest
            .iter()
            .take_while(|record| record.owner == *name)
            .count();
        rest.get(..end).unwrap_or_default()
    }

    /// True when there are records below a name.
    pub(crate) fn is_above(&self, name: &Name) -> bool {
        let mut changed = self.changed.range(name..).skip_while(|(at, _)| *at == name);
        let below = changed
            .by_ref()
            .take_while(|(at, _)| at.is_subdomain_of(name))
            .any(|(_, records)| !records.is_empty());
        let records = &self.compiled.records;
        let start = records.partition_point(|record| record.owner <= *name);
        let rest = records.get(start..).unwrap_or_default();
        let mut rest = rest
            .iter()
            .take_while(|record| record.owner.is_subdomain_of(name));
        below || rest.any(|record| !self.changed.contains_key(&record.owner))
    }

    /// Names that differ from what was compiled.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &Name> {
        self.changed.keys()
    }

    /// True when a layer can say what these steps did.
    pub(crate) fn can_change(&self, origin: &Name, steps: &[Step]) -> bool {
        let mut records = steps.iter().flat_map(|s| s.removed.iter().chain(&s.added));
        let most = CHANGED.max(self.compiled.records.len() / CHANGED_SHARE);
        self.changed.len() <= most
            && records.all(|record| {
                let reaches = match record.rtype {
                    RecordType::DNAME => true,
                    RecordType::NS => record.owner != *origin,
                    _ => false,
                };
                !reaches && !self.compiled.tied.contains(&record.owner)
            })
    }

    /// Takes over what is at names now; what that changed, as records that went and that came.
    pub(crate) fn take(&mut self, touched: BTreeMap<Name, Vec<ParsedRecord>>) -> Step {
        let mut step = Step::default();
        for (name, records) in touched {
            let before = self.at(&name);
            let missing = |from: &[ParsedRecord], among: &[ParsedRecord]| -> Vec<ParsedRecord> {
                let same = |record: &ParsedRecord| {
                    let data = |r: &ParsedRecord| (r.rtype, r.ttl, r.rdata.clone());
                    among.iter().any(|other| data(other) == data(record))
                };
                from.iter()
                    .filter(|record| !same(record))
                    .cloned()
                    .collect()
            };
            let (removed, added) = (missing(before, &records), missing(&records, before));
            self.len = self.len + added.len() - removed.len();
            step.removed.extend(removed);
            step.added.extend(added);
            if same_set(self.was_at(&name), &records) {
                self.changed.remove(&name);
            } else {
                self.changed.insert(name, records.into());
            }
        }
        step
    }
}

fn same_set(left: &[ParsedRecord], right: &[ParsedRecord]) -> bool {
    let of = |records: &[ParsedRecord]| -> BTreeSet<(u16, u32, Box<[u8]>)> {
        let all = records.iter().map(|r| (r.rtype.0, r.ttl, r.rdata.clone()));
        all.collect()
    };
    left.len() == right.len() && of(left) == of(right)
}
