//! Which clients a set is for: `location` under policy geolocation, `cidr-location` under ip-based,
//! `region` under latency, `region` or `coordinates` with a `bias` under geoproximity.
//!
//! No two sets of a record are for the same clients, and no two in one region (Route 53).

use std::collections::HashMap;

use super::Names;
use super::location;
use super::region;
use super::sets::SetContext;
use crate::document::Kind;
use crate::suggest;
use crate::tree::Reader;
use crate::{Audience, Diagnostic, Policy, RecordSet, Region, Span};

/// Reads a set's audience; `None` when it cannot be used, which is reported.
pub(super) fn resolve(
    reader: &mut Reader<'_>,
    context: &SetContext<'_>,
    names: &mut Names,
) -> Option<Audience> {
    let by_place = matches!(context.policy, Some(Policy::Geolocation) | None);
    let by_network = matches!(context.policy, Some(Policy::IpBased) | None);
    let mut audience = context.policy.map(|_| Audience::Everyone);
    if by_place {
        if context.policy.is_some() {
            reader.missing(
                "location",
                "it would not be known which clients it is for",
                "add `location = { country = \"DE\" }`, or `location = \"default\"`",
            );
        }
        audience = location::set_place(reader).map(Audience::Place);
    } else {
        reader.misplaced(
            "location",
            "only geolocation records choose by the client's country",
            "remove it, or use policy `geolocation`",
        );
    }
    if by_network {
        if context.policy.is_some() {
            reader.missing(
                "cidr-location",
                "it would not be known which clients it is for",
                "add `cidr-location = \"…\"`, a location of the collection, or `\"*\"`",
            );
        }
        audience = cidr_location(reader, context);
    } else {
        reader.misplaced(
            "cidr-location",
            "only ip-based records choose by the client's network",
            "remove it, or use policy `ip-based`",
        );
    }
    match context.policy {
        Some(Policy::Latency) => latency(reader, names),
        Some(Policy::Geoproximity) => geoproximity(reader, context.regions, names),
        Some(_) => {
            let why = "only latency and geoproximity records choose by where sets are";
            for key in ["region", "coordinates", "bias"] {
                reader.misplaced(key, why, "remove it, or use one of these policies");
            }
            audience
        }
        None => {
            for key in ["region", "coordinates", "bias"] {
                reader.take(key);
            }
            audience
        }
    }
}

fn latency(reader: &mut Reader<'_>, names: &mut Names) -> Option<Audience> {
    reader.missing(
        "region",
        "it would not be known how far it is from clients",
        "add `region = \"eu-central-1\"`, a region of AWS or of a [[region]]",
    );
    for key in ["coordinates", "bias"] {
        let why = "latency is to a region";
        let help = "define a [[region]] there, or use policy `geoproximity`";
        reader.misplaced(key, why, help);
    }
    region::named(reader, names).map(Audience::Region)
}

fn geoproximity(
    reader: &mut Reader<'_>,
    regions: &[Region],
    names: &mut Names,
) -> Option<Audience> {
    let bias = bias(reader);
    let coordinates = match reader.has("region") {
        true => {
            let why = "the region says where the set is";
            reader.misplaced("coordinates", why, "keep one of them");
            let region = region::named(reader, names)?;
            regions.get(region.0).map(|region| region.coordinates)
        }
        false => {
            reader.missing(
                "coordinates",
                "it would not be known how far it is from clients",
                "add `coordinates = [52.5, 13.4]`, or `region = \"eu-central-1\"`",
            );
            region::coordinates(reader)
        }
    };
    Some(Audience::Near {
        coordinates: coordinates?,
        bias: bias?,
    })
}

/// `bias` (Route 53: -99 to 99); `None` when it cannot be used.
fn bias(reader: &mut Reader<'_>) -> Option<i8> {
    let Some(value) = reader.take("bias") else {
        return Some(0);
    };
    if let Kind::Integer(bias @ -99..=99) = value.kind {
        return i8::try_from(bias).ok();
    }
    let message = format!(
        "`bias` of {} is not a number from -99 to 99",
        reader.title()
    );
    let help = "50 makes distances to the set seem half as long, -50 twice";
    reader.bad_value(value.span, message, help);
    None
}

fn cidr_location(reader: &mut Reader<'_>, context: &SetContext<'_>) -> Option<Audience> {
    let name = reader.text("cidr-location")?;
    if name.value == "*" {
        return Some(Audience::CidrLocation(None));
    }
    let collection = context.collection?;
    let locations = collection.locations.iter().map(|at| at.name.as_str());
    if let Some(index) = locations.clone().position(|other| other == name.value) {
        return Some(Audience::CidrLocation(Some(index)));
    }
    let message = format!(
        "CIDR collection `{}` has no location `{}`",
        collection.name, name.value
    );
    let help = suggest::help(
        name.value,
        locations,
        "its locations are",
        "add one to the collection",
    );
    reader.scope().report(
        Diagnostic::error("unknown-reference", name.span, message)
            .consequence("no client would get the set")
            .help(help),
    );
    None
}

/// Reports sets that are for the same clients.
pub(super) fn check_unique(record: &Reader<'_>, sets: &[RecordSet]) {
    let mut seen: HashMap<Audience, Span> = HashMap::new();
    for set in sets {
        // Two sets may be near one point: the set id decides between them.
        if matches!(set.audience, Audience::Everyone | Audience::Near { .. }) {
            continue;
        }
        let first = *seen.entry(set.audience).or_insert(set.span);
        if first != set.span {
            let message = format!(
                "set `{}` of {} is for the same clients as another",
                set.id,
                record.title()
            );
            record.scope().report(
                Diagnostic::error("duplicate-location", set.span, message)
                    .consequence("it would not be known which of the two they get")
                    .help("put all values into one set, or alias one set to a weighted record")
                    .related(first, "the other one"),
            );
        }
    }
}
