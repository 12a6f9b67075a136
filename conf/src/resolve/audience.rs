//! Which clients a set is for: `location` under policy geolocation, `cidr-location` under ip-based.
//!
//! No two sets of a record are for the same clients (Route 53).

use std::collections::HashMap;

use super::location;
use super::sets::SetContext;
use crate::suggest;
use crate::tree::Reader;
use crate::{Audience, Diagnostic, Policy, RecordSet, Span};

/// Reads a set's audience; `None` when it cannot be used, which is reported.
pub(super) fn resolve(reader: &mut Reader<'_>, context: &SetContext<'_>) -> Option<Audience> {
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
    audience
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
        if set.audience == Audience::Everyone {
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
