//! What updates did to a zone: records that came and records that went.
//!
//! Pure. Changes follow each other as they were made; the last one for a record counts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use conf::RecordType;

use crate::load::{ParsedRecord, RoutedRecord};
use crate::name::Name;
use crate::secondary::incoming::serial_of;
use crate::transfer::content::is_newer;

/// Records of a delta at most: it is held twice in memory, and laid over the zone at every reload.
pub(crate) const MOST: usize = 1_000_000;

/// One step from a zone to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Step {
    pub(crate) removed: Vec<ParsedRecord>,
    /// What came, the new SOA record among it.
    pub(crate) added: Vec<ParsedRecord>,
}

impl Step {
    /// True when nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

type Key = (Name, RecordType, Box<[u8]>);

/// A zone's records without any update, in order, so that one is found without walking them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Base(Arc<[ParsedRecord]>);

impl Base {
    /// Those of a zone as it was loaded.
    pub(crate) fn new(records: &[ParsedRecord]) -> Self {
        let mut records = records.to_vec();
        records.sort_by(|a, b| order(a).cmp(&order(b)));
        Self(records.into())
    }

    /// All of them.
    pub(crate) fn records(&self) -> &Arc<[ParsedRecord]> {
        &self.0
    }

    /// The TTL of a record, if it is there.
    fn ttl(&self, (owner, rtype, rdata): &Key) -> Option<u32> {
        let wanted = (owner, *rtype, &**rdata);
        let found = self.0.binary_search_by(|record| order(record).cmp(&wanted));
        let found = found.ok().and_then(|at| self.0.get(at));
        found.map(|record| record.ttl)
    }
}

fn order(record: &ParsedRecord) -> (&Name, RecordType, &[u8]) {
    (&record.owner, record.rtype, &record.rdata)
}

/// Everything updates did to one zone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Delta {
    /// By record: its TTL when it came, nothing when it went.
    records: HashMap<Key, Option<u32>>,
    /// The SOA record that updates left, serial and all.
    soa: Option<ParsedRecord>,
}

fn key(record: &ParsedRecord) -> Key {
    (record.owner.clone(), record.rtype, record.rdata.clone())
}

impl Delta {
    /// Adds a step.
    pub(crate) fn take(&mut self, step: &Step) {
        for record in &step.removed {
            if record.rtype != RecordType::SOA {
                self.records.insert(key(record), None);
            }
        }
        for record in &step.added {
            if record.rtype == RecordType::SOA {
                self.soa = Some(record.clone());
            } else {
                self.records.insert(key(record), Some(record.ttl));
            }
        }
    }

    /// The same as one step.
    pub(crate) fn as_step(&self) -> Step {
        let mut step = Step::default();
        for ((owner, rtype, rdata), ttl) in &self.records {
            let record = ParsedRecord {
                owner: owner.clone(),
                rtype: *rtype,
                ttl: ttl.unwrap_or(0),
                rdata: rdata.clone(),
                span: conf::Span::default(),
            };
            match ttl {
                Some(_) => step.added.push(record),
                None => step.removed.push(record),
            }
        }
        step.added.extend(self.soa.clone());
        step
    }

    /// Forgets removals of what the zone would not have anyway: names that come and go (those of
    /// certificate authorities' challenges do by the minute) must leave nothing behind.
    pub(crate) fn prune(&mut self, base: &Base) {
        self.records.retain(|key, ttl| tells_more(key, *ttl, base));
    }

    /// The same, when nothing but this step was taken since.
    pub(crate) fn prune_after(&mut self, step: &Step, base: &Base) {
        for record in step.removed.iter().chain(&step.added) {
            let key = key(record);
            let ttl = self.records.get(&key);
            if ttl.is_some_and(|ttl| !tells_more(&key, *ttl, base)) {
                self.records.remove(&key);
            }
        }
    }

    /// True when nothing was updated.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.soa.is_none()
    }

    /// Records it holds.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The serial that updates left.
    pub(crate) fn serial(&self) -> Option<u32> {
        self.soa.as_ref().and_then(serial_of)
    }

    /// Lays it over the records of a zone; how many records that came had to be left out, because
    /// the file has a CNAME or a record with a policy at their name now.
    pub(crate) fn lay_over(
        &self,
        base: &[ParsedRecord],
        routed: &[RoutedRecord],
    ) -> (Vec<ParsedRecord>, usize) {
        let mut left_out = 0;
        let mut current: Vec<ParsedRecord> = Vec::with_capacity(base.len() + self.records.len());
        for record in base {
            if record.rtype == RecordType::SOA {
                current.push(self.soa_over(record));
            } else if !self.records.contains_key(&key(record)) {
                current.push(record.clone());
            }
        }
        let taken = Taken::new(base, routed);
        let in_base: HashSet<Key> = base.iter().map(key).collect();
        // In an order of their own, so that equal zones are equal.
        let ordered: BTreeMap<_, _> = self.records.iter().collect();
        for (found, ttl) in ordered {
            let Some(ttl) = ttl else { continue };
            let (owner, rtype, rdata) = found;
            if !in_base.contains(found) && taken.bars(owner, *rtype, &current) {
                left_out += 1;
                continue;
            }
            current.push(ParsedRecord {
                owner: owner.clone(),
                rtype: *rtype,
                ttl: *ttl,
                rdata: rdata.clone(),
                span: conf::Span::default(),
            });
        }
        (current, left_out)
    }

    /// The SOA of the zone: that of the update, unless the file's serial is past it.
    fn soa_over(&self, base: &ParsedRecord) -> ParsedRecord {
        match (&self.soa, self.serial(), serial_of(base)) {
            (Some(soa), Some(ours), Some(file)) if !is_newer(file, ours) => soa.clone(),
            _ => base.clone(),
        }
    }
}

/// True when a record that came or went is not what the zone has anyway.
fn tells_more(key: &Key, ttl: Option<u32>, base: &Base) -> bool {
    match (ttl, base.ttl(key)) {
        (None, there) => there.is_some(),
        (Some(ttl), there) => there != Some(ttl),
    }
}

/// Names of the file where not everything may stand.
struct Taken<'r> {
    cnames: HashSet<&'r Name>,
    routed: HashSet<(&'r Name, RecordType)>,
    routed_names: HashSet<&'r Name>,
    base_names: HashSet<&'r Name>,
}

impl<'r> Taken<'r> {
    fn new(base: &'r [ParsedRecord], routed: &'r [RoutedRecord]) -> Self {
        let cnames = base.iter().filter(|r| r.rtype == RecordType::CNAME);
        Self {
            cnames: cnames.map(|record| &record.owner).collect(),
            routed: routed.iter().map(|r| (&r.owner, r.rtype)).collect(),
            routed_names: routed.iter().map(|record| &record.owner).collect(),
            base_names: base.iter().map(|record| &record.owner).collect(),
        }
    }

    /// True when a record that came cannot stand beside the file's.
    fn bars(&self, owner: &Name, rtype: RecordType, current: &[ParsedRecord]) -> bool {
        let there = |wanted: &dyn Fn(RecordType) -> bool| {
            let mut at = current.iter().filter(|record| record.owner == *owner);
            at.any(|record| wanted(record.rtype))
        };
        if self.routed.contains(&(owner, rtype)) {
            return true;
        }
        if rtype == RecordType::CNAME {
            return self.routed_names.contains(owner)
                || (self.base_names.contains(owner) && there(&|_| true));
        }
        self.cnames.contains(owner) && there(&|rtype| rtype == RecordType::CNAME)
    }
}

#[cfg(test)]
mod tests;
