//! Where a record of an MMDB file says that its clients are.
//!
//! The layouts are those of MaxMind and DB-IP (nested maps, ISO codes), and flat ones as IPinfo and
//! ip-location-db write them. Continents are Route 53's for countries it knows; what it does not
//! know (BV, CX, EH, HM) is nowhere but at its coordinates, as in the built-in table.

use conf::{Continent, Coordinates, Country, Place, Subdivision, Whereabouts};

use super::Fault;
use super::data::{Data, Field};

/// What a record says, before it is made sense of.
#[derive(Default)]
struct Said<'f> {
    country: Option<&'f str>,
    /// Where the holder of the addresses is registered: counts when nothing else is known.
    registered: Option<&'f str>,
    continent: Option<&'f str>,
    state: Option<&'f str>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

/// The whereabouts that the record at an offset names.
pub(super) fn whereabouts(data: &Data<'_>, at: usize) -> Result<Whereabouts, Fault> {
    let Field::Map(count, from) = data.field(at)? else {
        return Ok(Whereabouts::default());
    };
    let mut said = Said::default();
    data.pairs((count, from), |key, value| said.hear(data, key, value))?;
    Ok(said.whereabouts())
}

/// The autonomous system that the record at an offset names, 0 for none: MaxMind's and DB-IP's member, or
/// IPinfo's `AS64500`.
pub(super) fn asn(data: &Data<'_>, at: usize) -> Result<u32, Fault> {
    let Field::Map(..) = data.field(at)? else {
        return Ok(0);
    };
    if let Some(Field::Whole(number)) = data.member(at, "autonomous_system_number")? {
        return Ok(u32::try_from(number).unwrap_or(0));
    }
    Ok(match data.member(at, "asn")? {
        Some(Field::Whole(number)) => u32::try_from(number).unwrap_or(0),
        Some(Field::Text(text)) => text.trim_start_matches("AS").parse().unwrap_or(0),
        _ => 0,
    })
}

impl<'f> Said<'f> {
    fn hear(&mut self, data: &Data<'f>, key: &str, at: usize) -> Result<(), Fault> {
        match key {
            "country" => self.country = code(data, at, "iso_code")?.or(self.country),
            "country_code" | "countryCode" => self.country = code(data, at, "")?.or(self.country),
            "registered_country" => self.registered = code(data, at, "iso_code")?,
            "continent" => self.continent = code(data, at, "code")?.or(self.continent),
            "continent_code" => self.continent = code(data, at, "")?.or(self.continent),
            "subdivisions" => {
                if let Field::List(1.., first) = data.field(at)? {
                    self.state = code(data, first, "iso_code")?;
                }
            }
            "region_code" => self.state = code(data, at, "")?.or(self.state),
            "location" => {
                self.latitude = degrees(data.member(at, "latitude")?).or(self.latitude);
                self.longitude = degrees(data.member(at, "longitude")?).or(self.longitude);
            }
            "latitude" | "lat" => self.latitude = degrees(Some(data.field(at)?)),
            "longitude" | "lng" | "lon" => self.longitude = degrees(Some(data.field(at)?)),
            _ => {}
        }
        Ok(())
    }

    fn whereabouts(&self) -> Whereabouts {
        let continent = self.continent.and_then(Continent::parse);
        let code = match (self.country, continent) {
            (None, None) => self.registered,
            (code, _) => code,
        };
        let place = match code {
            Some(code) => Country::parse(code).map_or(Place::default(), Place::in_country),
            None => Place {
                continent,
                ..Place::default()
            },
        };
        let in_states = place.country.is_some_and(Country::has_subdivisions);
        let subdivision = self.state.filter(|_| in_states);
        let coordinates = self.latitude.zip(self.longitude);
        Whereabouts {
            place: Place {
                subdivision: subdivision.and_then(Subdivision::parse),
                ..place
            },
            coordinates: coordinates
                .and_then(|(north, east)| Coordinates::from_degrees(north, east)),
            region: None,
            latency: None,
            measured: None,
        }
    }
}

/// A code: the text itself if it has two letters, or a map's `key`.
fn code<'f>(data: &Data<'f>, at: usize, key: &str) -> Result<Option<&'f str>, Fault> {
    Ok(match data.field(at)? {
        Field::Text(text) => (text.len() == 2).then_some(text),
        Field::Map(..) => match data.member(at, key)? {
            Some(Field::Text(text)) => Some(text),
            _ => None,
        },
        _ => None,
    })
}

/// Some files write numbers as texts.
fn degrees(field: Option<Field<'_>>) -> Option<f64> {
    match field? {
        Field::Number(degrees) => Some(degrees),
        Field::Whole(degrees) => Some(degrees as f64),
        Field::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}
