//! `[[region]]`, coordinates, and where clients are by region, point or place.
//!
//! Called before networks and records, which name regions.

use super::Names;
use super::location::{self, country};
use crate::document::{Kind, Value};
use crate::section::Section;
use crate::tree::Reader;
use crate::{Coordinates, Diagnostic, Place, Region, RegionIdx, Whereabouts};

/// Keys that say where something is.
const PLACE_KEYS: [&str; 3] = ["continent", "country", "subdivision"];

/// AWS's regions and every `[[region]]`.
pub(super) fn resolve(root: &mut Reader<'_>, names: &mut Names) -> Vec<Region> {
    let mut regions = Region::aws();
    for (index, region) in regions.iter().enumerate() {
        let index = RegionIdx(index);
        names.regions.built_in(&region.name, root.span(), index);
    }
    for table in root.tables("region") {
        let mut reader = Reader::new(root.scope(), table, Section::Region, "this region");
        let name = names.regions.declare(&mut reader);
        reader.missing(
            "coordinates",
            "its distance to clients would not be known",
            "add `coordinates = [52.5, 13.4]`: degrees north and east",
        );
        let coordinates = coordinates(&mut reader);
        let country = country(&mut reader);
        reader.finish();
        if let (Some(name), Some(coordinates)) = (name, coordinates) {
            names.regions.place(name.value, RegionIdx(regions.len()));
            regions.push(Region {
                name: name.value.to_owned(),
                coordinates,
                country,
            });
        }
    }
    regions
}

/// `coordinates`: degrees north and east. Numbers or, as AWS's tools print them, strings.
pub(super) fn coordinates(reader: &mut Reader<'_>) -> Option<Coordinates> {
    let span = reader.key_span("coordinates");
    let given = reader.one_or_list("coordinates");
    let span = span?;
    let degrees: Vec<f64> = given.into_iter().filter_map(degrees).collect();
    if let [latitude, longitude] = degrees.as_slice()
        && let Some(found) = Coordinates::from_degrees(*latitude, *longitude)
    {
        return Some(found);
    }
    let message = format!(
        "`coordinates` of {} are not a point on the earth",
        reader.title()
    );
    let help = "write degrees north and east, -90 to 90 and -180 to 180: `[52.5, 13.4]`";
    reader.bad_value(span, message, help);
    None
}

fn degrees(value: &Value) -> Option<f64> {
    match &value.kind {
        Kind::Float(degrees) => Some(*degrees),
        Kind::Integer(degrees) => Some(*degrees as f64),
        Kind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A region by the key `region`.
pub(super) fn named(reader: &mut Reader<'_>, names: &mut Names) -> Option<RegionIdx> {
    let name = reader.text("region")?;
    names.regions.find(name, reader.scope())
}

/// Where clients are: a region, a point, a place, or a point in a place.
pub(super) fn whereabouts(
    reader: &mut Reader<'_>,
    regions: &[Region],
    names: &mut Names,
) -> Option<Whereabouts> {
    let has_place = PLACE_KEYS.iter().any(|key| reader.has(key));
    if reader.has("region") {
        let index = named(reader, names);
        for key in PLACE_KEYS.into_iter().chain(["coordinates"]) {
            let help = "keep `region`, or remove it";
            reader.misplaced(key, "the region says where that is", help);
        }
        let region = regions.get(index?.0)?;
        return Some(Whereabouts {
            place: region.country.map_or(Place::default(), Place::in_country),
            coordinates: Some(region.coordinates),
            region: index,
            latency: None,
            measured: None,
        });
    }
    let has_point = reader.has("coordinates");
    if !has_point && !has_place {
        reader.scope().report(
            Diagnostic::error("no-place", reader.span(), format!("{} names no place", reader.title()))
                .consequence("it would not be known where that is")
                .help("add `country = \"DE\"`, `continent = \"EU\"`, `country = \"US\"` with `subdivision = \"CA\"`, `region` or `coordinates`"),
        );
        return None;
    }
    let coordinates = coordinates(reader);
    let place = match has_place {
        true => location::place(reader)?,
        false => Place::default(),
    };
    (coordinates.is_some() || !has_point).then_some(Whereabouts {
        place,
        coordinates,
        region: None,
        latency: None,
        measured: None,
    })
}
