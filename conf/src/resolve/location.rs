//! `[[network]]`, `[[cidr-collection]]`, places, and lists of networks in CIDR notation.
//!
//! Called before the DNS server is resolved, which refers to collections, and by the reader of
//! record sets for the audience of each set.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Names;
use super::directory::Directory;
use super::region;
use crate::document::{Kind, Table};
use crate::section::Section;
use crate::suggest;
use crate::tree::Reader;
use crate::{
    CidrCollection, CidrLocation, CollectionIdx, Continent, Country, Diagnostic, Network, Place,
    Profile, Region, Span, Spanned, Subdivision,
};

/// Longest name of a CIDR location (Route 53 `LocationName`).
const LOCATION_CHARS: usize = 16;

/// Where each network of a list of things was given first.
type Given = HashMap<IpNet, Span>;

/// Resolves every `[[network]]`.
pub(super) fn networks(
    root: &mut Reader<'_>,
    regions: &[Region],
    names: &mut Names,
) -> Vec<Network> {
    let mut own: Directory<()> = Directory::new("network", "[[network]]");
    let mut given = Given::new();
    let mut networks = Vec::new();
    for table in root.tables("network") {
        let mut reader = Reader::new(root.scope(), table, Section::Network, "this network");
        let name = own.declare(&mut reader);
        reader.missing(
            "cidrs",
            "it would not be known whose place is meant",
            "add `cidrs = [\"10.1.0.0/16\"]`",
        );
        let cidrs = cidrs(&mut reader, "cidrs", &mut given);
        let whereabouts = region::whereabouts(&mut reader, regions, names);
        reader.finish();
        if let (Some(name), Some(whereabouts), false) = (name, whereabouts, cidrs.is_empty()) {
            networks.push(Network {
                name: name.value.to_owned(),
                cidrs,
                whereabouts,
            });
        }
    }
    networks
}

/// Resolves every `[[cidr-collection]]`.
pub(super) fn collections(
    root: &mut Reader<'_>,
    profile: Profile,
    names: &mut Names,
) -> Vec<CidrCollection> {
    let mut collections = Vec::new();
    for table in root.tables("cidr-collection") {
        let title = "this CIDR collection";
        let mut reader = Reader::new(root.scope(), table, Section::CidrCollection, title);
        let name = names.collections.declare(&mut reader);
        reader.missing(
            "locations",
            "no client would be in any of its locations",
            "add `locations = [{ name = \"office\", cidrs = [\"10.1.0.0/16\"] }]`",
        );
        let mut given = Given::new();
        let mut locations: Vec<CidrLocation> = Vec::new();
        for table in reader.tables("locations") {
            if let Some(location) = location(&reader, table, profile, &locations, &mut given) {
                locations.push(location);
            }
        }
        reader.finish();
        if let Some(name) = name {
            names
                .collections
                .place(name.value, CollectionIdx(collections.len()));
            collections.push(CidrCollection {
                name: name.value.to_owned(),
                locations,
            });
        }
    }
    collections
}

fn location(
    collection: &Reader<'_>,
    table: &Table,
    profile: Profile,
    others: &[CidrLocation],
    given: &mut Given,
) -> Option<CidrLocation> {
    let title = format!("a location of {}", collection.title());
    let mut reader = Reader::new(collection.scope(), table, Section::CidrLocation, title);
    reader.missing(
        "name",
        "no set could name it as `cidr-location`",
        "add `name = \"…\"`",
    );
    reader.missing(
        "cidrs",
        "no client would be in it",
        "add `cidrs = [\"10.1.0.0/16\"]`",
    );
    let name = reader.text("name").filter(|name| {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let is_name =
            (1..=LOCATION_CHARS).contains(&name.value.len()) && name.value.bytes().all(good);
        if !is_name {
            reader.bad_value(
                name.span,
                format!("`{}` cannot be the name of a location", name.value),
                "use 1 to 16 letters, digits, `-` and `_`; `*` in a set stands for all other clients",
            );
        }
        let is_new = others.iter().all(|other| other.name != name.value);
        if !is_new {
            let message = format!("{} has two locations `{}`", collection.title(), name.value);
            reader.bad_value(name.span, message, "put all networks into one of them");
        }
        is_name && is_new
    });
    let cidrs = cidrs(&mut reader, "cidrs", given);
    check_lengths(&reader, &cidrs, profile, given);
    reader.finish();
    Some(CidrLocation {
        name: name?.value.to_owned(),
        cidrs,
    })
}

/// Route 53 takes /1 to /24 and /1 to /48; the local profile takes single addresses too, since
/// clients on one machine differ in nothing else.
fn check_lengths(reader: &Reader<'_>, cidrs: &[IpNet], profile: Profile, given: &Given) {
    for cidr in cidrs {
        let longest = match (profile, cidr) {
            (Profile::Local, _) => cidr.max_prefix_len(),
            (Profile::Aws, IpNet::V4(_)) => 24,
            (Profile::Aws, IpNet::V6(_)) => 48,
        };
        if let Some(&span) = given.get(cidr)
            && !(1..=longest).contains(&cidr.prefix_len())
        {
            let message = format!("`{cidr}` is not of a length from /1 to /{longest}");
            let help = if cidr.prefix_len() == 0 {
                "write `cidr-location = \"*\"` in the set that is for all clients"
            } else {
                "give the network around it, or use `defaults = \"local\"`"
            };
            reader.bad_value(span, message, help);
        }
    }
}

/// Networks in CIDR notation, host bits zero; none twice in `given`, which takes them up.
pub(super) fn cidrs(reader: &mut Reader<'_>, key: &str, given: &mut Given) -> Vec<IpNet> {
    if reader.has(key) && reader.is_empty_or_absent(key) {
        let span = reader.key_span(key).unwrap_or(reader.span());
        let message = format!("`{key}` of {} is empty", reader.title());
        reader.bad_value(span, message, "list at least one network");
    }
    let mut cidrs = Vec::new();
    for text in reader.texts(key) {
        let Some(cidr) = cidr(reader, &text) else {
            continue;
        };
        if let Some(first) = given.get(&cidr) {
            reader.scope().report(
                Diagnostic::error(
                    "duplicate-network",
                    text.span,
                    format!("`{cidr}` is given twice"),
                )
                .consequence("its clients would be in two places")
                .help("keep one of them")
                .related(*first, "first given here"),
            );
            continue;
        }
        given.insert(cidr, text.span);
        cidrs.push(cidr);
    }
    cidrs
}

/// One network; an address alone is a network of one.
pub(super) fn cidr(reader: &Reader<'_>, text: &Spanned<&str>) -> Option<IpNet> {
    let network = text.value.parse::<IpNet>();
    let address = text.value.parse::<IpAddr>().map(IpNet::from);
    match network.or(address) {
        Ok(network) if network.trunc() == network => Some(network),
        Ok(network) => {
            let trunc = network.trunc();
            let message = format!("`{}` has bits beyond its length", text.value);
            reader.bad_value(text.span, message, format!("did you mean `{trunc}`?"));
            None
        }
        Err(_) => {
            let message = format!("`{}` is not a network", text.value);
            let help = "write it as `10.1.0.0/16` or `2001:db8::/32`";
            reader.bad_value(text.span, message, help);
            None
        }
    }
}

/// The place that the keys of a table name; reported when they name none.
pub(super) fn place(reader: &mut Reader<'_>) -> Option<Place> {
    if !["continent", "country", "subdivision"]
        .iter()
        .any(|key| reader.has(key))
    {
        reader.scope().report(
            Diagnostic::error("no-place", reader.span(), format!("{} names no place", reader.title()))
                .consequence("it would not be known where that is")
                .help("add `country = \"DE\"`, `continent = \"EU\"`, or `country = \"US\"` with `subdivision = \"CA\"`"),
        );
        return None;
    }
    let both = reader.has("continent") && reader.has("country");
    let continent = code(reader, "continent", Continent::parse, Continent::codes());
    let country = country(reader);
    let subdivision = code(
        reader,
        "subdivision",
        Subdivision::parse,
        Subdivision::codes(),
    );
    if both {
        reader.misplaced(
            "continent",
            "the country says on which one it is",
            "keep `country` or `continent`",
        );
        return None;
    }
    let in_states = country.is_some_and(Country::has_subdivisions);
    if reader.has("subdivision") && !in_states {
        reader.misplaced(
            "subdivision",
            "only the states of the USA are told apart, as in Route 53",
            "write `country = \"US\"` with it, or remove it",
        );
        return None;
    }
    let place = match (country, continent) {
        (Some(country), _) => Place::in_country(country),
        (None, Some(_)) => Place {
            continent,
            ..Place::default()
        },
        (None, None) => return None,
    };
    let whole = subdivision.is_some() || !reader.has("subdivision");
    whole.then_some(Place {
        subdivision,
        ..place
    })
}

/// A country by the key `country`.
pub(super) fn country(reader: &mut Reader<'_>) -> Option<Country> {
    code(reader, "country", Country::parse, Country::codes())
}

fn code<T>(
    reader: &mut Reader<'_>,
    key: &str,
    parse: fn(&str) -> Option<T>,
    codes: impl Iterator<Item = &'static str> + Clone,
) -> Option<T> {
    let text = reader.text(key)?;
    let parsed = parse(text.value);
    if parsed.is_none() {
        let upper = text.value.to_ascii_uppercase();
        let help = match codes.clone().find(|code| *code == upper) {
            Some(code) => format!("write it in capitals: `{code}`"),
            None if key == "country" => {
                "write two letters as in ISO 3166-1, such as `DE`; BV, CX, EH and HM are not served, as in Route 53".to_owned()
            }
            None if key == "subdivision" => "write the two letters of a state, such as `CA`".to_owned(),
            None => suggest::help(text.value, codes, "one of", ""),
        };
        let message = format!("`{}` is not a {key}", text.value);
        reader.bad_value(text.span, message, help);
    }
    parsed
}

/// The place of a geolocation set: a table, or `"default"` (Route 53's `*`).
pub(super) fn set_place(reader: &mut Reader<'_>) -> Option<Place> {
    let value = reader.take("location")?;
    let table = match &value.kind {
        Kind::String(word) if ["default", "*"].contains(&word.as_str()) => {
            return Some(Place::default());
        }
        Kind::Table(table) => table,
        _ => {
            let help = "write `{ country = \"DE\" }`, `{ continent = \"EU\" }` or `\"default\"`";
            let message = format!("`location` of {} is not a place", reader.title());
            reader.bad_value(value.span, message, help);
            return None;
        }
    };
    let title = format!("the location of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::Place, title);
    let is_star = |entry: &crate::document::Entry| {
        entry.key == "country" && matches!(&entry.value.kind, Kind::String(text) if text == "*")
    };
    if let [entry] = table.entries.as_slice()
        && is_star(entry)
    {
        inner.take("country");
        inner.finish();
        return Some(Place::default());
    }
    let place = place(&mut inner);
    inner.finish();
    place
}
