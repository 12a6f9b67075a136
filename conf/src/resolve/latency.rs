//! `[[latency]]`: round-trip times between clients and regions.
//!
//! Called after regions and networks, which it names.

use std::collections::HashMap;

use ipnet::IpNet;

use super::Names;
use super::{location, private};
use crate::document::{Entry, Kind};
use crate::section::Section;
use crate::tree::Reader;
use crate::{
    Continent, Country, Diagnostic, Latency, LatencyClients, Network, RegionIdx, Span, Spanned,
};

/// Keys that say whose times they are.
const CLIENTS: [&str; 4] = ["networks", "asn", "country", "continent"];
/// A minute: no packet is under way for longer.
const LONGEST_MS: f64 = 60_000.0;

/// What tables gave so far, and where.
#[derive(Default)]
struct Given {
    networks: HashMap<IpNet, Span>,
    asns: HashMap<u32, Span>,
    countries: HashMap<Country, Span>,
    continents: HashMap<Continent, Span>,
}

/// Resolves every table.
pub(super) fn resolve(
    root: &mut Reader<'_>,
    networks: &[Network],
    names: &mut Names,
) -> Vec<Latency> {
    let mut given = Given::default();
    let mut tables = Vec::new();
    for table in root.tables("latency") {
        let mut reader = Reader::new(root.scope(), table, Section::Latency, "this latency table");
        let clients = clients(&mut reader, networks, &mut given);
        reader.missing(
            "regions",
            "it would give no times",
            "add `regions = { \"eu-central-1\" = 12 }`: milliseconds there and back",
        );
        let regions = regions(&mut reader, names);
        reader.finish();
        if let (Some(clients), false) = (clients, regions.is_empty()) {
            tables.push(Latency { clients, regions });
        }
    }
    tables
}

fn clients(
    reader: &mut Reader<'_>,
    defined: &[Network],
    given: &mut Given,
) -> Option<LatencyClients> {
    let keys: Vec<&str> = CLIENTS.into_iter().filter(|key| reader.has(key)).collect();
    let span = reader.span();
    if keys.len() != 1 {
        let message = format!("{} must name its clients in one way", reader.title());
        reader.scope().report(
            Diagnostic::error("latency-clients", span, message)
                .consequence("it would not be known whose times these are")
                .help("give one of `networks = [\"office\", \"10.9.0.0/16\"]`, `asn = 64500`, `country = \"DE\"` and `continent = \"EU\"`"),
        );
        for key in CLIENTS {
            reader.take(key);
        }
        return None;
    }
    if reader.has("networks") {
        let networks = private::networks(reader, "networks", defined);
        let again = networks
            .iter()
            .find_map(|net| given.networks.get(net).copied());
        if let Some(first) = again {
            return twice(reader, first);
        }
        given
            .networks
            .extend(networks.iter().map(|net| (*net, span)));
        return (!networks.is_empty()).then_some(LatencyClients::Networks(networks));
    }
    if reader.has("asn") {
        return asns(reader, given);
    }
    let place = location::place(reader)?;
    match (place.country, place.continent) {
        (Some(country), _) => match given.countries.insert(country, span) {
            Some(first) => twice(reader, first),
            None => Some(LatencyClients::Country(country)),
        },
        (None, Some(continent)) => match given.continents.insert(continent, span) {
            Some(first) => twice(reader, first),
            None => Some(LatencyClients::Continent(continent)),
        },
        (None, None) => None,
    }
}

fn asns(reader: &mut Reader<'_>, given: &mut Given) -> Option<LatencyClients> {
    let mut asns = Vec::new();
    for value in reader.one_or_list("asn") {
        let number = match value.kind {
            Kind::Integer(number) => u32::try_from(number).ok().filter(|number| *number > 0),
            _ => None,
        };
        match number {
            Some(number) => asns.push(Spanned::new(number, value.span)),
            None => reader.bad_value(
                value.span,
                "`asn` is not the number of an autonomous system".to_owned(),
                "write the number alone, from 1 to 4294967295: `asn = [64500, 64501]`",
            ),
        }
    }
    let again = asns
        .iter()
        .find_map(|asn| given.asns.get(&asn.value).copied());
    if let Some(first) = again {
        return twice(reader, first);
    }
    let span = reader.span();
    given.asns.extend(asns.iter().map(|asn| (asn.value, span)));
    (!asns.is_empty()).then_some(LatencyClients::Asns(asns))
}

fn twice(reader: &Reader<'_>, first: Span) -> Option<LatencyClients> {
    reader.scope().report(
        Diagnostic::error(
            "duplicate-latency",
            reader.span(),
            "two latency tables are for the same clients".to_owned(),
        )
        .consequence("it would not be known which of the two holds")
        .help("put all regions into one table")
        .related(first, "the other one"),
    );
    None
}

fn regions(reader: &mut Reader<'_>, names: &mut Names) -> Vec<(RegionIdx, f64)> {
    let Some(table) = reader.table("regions") else {
        return Vec::new();
    };
    let read = |entry: &Entry| {
        let name = Spanned::new(entry.key.as_str(), entry.key_span);
        let region = names.regions.find(name, reader.scope());
        let milliseconds = match entry.value.kind {
            Kind::Integer(number) => Some(number as f64),
            Kind::Float(number) => Some(number),
            _ => None,
        };
        let milliseconds = milliseconds.filter(|number| (0.0..=LONGEST_MS).contains(number));
        if milliseconds.is_none() {
            let message = format!(
                "the time to `{}` is not a number of milliseconds",
                entry.key
            );
            let help = "write milliseconds there and back, from 0 to 60000";
            reader.bad_value(entry.value.span, message, help);
        }
        Some((region?, milliseconds?))
    };
    table.entries.iter().filter_map(read).collect()
}
