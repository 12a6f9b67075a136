//! Updates laid over the zones of a configuration that is prepared.
//!
//! Called by preparation, which may wait for files.

use std::collections::HashMap;
use std::sync::Arc;

use conf::{Config, RecordType};

use super::{Base, Current, Delta, Settings, Updated, journal};
use crate::load::{ParsedRecord, ZoneSource, Zones};
use crate::name::Name;
use crate::secondary::incoming::serial_of;
use crate::secondary::store;

/// Lays what updates did, in this process or, by the journals, in one before, over the zones that may
/// be updated.
pub(crate) fn prepare(
    config: &Config,
    zones: &mut Zones,
    held: &HashMap<String, Updated>,
) -> Vec<Settings> {
    let configured = config.dns.iter().flat_map(|dns| &dns.zones);
    let updatable: HashMap<&str, &conf::Zone> = configured
        .filter(|zone| !zone.transfer.allow_update.is_empty())
        .map(|zone| (zone.id.as_str(), zone))
        .collect();
    let mut settings = Vec::with_capacity(updatable.len());
    for zone in &mut zones.zones {
        if !updatable.contains_key(zone.id.as_str()) {
            continue;
        }
        let file = store::path(&config.state_dir, &zone.id).with_extension("updates");
        let held = held.get(&zone.id).filter(|held| held.origin == zone.origin);
        let delta = match held {
            Some(held) => held.delta.clone(),
            None => Arc::new(stored(&file, &zone.id, &zone.origin)),
        };
        let base = (!zone.is_part()).then(|| Base::new(&zone.records));
        if base.is_some() {
            lay_over(zone, &delta);
        }
        let current = base.clone().map(|base| match delta.is_empty() {
            true => Current::of(zone, base),
            false => Current::new(zone),
        });
        settings.push(Settings {
            id: zone.id.clone(),
            origin: zone.origin.clone(),
            base,
            current,
            file,
            delta,
        });
    }
    settings
}

fn stored(file: &std::path::Path, zone: &str, origin: &Name) -> Delta {
    match journal::read(file, origin) {
        Ok(delta) => delta.unwrap_or_default(),
        Err(error) => {
            let file = file.display();
            tracing::error!(zone, %file, %error, "the zone's updates cannot be read: it is served without them");
            Delta::default()
        }
    }
}

/// Lays a delta over a zone's records.
pub(crate) fn lay_over(zone: &mut ZoneSource, delta: &Delta) {
    if delta.is_empty() {
        return;
    }
    let (mut records, left_out) = delta.lay_over(&zone.records, &zone.routed);
    if left_out > 0 {
        let zone = &zone.id;
        tracing::warn!(
            zone,
            "{left_out} records that were added by updates do not go with the file any more and are left out"
        );
    }
    for record in &mut records {
        record.span = zone.span;
    }
    zone.serial = serial(&records).unwrap_or(zone.serial);
    zone.records = records;
}

fn serial(records: &[ParsedRecord]) -> Option<u32> {
    let soa = records.iter().find(|r| r.rtype == RecordType::SOA)?;
    serial_of(soa)
}
