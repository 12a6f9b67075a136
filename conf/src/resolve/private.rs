//! `networks` and `fallthrough` of a zone: who gets it, and who answers for what it lacks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::location;
use crate::document::{Kind, Value};
use crate::suggest;
use crate::tree::Reader;
use crate::{Fallthrough, Network, Spanned};

const WORDS: [(&str, Fallthrough); 3] = [
    ("none", Fallthrough::None),
    ("parent", Fallthrough::Parent),
    ("public", Fallthrough::Public),
];

/// Reads both keys of a zone.
pub(super) fn resolve(reader: &mut Reader<'_>, defined: &[Network]) -> (Vec<IpNet>, Fallthrough) {
    let networks = networks(reader, "networks", defined);
    if networks.is_empty() && !reader.has("networks") {
        reader.misplaced(
            "fallthrough",
            "a zone that everybody gets has nobody to fall through to",
            "add `networks = [\"…\"]`, or remove the key",
        );
        return (networks, Fallthrough::None);
    }
    let fallthrough = reader
        .choice("fallthrough", &WORDS)
        .value_or(Fallthrough::None);
    (networks, fallthrough)
}

/// Networks by name of a `[[network]]` or in CIDR notation; none twice.
pub(super) fn networks(reader: &mut Reader<'_>, key: &str, defined: &[Network]) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for value in reader.one_or_list(key) {
        networks.extend(network(reader, key, value, defined));
    }
    networks.sort_unstable();
    networks.dedup();
    networks
}

/// What one entry of such a list stands for; nothing when it was reported.
pub(super) fn network(
    reader: &Reader<'_>,
    key: &str,
    value: &Value,
    defined: &[Network],
) -> Vec<IpNet> {
    let Kind::String(text) = &value.kind else {
        if !matches!(value.kind, Kind::Broken) {
            let message = format!(
                "`{key}` of {} holds something else than text",
                reader.title()
            );
            let help = "name a [[network]], or write 10.1.0.0/16";
            reader.bad_value(value.span, message, help);
        }
        return Vec::new();
    };
    let text = Spanned::new(text.as_str(), value.span);
    if let Some(named) = defined.iter().find(|network| network.name == text.value) {
        return named.cidrs.clone();
    }
    if text.value.contains(['/', ':']) || text.value.parse::<IpAddr>().is_ok() {
        return location::cidr(reader, &text).into_iter().collect();
    }
    let names = defined.iter().map(|network| network.name.as_str());
    let message = format!("there is no [[network]] `{}`", text.value);
    let none = "define it, or write the network as 10.1.0.0/16";
    let help = suggest::help(text.value, names, "the networks are", none);
    reader.bad_value(text.span, message, help);
    Vec::new()
}
