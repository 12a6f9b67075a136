//! Prerequisites and updates carried out on a zone's records (RFC 2136 sections 3.2 and 3.4), all of
//! them or none.
//!
//! Pure: records in, the step to the next zone out, or the response code that refuses it. Called by
//! the control task.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use conf::RecordType;

use super::Current;
use super::delta::Step;
use super::message::{CLASS_ANY, CLASS_IN, CLASS_NONE, Entry};
use crate::load::{ParsedRecord, RoutedRecord};
use crate::name::Name;
use crate::rdata::is_meta;
use crate::secondary::incoming::serial_of;
use crate::transfer::content::is_newer;
use crate::wire::Rcode;

/// Why an update is not carried out: the response code, and words where the code alone would puzzle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) rcode: Rcode,
    pub(crate) why: String,
}

impl From<Rcode> for Refused {
    fn from(rcode: Rcode) -> Self {
        let why = String::new();
        Self { rcode, why }
    }
}

/// A zone's records, and what updates make of them.
#[derive(Debug)]
pub(crate) struct Content<'z> {
    origin: &'z Name,
    current: &'z Current,
    /// Everything at each name that was looked at to be changed, by type.
    touched: BTreeMap<Name, Vec<ParsedRecord>>,
    routed: HashMap<&'z Name, Vec<RecordType>>,
}

impl<'z> Content<'z> {
    /// From its records.
    pub(crate) fn new(origin: &'z Name, current: &'z Current, routed: &'z [RoutedRecord]) -> Self {
        let mut by_name: HashMap<_, Vec<RecordType>> = HashMap::new();
        for record in routed {
            by_name.entry(&record.owner).or_default().push(record.rtype);
        }
        Self {
            origin,
            current,
            touched: BTreeMap::new(),
            routed: by_name,
        }
    }

    /// Carries out an update on it; what changed. On an error it is as it was.
    ///
    /// # Errors
    /// A prerequisite that does not hold, or an update that cannot be.
    pub(crate) fn update(
        &mut self,
        prerequisites: &[Entry],
        updates: &[Entry],
        serial: impl FnOnce(u32) -> u32,
    ) -> Result<Step, Refused> {
        self.check(prerequisites)?;
        self.prescan(updates)?;
        let mut step = Changes::default();
        for update in updates {
            self.apply(update, &mut step);
        }
        Ok(self.finish(step, serial))
    }

    /// Everything that is now at names that were looked at to be changed.
    pub(crate) fn into_touched(self) -> BTreeMap<Name, Vec<ParsedRecord>> {
        self.touched
    }

    fn at(&self, owner: &Name) -> &[ParsedRecord] {
        match self.touched.get(owner) {
            Some(records) => records,
            None => self.current.at(owner),
        }
    }

    fn at_mut(&mut self, owner: &Name) -> &mut Vec<ParsedRecord> {
        let records = || self.current.at(owner).to_vec();
        self.touched.entry(owner.clone()).or_insert_with(records)
    }

    fn set(&self, owner: &Name, rtype: RecordType) -> impl Iterator<Item = &ParsedRecord> {
        let at = self.at(owner).iter();
        at.filter(move |record| record.rtype == rtype)
    }

    fn routed(&self, owner: &Name) -> &[RecordType] {
        self.routed.get(owner).map_or(&[], Vec::as_slice)
    }

    fn has(&self, owner: &Name, rtype: RecordType) -> bool {
        self.set(owner, rtype).next().is_some() || self.routed(owner).contains(&rtype)
    }

    /// Types at a name; those with a policy count.
    fn types(&self, owner: &Name) -> Vec<RecordType> {
        let plain = self.at(owner).iter().map(|record| record.rtype);
        let types: BTreeSet<RecordType> = plain.chain(self.routed(owner).iter().copied()).collect();
        types.into_iter().collect()
    }

    /// Section 3.2.5.
    fn check(&self, prerequisites: &[Entry]) -> Result<(), Refused> {
        let mut wanted: HashMap<(Name, RecordType), HashSet<Box<[u8]>>> = HashMap::new();
        for entry in prerequisites {
            if entry.ttl != 0 {
                return Err(Rcode::FormErr.into());
            }
            if !entry.owner.is_subdomain_of(self.origin) {
                return Err(Rcode::NotZone.into());
            }
            let any = entry.rtype == RecordType::ANY;
            let there = match any {
                true => !self.types(&entry.owner).is_empty(),
                false => self.has(&entry.owner, entry.rtype),
            };
            match entry.class {
                CLASS_ANY | CLASS_NONE if entry.length != 0 => return Err(Rcode::FormErr.into()),
                CLASS_ANY if any && !there => return Err(Rcode::NxDomain.into()),
                CLASS_ANY if !there => return Err(Rcode::NxRrset.into()),
                CLASS_NONE if any && there => return Err(Rcode::YxDomain.into()),
                CLASS_NONE if there => return Err(Rcode::YxRrset.into()),
                CLASS_ANY | CLASS_NONE => {}
                CLASS_IN => {
                    let rdata = entry.rdata.clone().ok_or(Rcode::FormErr)?;
                    let key = (entry.owner.clone(), entry.rtype);
                    wanted.entry(key).or_default().insert(rdata);
                }
                _ => return Err(Rcode::FormErr.into()),
            }
        }
        for ((owner, rtype), wanted) in wanted {
            let there = self.set(&owner, rtype);
            let there: HashSet<Box<[u8]>> = there.map(|record| record.rdata.clone()).collect();
            if there != wanted {
                return Err(Rcode::NxRrset.into());
            }
        }
        Ok(())
    }

    /// Section 3.4.1.3.
    fn prescan(&self, updates: &[Entry]) -> Result<(), Refused> {
        for entry in updates {
            if !entry.owner.is_subdomain_of(self.origin) {
                return Err(Rcode::NotZone.into());
            }
            let any = entry.rtype == RecordType::ANY;
            let meta = is_meta(entry.rtype);
            let good = match entry.class {
                CLASS_IN => !meta && entry.length > 0 && entry.rdata.is_some(),
                CLASS_ANY => (any || !meta) && entry.ttl == 0 && entry.length == 0,
                CLASS_NONE => !meta && entry.ttl == 0 && entry.rdata.is_some(),
                _ => false,
            };
            if !good {
                return Err(Rcode::FormErr.into());
            }
            self.refuse_routed(entry)?;
        }
        Ok(())
    }

    /// A record with a policy is not for updates: there is no saying which of its sets is meant.
    fn refuse_routed(&self, entry: &Entry) -> Result<(), Refused> {
        let owner = &entry.owner;
        let mut at = self.routed(owner).iter();
        let all = (entry.class == CLASS_ANY && entry.rtype == RecordType::ANY)
            || (entry.class == CLASS_IN && entry.rtype == RecordType::CNAME);
        match at.find(|rtype| all || **rtype == entry.rtype) {
            None => Ok(()),
            Some(rtype) => Err(Refused {
                rcode: Rcode::Refused,
                why: format!(
                    "{owner} {rtype} is an alias or has a routing policy: change it in the configuration"
                ),
            }),
        }
    }

    /// Section 3.4.2.
    fn apply(&mut self, entry: &Entry, step: &mut Changes) {
        let apex = entry.owner == *self.origin;
        match (entry.class, &entry.rdata) {
            (CLASS_IN, Some(rdata)) => self.add(entry, rdata.clone(), step),
            (CLASS_ANY, _) => {
                let types = match entry.rtype {
                    RecordType::ANY => self.types(&entry.owner),
                    rtype => vec![rtype],
                };
                for rtype in types {
                    let kept = [RecordType::SOA, RecordType::NS].contains(&rtype);
                    if !(apex && kept) {
                        self.remove(&entry.owner, |record| record.rtype == rtype, step);
                    }
                }
            }
            (CLASS_NONE, Some(rdata)) => {
                let last_ns = apex
                    && entry.rtype == RecordType::NS
                    && self.set(&entry.owner, RecordType::NS).count() <= 1;
                if entry.rtype != RecordType::SOA && !last_ns {
                    let is_it = |r: &ParsedRecord| r.rtype == entry.rtype && r.rdata == *rdata;
                    self.remove(&entry.owner, is_it, step);
                }
            }
            _ => {}
        }
    }

    fn remove(&mut self, owner: &Name, which: impl Fn(&ParsedRecord) -> bool, step: &mut Changes) {
        if !self.at(owner).iter().any(&which) {
            return;
        }
        let at = self.at_mut(owner);
        let (gone, kept) = at.drain(..).partition(which);
        *at = kept;
        step.removed(gone);
    }

    fn add(&mut self, entry: &Entry, rdata: Box<[u8]>, step: &mut Changes) {
        let record = ParsedRecord {
            owner: entry.owner.clone(),
            rtype: entry.rtype,
            ttl: if entry.ttl > i32::MAX as u32 {
                0
            } else {
                entry.ttl
            },
            rdata,
            span: conf::Span::default(),
        };
        let single = [RecordType::SOA, RecordType::CNAME, RecordType::DNAME];
        if entry.rtype == RecordType::SOA && !self.is_newer_soa(&record) {
            return;
        }
        let mut beside = self.types(&entry.owner).into_iter();
        let cname = RecordType::CNAME;
        if beside.any(|there| (there == cname) != (entry.rtype == cname)) {
            return;
        }
        if single.contains(&entry.rtype) {
            self.remove(&entry.owner, |there| there.rtype == entry.rtype, step);
        }
        // The records of an RRset have one TTL (RFC 2181 section 5.2): the last one's.
        let ttl = record.ttl;
        let mut found = false;
        let at = self.at_mut(&entry.owner);
        for there in at.iter_mut().filter(|there| there.rtype == entry.rtype) {
            found |= there.rdata == record.rdata;
            if there.ttl != ttl {
                step.removed(vec![there.clone()]);
                there.ttl = ttl;
                step.added(there.clone());
            }
        }
        if !found {
            step.added(record.clone());
            at.push(record);
            at.sort_by_key(|record| record.rtype);
        }
    }

    /// Only a later SOA replaces the zone's (section 3.4.2.2).
    fn is_newer_soa(&self, soa: &ParsedRecord) -> bool {
        let ours = self.set(self.origin, RecordType::SOA).next();
        let (ours, new) = (ours.and_then(serial_of), serial_of(soa));
        soa.owner == *self.origin && ours.zip(new).is_some_and(|(ours, new)| is_newer(new, ours))
    }

    /// What changed, with a new serial unless the update brought one (section 3.6).
    fn finish(&mut self, changes: Changes, serial: impl FnOnce(u32) -> u32) -> Step {
        let mut step = changes.into_step();
        let changed = !step.removed.is_empty() || !step.added.is_empty();
        let has_soa = step.added.iter().any(|r| r.rtype == RecordType::SOA);
        if !changed || has_soa {
            return step;
        }
        let mut apex = self.at_mut(self.origin).iter_mut();
        if let Some(soa) = apex.find(|record| record.rtype == RecordType::SOA)
            && let Some(old) = serial_of(soa)
        {
            step.removed.push(soa.clone());
            crate::transfer::content::set_serial(&mut soa.rdata, serial(old));
            step.added.push(soa.clone());
        }
        step
    }
}

type Key = (Name, RecordType, Box<[u8]>);

/// What an update did so far, each record once.
#[derive(Default)]
struct Changes {
    /// By record: what it was before and what it is now.
    records: BTreeMap<Key, (Option<ParsedRecord>, Option<ParsedRecord>)>,
}

impl Changes {
    fn removed(&mut self, records: Vec<ParsedRecord>) {
        for record in records {
            let key = (record.owner.clone(), record.rtype, record.rdata.clone());
            let entry = self.records.entry(key).or_insert((Some(record), None));
            entry.1 = None;
        }
    }

    fn added(&mut self, record: ParsedRecord) {
        let key = (record.owner.clone(), record.rtype, record.rdata.clone());
        self.records.entry(key).or_insert((None, None)).1 = Some(record);
    }

    fn into_step(self) -> Step {
        let mut step = Step::default();
        for (before, after) in self.records.into_values() {
            let same = matches!((&before, &after), (Some(b), Some(a)) if a.ttl == b.ttl);
            if !same {
                step.removed.extend(before);
                step.added.extend(after);
            }
        }
        step
    }
}

#[cfg(test)]
mod tests;
