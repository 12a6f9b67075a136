//! How far places are from each other, and how long a packet takes there and back.
//!
//! A client of which only the country, state or continent is known is taken to be where its people
//! are on average (`data/centres.txt`). Used when plans are made, never per query.

use std::collections::HashMap;
use std::sync::OnceLock;

use conf::{Coordinates, Place, Whereabouts};

/// Round-trip time in milliseconds that distance does not explain: access networks and queues.
const ACCESS_MS: f64 = 5.0;
/// Round-trip time in milliseconds per kilometre of great circle. Light in glass needs 0.01; cables
/// do not follow great circles, which adds about a third on the paths that operators publish.
const MS_PER_KM: f64 = 0.0135;

static CENTRES: &str = include_str!("../../data/centres.txt");

/// The point that stands for where clients are; `None` when nothing is known of them.
pub(crate) fn point(whereabouts: &Whereabouts) -> Option<Coordinates> {
    whereabouts
        .coordinates
        .or_else(|| centre(whereabouts.place))
}

/// The round-trip time in milliseconds between two points, as far as distance tells.
pub(crate) fn modelled_rtt(from: Coordinates, to: Coordinates) -> f64 {
    ACCESS_MS + MS_PER_KM * from.distance_km(to)
}

/// A distance as a bias of -99 to 99 makes it seem (Route 53: a positive one shortens it by so many
/// per cent, a negative one divides it by what would be left).
pub(crate) fn biased(distance: f64, bias: i8) -> f64 {
    let share = 1.0 - f64::from(bias.unsigned_abs()) / 100.0;
    if bias >= 0 {
        distance * share
    } else {
        distance / share
    }
}

fn centre(place: Place) -> Option<Coordinates> {
    static TABLE: OnceLock<HashMap<&str, Coordinates>> = OnceLock::new();
    let table = TABLE.get_or_init(|| CENTRES.lines().filter_map(entry).collect());
    let name = match place {
        Place {
            subdivision: Some(state),
            country: Some(country),
            ..
        } => format!("{country}-{state}"),
        Place {
            country: Some(country),
            ..
        } => country.to_string(),
        Place { continent, .. } => format!("+{}", continent?.as_str()),
    };
    table.get(name.as_str()).copied()
}

fn entry(line: &str) -> Option<(&str, Coordinates)> {
    let mut words = line.split(' ');
    let (name, latitude, longitude) = (words.next()?, words.next()?, words.next()?);
    let (latitude, longitude) = (latitude.parse().ok()?, longitude.parse().ok()?);
    let point = Coordinates::from_hundredths(latitude, longitude);
    (name != "#").then_some((name, point))
}

#[cfg(test)]
mod tests {
    use conf::{Continent, Country, Subdivision};

    use super::*;

    #[test]
    fn every_place_has_a_centre() {
        for code in Country::codes() {
            let country = Country::parse(code).unwrap();
            assert!(centre(Place::in_country(country)).is_some(), "{code}");
        }
        let states = Place::in_country(Country::parse("US").unwrap());
        for code in Subdivision::codes() {
            let subdivision = Subdivision::parse(code);
            let state = Place {
                subdivision,
                ..states
            };
            assert!(centre(state).is_some(), "{code}");
        }
        for code in Continent::codes() {
            let continent = Continent::parse(code);
            let place = Place {
                continent,
                ..Place::default()
            };
            assert!(centre(place).is_some(), "{code}");
        }
        assert_eq!(centre(Place::default()), None);
    }

    #[test]
    fn a_bias_shortens_and_stretches() {
        assert_eq!(biased(150.0, 50), 75.0);
        assert_eq!(biased(100.0, -50), 200.0);
        assert_eq!(biased(100.0, 0), 100.0);
        assert!((biased(100.0, 99) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_model_gives_what_cables_give() {
        let at = |latitude, longitude| Coordinates::from_degrees(latitude, longitude).unwrap();
        let (london, new_york) = (at(51.5, -0.1), at(40.7, -74.0));
        let across = modelled_rtt(london, new_york);
        assert!((70.0..90.0).contains(&across), "{across}");
        assert_eq!(modelled_rtt(london, london), ACCESS_MS);
    }
}
