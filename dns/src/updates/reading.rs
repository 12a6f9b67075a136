//! An update read and carried out from bytes alone, for fuzzing.

use std::net::{IpAddr, Ipv4Addr};

use conf::{Permission, RecordType};

use super::Current;
use super::delta::Delta;
use super::message::{Judged, Updatable, judge};
use super::process::Content;
use crate::ZoneSource;
use crate::load::settle_copied;
use crate::transfer::Outgoing;

/// Takes `packet` as an UPDATE message, unsigned and from one who may, and carries it out on `zone`;
/// the response code when it is refused.
///
/// # Panics
/// When the zone it leads to could not be loaded, or is not what its changes say: that is what fuzzing
/// looks for.
pub fn read_update(zone: &ZoneSource, packet: &[u8]) -> Result<usize, u16> {
    let everybody = Permission {
        networks: Vec::new(),
        key: None,
    };
    let mut outgoing = Outgoing::default();
    outgoing.updatable.push(Updatable {
        id: zone.id.clone(),
        origin: zone.origin.clone(),
        networks: Vec::new(),
        allow: vec![everybody],
    });
    let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let update = match judge(&outgoing, packet, source, 0) {
        Some(Judged::Update(update)) => update,
        Some(Judged::Reply(answer)) => return Err(answer.get(3).copied().unwrap_or(0).into()),
        None => return Err(u16::MAX),
    };
    let mut current = Current::new(zone);
    let before = current.clone();
    let mut content = Content::new(&zone.origin, &before, &zone.routed);
    let step = content
        .update(&update.prerequisites, &update.updates, |old| {
            old.wrapping_add(1)
        })
        .map_err(|refused| refused.rcode.number())?;
    let mut delta = Delta::default();
    delta.take(&step);
    let (mut over, left_out) = delta.lay_over(&zone.records, &zone.routed);
    assert_eq!(left_out, 0, "an update does not go with its own zone");
    current.take(content.into_touched());
    let mut records = current.records();
    assert_eq!(records.len(), current.len());
    assert_eq!(over.len(), records.len(), "the delta does not lead there");
    for records in [&mut over, &mut records] {
        let settled = settle_copied(&zone.origin, records);
        assert!(settled.is_ok(), "{settled:?}");
    }
    let soas = records.iter().filter(|r| r.rtype == RecordType::SOA);
    assert_eq!(soas.count(), 1);
    Ok(step.removed.len() + step.added.len())
}
