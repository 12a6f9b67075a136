//! A secondary zone's records, as they were last heard from a primary.
//!
//! Made by the fetcher, whole or by changes, and by the store; immutable, shared with the control
//! task and with preparation. What a zone file would be refused for is refused here too, so that
//! the copy before stays.

use std::collections::HashSet;

use conf::RecordType;

use super::incoming::{Difference, Fault, serial_of};
use super::machine::Timers;
use crate::load::{self, ParsedRecord, ZoneSource};
use crate::name::Name;

/// One zone's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZoneCopy {
    pub(crate) origin: Name,
    pub(crate) serial: u32,
    pub(crate) timers: Timers,
    /// Every record, the SOA once.
    pub(crate) records: Vec<ParsedRecord>,
}

impl ZoneCopy {
    /// From every record of a zone.
    ///
    /// # Errors
    /// What the zone would not be loaded for.
    pub(crate) fn whole(origin: &Name, mut records: Vec<ParsedRecord>) -> Result<Self, Fault> {
        load::settle_copied(origin, &mut records).map_err(Fault::Record)?;
        let soa = records
            .iter()
            .find(|record| record.rtype == RecordType::SOA)
            .ok_or(Fault::NoSoa)?;
        Ok(Self {
            origin: origin.clone(),
            serial: serial_of(soa).ok_or(Fault::NoSoa)?,
            timers: Timers::read(&soa.rdata).ok_or(Fault::NoSoa)?,
            records,
        })
    }

    /// This copy, changed.
    ///
    /// # Errors
    /// A change removes what is not there, or the outcome could not be loaded: the copies of the
    /// two sides differ.
    pub(crate) fn changed(&self, changes: &[Difference]) -> Result<Self, Fault> {
        let mut there: HashSet<Key<'_>> = self.records.iter().map(key).collect();
        for change in changes {
            there.retain(|(_, rtype, _)| *rtype != RecordType::SOA);
            for record in &change.removed {
                if !there.remove(&key(record)) {
                    let (owner, rtype) = (&record.owner, record.rtype);
                    let message = format!("its changes remove {owner} {rtype}, which is not there");
                    return Err(Fault::Record(message));
                }
            }
            there.extend(change.added.iter().map(key));
            there.extend(change.soa.as_ref().map(key));
        }
        let added = changes
            .iter()
            .flat_map(|change| change.added.iter().chain(&change.soa));
        let mut records = Vec::with_capacity(there.len());
        // A later change may give an equal record another TTL: the last one counts.
        for record in added.rev().chain(&self.records) {
            if there.remove(&key(record)) {
                records.push(record.clone());
            }
        }
        Self::whole(&self.origin, records)
    }

    /// The SOA record.
    pub(crate) fn soa(&self) -> Option<&ParsedRecord> {
        self.records
            .iter()
            .find(|record| record.rtype == RecordType::SOA)
    }

    /// Puts the records into the zone that a configuration has for them.
    pub(crate) fn fill(&self, zone: &mut ZoneSource) {
        zone.serial = self.serial;
        zone.records.clone_from(&self.records);
        for record in &mut zone.records {
            record.span = zone.span;
        }
    }
}

type Key<'r> = (&'r Name, RecordType, &'r [u8]);

fn key(record: &ParsedRecord) -> Key<'_> {
    (&record.owner, record.rtype, &record.rdata)
}

#[cfg(test)]
mod tests;
