//! Zones and records by name, as loaded: what the API and the page list.
//!
//! Built from the loaded zones before the DNS server takes them; part of the generation's view.
//! What a record answers is asked of the DNS server when somebody wants to know.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use conf::{Policy, RecordType};
use dns::{Name, ParsedRecord, ZoneSource, ZoneStatus, Zones};

/// One zone.
#[derive(Debug, Clone)]
pub(crate) struct ZoneEntry {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) serial: u32,
    /// Ordered as they are listed: records with a decision first, then by name and type.
    pub(super) records: Vec<RecordEntry>,
}

/// All records of one name and type.
#[derive(Debug, Clone)]
pub(crate) struct RecordEntry {
    pub(super) name: String,
    pub(super) owner: Name,
    pub(super) rtype: RecordType,
    pub(super) policy: Policy,
    pub(super) ttl: u32,
    /// True when its answer follows health or chance; false when every client gets all of it.
    pub(super) decided: bool,
}

/// The catalogue of a configuration's zones.
pub(crate) fn catalogue(zones: &Zones) -> Vec<Arc<ZoneEntry>> {
    zones.zones.iter().map(entry).map(Arc::new).collect()
}

/// Takes over the serials that are served: some are made when a configuration is prepared.
pub(crate) fn set_serials(catalogue: &mut [Arc<ZoneEntry>], served: &[ZoneStatus]) {
    let serials: HashMap<&str, u32> = served
        .iter()
        .map(|zone| (zone.id.as_str(), zone.serial))
        .collect();
    for entry in catalogue {
        let serial = serials.get(entry.id.as_str()).copied();
        if let Some(serial) = serial.filter(|serial| *serial != entry.serial) {
            Arc::make_mut(entry).serial = serial;
        }
    }
}

fn entry(zone: &ZoneSource) -> ZoneEntry {
    let mut records = plain(&zone.records);
    for record in &zone.routed {
        let add = RecordEntry::new(&record.owner, record.rtype, record.policy, record.ttl, true);
        records.insert(add.key(), add);
    }
    ZoneEntry {
        id: zone.id.clone(),
        name: zone.origin.to_string(),
        serial: zone.serial,
        records: ordered(records),
    }
}

type Entries = BTreeMap<(String, RecordType), RecordEntry>;

/// Entries of records that everybody gets alike.
fn plain(records: &[ParsedRecord]) -> Entries {
    let mut entries = Entries::new();
    for record in records {
        let (owner, rtype) = (&record.owner, record.rtype);
        let add = RecordEntry::new(owner, rtype, Policy::Simple, record.ttl, false);
        entries.entry(add.key()).or_insert(add);
    }
    entries
}

fn ordered(entries: Entries) -> Vec<RecordEntry> {
    let mut records: Vec<RecordEntry> = entries.into_values().collect();
    records.sort_by_key(|record| !record.decided);
    records
}

impl ZoneEntry {
    /// The same with other records that everybody gets alike.
    pub(super) fn with(&self, serial: u32, records: &[ParsedRecord]) -> Self {
        let mut entries = plain(records);
        for record in self.records.iter().filter(|record| record.decided) {
            entries.insert(record.key(), record.clone());
        }
        Self {
            id: self.id.clone(),
            name: self.name.clone(),
            serial,
            records: ordered(entries),
        }
    }
}

impl RecordEntry {
    fn new(owner: &Name, rtype: RecordType, policy: Policy, ttl: u32, decided: bool) -> Self {
        Self {
            name: owner.to_string(),
            owner: owner.clone(),
            rtype,
            policy,
            ttl,
            decided,
        }
    }

    fn key(&self) -> (String, RecordType) {
        (self.name.to_ascii_lowercase(), self.rtype)
    }
}
