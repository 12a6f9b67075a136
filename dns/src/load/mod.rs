//! Zones from a configuration: files read, `[[zone.record]]` entries merged, rules applied.
//!
//! Called by `check`, `run` and reload through [`load_zones`]. Reads the zone files and what they
//! include, and the time (for serials of generated SOA records); never touches the network.

mod entries;
mod generated;
mod rrsets;
mod rules;
mod zones;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use conf::{Config, Diagnostic, Dns, GeoDatabase, RecordType, Sources, Span, Spanned, Zone};

use ipnet::IpNet;

use crate::location::Located;
use crate::name::Name;
use crate::zonefile::{self, Problems};

pub use zones::{
    ParsedRecord, RoutedAlias, RoutedData, RoutedRecord, RoutedSet, RoutedTarget, ZoneSource,
    ZoneState, Zones,
};

/// Reads every zone of `config`; zone files are added to `sources` so that diagnostics can show
/// their lines. Serve nothing of it when one of the diagnostics is an error.
pub fn load_zones(config: &Config, sources: &mut Sources) -> (Zones, Vec<Diagnostic>) {
    let mut zones = Zones::default();
    let mut diagnostics = Vec::new();
    let Some(dns) = &config.dns else {
        return (zones, diagnostics);
    };
    zones.located = match &dns.geo_database {
        GeoDatabase::BuiltIn => None,
        GeoDatabase::Off => Some(Located::nothing()),
        GeoDatabase::File(path) => match Located::from_file(path) {
            Ok(located) => Some(located),
            Err(why) => {
                diagnostics.push(unusable(PLACES, path, &why));
                None
            }
        },
    };
    if let Some(path) = &dns.asn_database {
        let located = zones.located.take().unwrap_or_else(Located::built_in);
        match located.with_asns(path) {
            Ok(located) => zones.located = Some(located),
            Err(why) => diagnostics.push(unusable(ASNS, path, &why)),
        }
    }
    let serial = serial_from_time(SystemTime::now());
    let mut origins: HashMap<(Name, Vec<IpNet>), Span> = HashMap::new();
    for zone in &dns.zones {
        let mut problems = Problems::default();
        let loaded = load_zone(zone, dns, serial, sources, &mut problems);
        diagnostics.extend(problems.into_diagnostics(zone.span));
        let Some(source) = loaded else { continue };
        let key = (source.origin.clone(), source.networks.clone());
        if let Some(&first) = origins.get(&key) {
            let message = format!("the zone {} is given twice", source.origin);
            diagnostics.push(
                Diagnostic::error("duplicate-zone", zone.name.span, message)
                    .consequence("only one of the two could answer")
                    .help("put all records into one of them")
                    .related(first, "first given here"),
            );
            continue;
        }
        origins.insert(key, zone.name.span);
        zones.zones.push(source);
    }
    (zones, diagnostics)
}

/// The key of a database; what follows where it cannot be used, and what to do about it.
type Database = [&'static str; 3];

const PLACES: Database = [
    "geo-database",
    "it would not be known where clients are",
    "name an MMDB file with countries or cities, or leave the key out for the table of countries that is built in",
];
const ASNS: Database = [
    "asn-database",
    "it would not be known whose addresses clients have",
    "name an MMDB file whose records have `autonomous_system_number`",
];

fn unusable([key, consequence, help]: Database, path: &Spanned<PathBuf>, why: &str) -> Diagnostic {
    let message = format!("`{key}` {} cannot be used: {why}", path.display());
    Diagnostic::error(key, path.span, message)
        .consequence(consequence)
        .help(help)
}

/// A serial that grows from one load to the next: seconds since 1970 (RFC 1982 arithmetic holds
/// past 2106).
fn serial_from_time(now: SystemTime) -> u32 {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(1, |age| age.as_secs());
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or(1)
}

/// One zone; `None` when nothing of it can be known.
fn load_zone(
    zone: &Zone,
    dns: &Dns,
    serial: u32,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<ZoneSource> {
    let named = zone_name(zone, problems)?;
    if zone.transfer.is_secondary() {
        return Some(awaited(zone, dns, named));
    }
    let text = match &zone.file {
        Some(file) => Some(zonefile::read(file, file.span, &named, sources, problems)?),
        None => None,
    };
    let origin = match &text {
        Some(text) if zone.name_from_file => text
            .records
            .iter()
            .find(|record| record.rtype == RecordType::SOA)
            .map_or(named, |soa| soa.owner.clone()),
        _ => named,
    };
    let default_ttl = text.as_ref().and_then(|text| text.default_ttl);
    let in_file = text.map_or_else(Vec::new, |text| {
        rrsets::keep_inside(text.records, &origin, problems)
    });
    let entries = entries::read(zone, &origin, &in_file, problems);
    let mut records = in_file;
    records.extend(entries.records);
    generated::complete(
        &mut records,
        &entries.routed,
        &origin,
        zone,
        dns,
        serial,
        problems,
    );
    rrsets::settle(&mut records, problems);
    rules::check(&records, &entries.routed, &origin, zone, problems);
    Some(ZoneSource {
        id: zone.id.clone(),
        default_ttl: default_ttl.unwrap_or(dns.ttl),
        serial: rrsets::serial(&records).unwrap_or(serial),
        origin,
        records,
        routed: entries.routed,
        networks: zone.networks.clone(),
        fallthrough: zone.fallthrough,
        state: ZoneState::Good,
        span: zone.span,
    })
}

/// A zone that is copied from elsewhere: nothing of it is known yet.
fn awaited(zone: &Zone, dns: &Dns, origin: Name) -> ZoneSource {
    ZoneSource {
        id: zone.id.clone(),
        origin,
        default_ttl: dns.ttl,
        serial: 0,
        records: Vec::new(),
        routed: Vec::new(),
        networks: zone.networks.clone(),
        fallthrough: zone.fallthrough,
        state: ZoneState::Awaited,
        span: zone.span,
    }
}

/// Puts records that were copied from another server in order, as those of a file are.
///
/// # Errors
/// What a file would be refused for.
pub(crate) fn settle_copied(origin: &Name, records: &mut Vec<ParsedRecord>) -> Result<(), String> {
    let mut problems = Problems::default();
    let inside = rrsets::keep_inside(std::mem::take(records), origin, &mut problems);
    *records = inside;
    rrsets::settle(records, &mut problems);
    rules::check_copied(records, origin, &mut problems);
    let errors = problems.into_diagnostics(Span::default()).into_iter();
    let mut errors = errors.filter(|problem| problem.severity == conf::Severity::Error);
    errors.next().map_or(Ok(()), |error| Err(error.message))
}

fn zone_name(zone: &Zone, problems: &mut Problems) -> Option<Name> {
    match Name::parse(zone.name.as_bytes(), Some(&Name::root())) {
        Ok(name) => Some(name),
        Err(why) => {
            let message = format!("`{}` is not a zone name: {why}", zone.name.value);
            let help = match zone.name_from_file {
                true => {
                    "the name is taken from the file's: give the zone a [[zone]] entry with a name"
                }
                false => "write a domain name such as example.test",
            };
            problems.push(Diagnostic::error("zone-name", zone.name.span, message).help(help));
            None
        }
    }
}
