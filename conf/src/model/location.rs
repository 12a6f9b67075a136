//! Where clients are: networks, CIDR collections, and the places a geolocation set may name.
//!
//! Continents and their countries are Route 53's, which differ from other tables in a few (Turkey,
//! Russia and Cyprus are in Europe, Georgia, Armenia and Azerbaijan in Asia).

use std::fmt;

use ipnet::IpNet;

use super::{Coordinates, LatencyIdx, RegionIdx};

/// A continent as Route 53 counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Continent {
    /// AF.
    Africa,
    /// AN.
    Antarctica,
    /// AS.
    Asia,
    /// EU.
    Europe,
    /// NA.
    NorthAmerica,
    /// OC.
    Oceania,
    /// SA.
    SouthAmerica,
}

/// Each continent's code and countries (Route 53, resource record set values for geolocation).
const CONTINENTS: [(Continent, &str, &str); 7] = [
    (
        Continent::Africa,
        "AF",
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML \
         MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    ),
    (Continent::Antarctica, "AN", "AQ GS TF"),
    (
        Continent::Asia,
        "AS",
        "AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM \
         MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TM TW UZ VN YE",
    ),
    (
        Continent::Europe,
        "EU",
        "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI \
         LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM TR UA VA XK",
    ),
    (
        Continent::NorthAmerica,
        "NA",
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI \
         PA PM PR SV SX TC TT US VC VG VI",
    ),
    (
        Continent::Oceania,
        "OC",
        "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS",
    ),
    (
        Continent::SouthAmerica,
        "SA",
        "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
    ),
];

/// States of the USA and the District of Columbia (ISO 3166-2:US).
const STATES: &str = "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO \
                      MS MT NC ND NE NH NJ NM NV NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY";

impl Continent {
    /// The continent of a code such as `EU`.
    pub fn parse(code: &str) -> Option<Self> {
        let found = CONTINENTS.iter().find(|(_, name, _)| *name == code);
        found.map(|(continent, ..)| *continent)
    }

    /// Its code.
    pub fn as_str(self) -> &'static str {
        let found = CONTINENTS.iter().find(|(other, ..)| *other == self);
        found.map_or("", |(_, code, _)| *code)
    }

    /// Every code.
    pub fn codes() -> impl Iterator<Item = &'static str> + Clone {
        CONTINENTS.iter().map(|(_, code, _)| *code)
    }
}

/// A country of one of the continents, by its ISO 3166-1 code (and `XK`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// The country of a code in capitals. `None` for those that Route 53 does not know either:
    /// BV, CX, EH and HM.
    pub fn parse(code: &str) -> Option<Self> {
        let known = Self::codes().any(|country| country == code);
        let code = <[u8; 2]>::try_from(code.as_bytes()).ok()?;
        known.then_some(Self(code))
    }

    /// Every code.
    pub fn codes() -> impl Iterator<Item = &'static str> + Clone {
        let lists = CONTINENTS.iter();
        lists.flat_map(|(_, _, countries)| countries.split_ascii_whitespace())
    }

    /// Where it lies.
    pub fn continent(self) -> Option<Continent> {
        let code = self.to_string();
        let found = CONTINENTS
            .iter()
            .find(|(_, _, countries)| countries.split_ascii_whitespace().any(|c| c == code));
        found.map(|(continent, ..)| *continent)
    }

    /// True for the only country with subdivisions.
    pub fn has_subdivisions(self) -> bool {
        self.0 == *b"US"
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.0.map(char::from);
        write!(f, "{first}{second}")
    }
}

/// A state of the USA, or the District of Columbia.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subdivision([u8; 2]);

impl Subdivision {
    /// The state of a code in capitals.
    pub fn parse(code: &str) -> Option<Self> {
        let known = Self::codes().any(|state| state == code);
        let code = <[u8; 2]>::try_from(code.as_bytes()).ok()?;
        known.then_some(Self(code))
    }

    /// Every code.
    pub fn codes() -> impl Iterator<Item = &'static str> + Clone {
        STATES.split_ascii_whitespace()
    }
}

impl fmt::Display for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.0.map(char::from);
        write!(f, "{first}{second}")
    }
}

/// Where something is, as far as it is known; what is more exact implies what is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place {
    /// The continent.
    pub continent: Option<Continent>,
    /// The country; implies the continent.
    pub country: Option<Country>,
    /// The state; implies the country.
    pub subdivision: Option<Subdivision>,
}

impl Place {
    /// Somewhere in a country.
    pub fn in_country(country: Country) -> Self {
        Self {
            continent: country.continent(),
            country: Some(country),
            subdivision: None,
        }
    }

    /// This place without its most exact part; nowhere at last.
    pub fn wider(self) -> Self {
        match self {
            Self {
                subdivision: Some(_),
                ..
            } => Self {
                subdivision: None,
                ..self
            },
            Self {
                country: Some(_), ..
            } => Self {
                country: None,
                ..self
            },
            _ => Self::default(),
        }
    }
}

/// Where clients are, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Whereabouts {
    /// Continent, country, state.
    pub place: Place,
    /// The point they are at or near; without it the middle of the place's people stands for it.
    pub coordinates: Option<Coordinates>,
    /// The region they are in, whose coordinates these are.
    pub region: Option<RegionIdx>,
    /// Whose round-trip times a table of their network gives.
    pub latency: Option<LatencyIdx>,
    /// Which of the measured round-trip times are theirs. No configuration says it.
    pub measured: Option<u32>,
}

impl From<Place> for Whereabouts {
    fn from(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }
}

/// A `[[network]]`: clients whose whereabouts are said, not looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Unique among networks.
    pub name: String,
    /// At least one; none of another network's, host bits zero.
    pub cidrs: Vec<IpNet>,
    /// Where its clients are.
    pub whereabouts: Whereabouts,
}

/// Index of a CIDR collection in [`Config::cidr_collections`](super::Config::cidr_collections).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionIdx(pub usize);

/// A `[[cidr-collection]]`: locations by client network (Route 53 `CidrCollection`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrCollection {
    /// Unique among collections.
    pub name: String,
    /// In the order of the file.
    pub locations: Vec<CidrLocation>,
}

/// A location of a CIDR collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrLocation {
    /// Unique in the collection.
    pub name: String,
    /// None of another location's, host bits zero, never of length 0.
    pub cidrs: Vec<IpNet>,
}

/// Which clients a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// All (policies that do not ask where a client is).
    Everyone,
    /// Those of a place; [`Place::default`] is the default set (policy geolocation).
    Place(Place),
    /// Those of a location of the record's collection, by index; `None` is the default set `*`
    /// (policy ip-based).
    CidrLocation(Option<usize>),
    /// All, those with the least latency to this region first (policy latency).
    Region(RegionIdx),
    /// All, the nearest to this point first (policy geoproximity).
    Near {
        /// Where the set is.
        coordinates: Coordinates,
        /// -99 to 99: distances seem that much shorter (positive) or longer.
        bias: i8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_on_one_continent() {
        let mut codes: Vec<_> = Country::codes().collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!((codes.len(), count), (246, 246));
        for (code, continent) in [("TR", "EU"), ("CY", "EU"), ("GE", "AS"), ("US", "NA")] {
            let found = Country::parse(code).and_then(Country::continent);
            assert_eq!(found.map(Continent::as_str), Some(continent), "{code}");
        }
        for unsupported in ["BV", "CX", "EH", "HM", "us", "ZZ", "", "USA"] {
            assert_eq!(Country::parse(unsupported), None, "{unsupported}");
        }
        assert_eq!(Subdivision::codes().count(), 51);
    }
}
