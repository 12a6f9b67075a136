//! What is transferred: a zone's records in order, and how they changed from one serial to the
//! next.
//!
//! Made when a configuration is prepared, for zones that somebody may copy or is told of. Records
//! with a routing policy are there as their resting answer: what everybody would get were
//! everything healthy and nobody anywhere in particular. Health never changes any of it.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use conf::{Config, FailoverRole, Policy, RecordType};

use crate::load::{ParsedRecord, RoutedData, RoutedRecord, RoutedSet, RoutedTarget, ZoneSource};
use crate::name::Name;
use crate::secondary::incoming::serial_of;
use crate::updates::delta::Step;

/// Changes kept at most; older serials get the whole zone.
const CHANGES: usize = 64;
/// Records of changes kept, even of a small zone.
const CHANGED_RECORDS: usize = 1000;
/// Aliases to records followed at most.
const MAX_ALIAS_DEPTH: usize = 16;

/// Everything a zone's secondaries get.
#[derive(Debug)]
pub(crate) struct Content {
    /// Its serial.
    pub(crate) serial: u32,
    /// The SOA record.
    pub(crate) soa: Arc<[ParsedRecord]>,
    /// All others as they were when the zone was compiled, in order, none twice.
    pub(crate) records: Arc<[ParsedRecord]>,
    /// Those of them that updates took away since.
    pub(crate) gone: Arc<Gone>,
    /// What updates added since.
    pub(crate) come: Arc<[ParsedRecord]>,
    /// From older serials to this one, each beginning where the one before ended.
    pub(crate) changes: Vec<Arc<Change>>,
    /// Records that stand for more than they say.
    pub(crate) resting: usize,
}

/// Records that are not there any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone(HashSet<Key>);

type Key = (Name, RecordType, Box<[u8]>, u32);

impl Gone {
    /// True for one of them.
    pub(crate) fn contains(&self, record: &ParsedRecord) -> bool {
        !self.0.is_empty() && self.0.contains(&owned_key(record))
    }
}

fn owned_key(record: &ParsedRecord) -> Key {
    let (owner, rtype, rdata, ttl) = key(record);
    (owner.clone(), rtype, rdata.into(), ttl)
}

/// From one serial to the next.
#[derive(Debug)]
pub(crate) struct Change {
    /// The serial before.
    pub(crate) from: u32,
    /// The old SOA and what went.
    pub(crate) removed: Arc<[ParsedRecord]>,
    /// The new SOA and what came.
    pub(crate) added: Arc<[ParsedRecord]>,
}

impl Content {
    /// That of a zone, after `previous`.
    pub(crate) fn new(zone: &ZoneSource, config: &Config, previous: Option<&Self>) -> Self {
        let is_soa = |record: &&ParsedRecord| record.rtype == RecordType::SOA;
        let soa = zone.records.iter().filter(is_soa).take(1).cloned();
        let resting = resting(zone, config);
        let count = resting.len();
        let plain = zone
            .records
            .iter()
            .filter(|record| !is_soa(record))
            .cloned();
        let mut records: Vec<ParsedRecord> = plain.chain(resting).collect();
        records.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        records.dedup_by(|a, b| key(a) == key(b));
        let mut content = Self {
            serial: zone.serial,
            soa: soa.collect(),
            records: records.into(),
            gone: Arc::default(),
            come: Arc::default(),
            changes: Vec::new(),
            resting: count,
        };
        if let Some(previous) = previous {
            content.changes = content.changes_after(previous);
            content.trim();
        }
        content
    }

    /// The same after a step with a new SOA record in it; `None` when the serial does not go forward.
    pub(crate) fn after(&self, step: &Step) -> Option<Self> {
        let is_soa = |record: &&ParsedRecord| record.rtype == RecordType::SOA;
        let soa = step.added.iter().find(is_soa)?;
        let serial = serial_of(soa).filter(|serial| is_newer(*serial, self.serial))?;
        let plain = |records: &'_ [ParsedRecord]| -> Vec<ParsedRecord> {
            records.iter().filter(|r| !is_soa(r)).cloned().collect()
        };
        let (removed, added) = (plain(&step.removed), plain(&step.added));
        let mut gone = Gone::clone(&self.gone);
        let left: HashSet<_> = removed.iter().map(key).collect();
        let stays = |record: &&ParsedRecord| !left.contains(&key(record));
        let mut come: Vec<_> = self.come.iter().filter(stays).cloned().collect();
        let came: HashSet<_> = self.come.iter().map(key).collect();
        let compiled = removed.iter().filter(|record| !came.contains(&key(record)));
        gone.0.extend(compiled.map(owned_key));
        for record in &added {
            if !gone.0.remove(&owned_key(record)) {
                come.push(record.clone());
            }
        }
        let soa: Arc<[ParsedRecord]> = Arc::from([soa.clone()]);
        let mut changes = self.changes.clone();
        changes.push(Arc::new(Change {
            from: self.serial,
            removed: self.soa.iter().cloned().chain(removed).collect(),
            added: soa.iter().cloned().chain(added).collect(),
        }));
        let mut after = Self {
            serial,
            soa,
            records: self.records.clone(),
            gone: Arc::new(gone),
            come: come.into(),
            changes,
            resting: self.resting,
        };
        after.trim();
        Some(after)
    }

    /// All records but the SOA.
    fn all(&self) -> impl Iterator<Item = &ParsedRecord> {
        let compiled = self.records.iter();
        let left = compiled.filter(|record| !self.gone.contains(record));
        left.chain(self.come.iter())
    }

    fn changes_after(&self, previous: &Self) -> Vec<Arc<Change>> {
        let mut changes = previous.changes.clone();
        if self.serial == previous.serial {
            return changes;
        }
        if !is_newer(self.serial, previous.serial) {
            // Serials went back: no secondary can follow that by changes.
            return Vec::new();
        }
        let difference = |left: &Self, right: &Self| {
            let there: HashSet<_> = right.all().map(key).collect();
            let gone = left.all().filter(|record| !there.contains(&key(record)));
            left.soa.iter().chain(gone).cloned().collect()
        };
        changes.push(Arc::new(Change {
            from: previous.serial,
            removed: difference(previous, self),
            added: difference(self, previous),
        }));
        changes
    }

    /// Forgets changes that are too many, or more than the zone itself: those would be no saving.
    fn trim(&mut self) {
        let most = self.records.len().max(CHANGED_RECORDS);
        let size = |change: &Arc<Change>| change.removed.len() + change.added.len();
        let mut records: usize = self.changes.iter().map(size).sum();
        while self.changes.len() > CHANGES || records > most {
            let first = self.changes.remove(0);
            records -= size(&first);
        }
    }

    /// What leads from `serial` to this one; `None` when that is not known any more.
    pub(crate) fn since(&self, serial: u32) -> Option<&[Arc<Change>]> {
        let first = self
            .changes
            .iter()
            .position(|change| change.from == serial)?;
        self.changes.get(first..)
    }
}

/// True when `serial` comes after `other` (RFC 1982).
pub(crate) fn is_newer(serial: u32, other: u32) -> bool {
    serial != other && serial.wrapping_sub(other) < 1 << 31
}

fn key(record: &ParsedRecord) -> (&Name, RecordType, &[u8], u32) {
    (&record.owner, record.rtype, &record.rdata, record.ttl)
}

/// A number for everything in a zone but its serial: the sum of its records', in whatever order.
pub(crate) fn fingerprint(zone: &ZoneSource, config: &Config) -> u64 {
    let records = print_of(&zone.records);
    records.wrapping_add(print_of(&resting(zone, config)))
}

/// A zone's number after a step.
pub(crate) fn fingerprint_after(print: u64, step: &Step) -> u64 {
    let without = print.wrapping_sub(print_of(&step.removed));
    without.wrapping_add(print_of(&step.added))
}

fn print_of(records: &[ParsedRecord]) -> u64 {
    let print = |record: &ParsedRecord| {
        let mut hasher = DefaultHasher::new();
        let mut data = record.rdata.clone();
        if record.rtype == RecordType::SOA {
            set_serial(&mut data, 0);
        }
        (record.owner.as_wire(), record.rtype, record.ttl, data).hash(&mut hasher);
        hasher.finish()
    };
    let prints = records.iter().map(print);
    prints.fold(0, u64::wrapping_add)
}

/// Writes a serial into the data of an SOA record: the first of the five numbers that end it.
pub(crate) fn set_serial(rdata: &mut [u8], serial: u32) {
    if let Some(numbers) = rdata.last_chunk_mut::<20>()
        && let Some(place) = numbers.first_chunk_mut::<4>()
    {
        *place = serial.to_be_bytes();
    }
}

/// The resting answers of a zone's routed records.
fn resting(zone: &ZoneSource, config: &Config) -> Vec<ParsedRecord> {
    if zone.routed.is_empty() {
        return Vec::new();
    }
    let mut sets: BTreeMap<(&Name, RecordType), Rest<'_>> = BTreeMap::new();
    for record in &zone.records {
        let plain = sets
            .entry((&record.owner, record.rtype))
            .or_insert_with(|| Rest::Plain(Vec::new()));
        if let Rest::Plain(records) = plain {
            records.push(record);
        }
    }
    for record in &zone.routed {
        sets.insert((&record.owner, record.rtype), Rest::Routed(record));
    }
    let resolve = Resting { sets, config };
    let of = |record: &RoutedRecord| {
        let data = resolve.of(record, 0);
        let made = data.into_iter().map(|(ttl, rdata)| ParsedRecord {
            owner: record.owner.clone(),
            rtype: record.rtype,
            ttl,
            rdata,
            span: record.span,
        });
        made.collect::<Vec<_>>()
    };
    zone.routed.iter().flat_map(of).collect()
}

enum Rest<'z> {
    Plain(Vec<&'z ParsedRecord>),
    Routed(&'z RoutedRecord),
}

struct Resting<'z> {
    sets: BTreeMap<(&'z Name, RecordType), Rest<'z>>,
    config: &'z Config,
}

impl Resting<'_> {
    fn of(&self, record: &RoutedRecord, depth: usize) -> Vec<(u32, Box<[u8]>)> {
        if depth > MAX_ALIAS_DEPTH {
            return Vec::new();
        }
        let sets = record.sets.iter();
        let chosen: Vec<&RoutedSet> = match record.policy {
            Policy::Multivalue => sets.collect(),
            // The heaviest, the first of equals.
            Policy::Weighted => sets
                .rev()
                .max_by_key(|set| set.weight)
                .into_iter()
                .collect(),
            Policy::Failover => {
                let primary = |set: &&RoutedSet| set.failover == Some(FailoverRole::Primary);
                sets.filter(primary).collect()
            }
            // What is for everybody, if anything is.
            Policy::Geolocation | Policy::IpBased => {
                sets.filter(|set| is_for_all(set)).take(1).collect()
            }
            // A client of whom nothing is known gets the first by set id.
            Policy::Latency | Policy::Geoproximity => {
                sets.min_by_key(|set| &set.id).into_iter().collect()
            }
            Policy::Simple => sets.take(1).collect(),
        };
        let data = chosen
            .into_iter()
            .flat_map(|set| self.data(record, set, depth));
        let mut seen = HashSet::new();
        data.filter(|(_, rdata)| seen.insert(rdata.clone()))
            .collect()
    }

    fn data(&self, record: &RoutedRecord, set: &RoutedSet, depth: usize) -> Vec<(u32, Box<[u8]>)> {
        let alias = match &set.data {
            RoutedData::Values(values) => {
                return values
                    .iter()
                    .map(|value| (record.ttl, value.clone()))
                    .collect();
            }
            RoutedData::Alias(alias) => alias,
        };
        let of = |addresses: &mut dyn Iterator<Item = IpAddr>| {
            let data = addresses.filter_map(|address| rdata(address, record.rtype));
            data.map(|data| (record.ttl, data)).collect()
        };
        match &alias.target {
            RoutedTarget::Listener(listener) => {
                of(&mut self.config.listener(*listener).advertise.iter().copied())
            }
            RoutedTarget::TargetGroup(group) => {
                let group = self.config.group(*group);
                of(&mut (group.targets.iter())
                    .filter(|t| !t.backup && t.weight > 0 && group.uses(t))
                    .filter_map(|t| t.address.ip()))
            }
            RoutedTarget::Record(name) => match self.sets.get(&(name, record.rtype)) {
                Some(Rest::Routed(target)) => self.of(target, depth + 1),
                Some(Rest::Plain(records)) => {
                    records.iter().map(|r| (r.ttl, r.rdata.clone())).collect()
                }
                None => Vec::new(),
            },
        }
    }
}

fn is_for_all(set: &RoutedSet) -> bool {
    match set.audience {
        conf::Audience::Everyone | conf::Audience::Region(_) | conf::Audience::Near { .. } => true,
        conf::Audience::Place(place) => place == conf::Place::default(),
        conf::Audience::CidrLocation(location) => location.is_none(),
    }
}

fn rdata(address: IpAddr, rtype: RecordType) -> Option<Box<[u8]>> {
    match (address, rtype) {
        (IpAddr::V4(v4), RecordType::A) => Some(v4.octets().into()),
        (IpAddr::V6(v6), RecordType::AAAA) => Some(v6.octets().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
