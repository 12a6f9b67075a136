//! Round-trip times between clients and regions: those that `[[latency]]` tables give, else those
//! that distance suggests; with those that were measured.
//!
//! Asked when plans are made and by explanations, never per query. A table of the client's network
//! goes before one of its autonomous system, that before one of its country, that before one of its
//! continent; of the first two a client is in one only, and regions that a table leaves out are looked
//! up in the next. What a table of the client's network or autonomous system gives is somebody's word
//! and stays; everything else is an expectation that measured times correct.

use std::collections::HashMap;

use conf::{
    Config, Continent, Country, LatencyClients, LatencyIdx, Region, RegionIdx, Whereabouts,
};

use super::distance::{modelled_rtt, point};
use super::measured::Measured;

type Times = HashMap<RegionIdx, f64>;

/// Every table of a configuration, by whose it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    /// Those that whereabouts name, with whose they are.
    named: HashMap<LatencyIdx, (Whose, Times)>,
    of_countries: HashMap<Country, Times>,
    of_continents: HashMap<Continent, Times>,
    regions: Vec<Region>,
    /// The region that measured times lead to.
    own: Option<RegionIdx>,
    measured: Measured,
}

/// A round-trip time and where it is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rtt {
    /// A table of these clients gives it.
    Given(f64, Whose),
    /// Connections of the client's network say so, and what would hold without them.
    Measured(f64),
    /// Distance suggests it; infinite when the client is nowhere.
    Modelled(f64),
}

/// Whose times a table has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Whose {
    Network,
    Asn,
    Country,
    Continent,
}

impl Whose {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Asn => "autonomous system",
            Self::Country => "country",
            Self::Continent => "continent",
        }
    }
}

impl Rtt {
    /// Milliseconds.
    pub(crate) fn ms(self) -> f64 {
        match self {
            Self::Given(ms, _) | Self::Measured(ms) | Self::Modelled(ms) => ms,
        }
    }
}

impl Latencies {
    pub(crate) fn new(config: &Config, measured: &Measured) -> Self {
        let service = config.dns.as_ref().map(|dns| &dns.service);
        let own = service.and_then(|service| service.measured_latency);
        let mut all = Self {
            own: own.map(|own| own.region),
            measured: measured.clone(),
            regions: config.regions.clone(),
            ..Self::default()
        };
        for (index, table) in (0..).map(LatencyIdx).zip(&config.latencies) {
            let times = table.regions.iter().copied().collect();
            match &table.clients {
                LatencyClients::Networks(_) => {
                    all.named.insert(index, (Whose::Network, times));
                }
                LatencyClients::Asns(_) => {
                    all.named.insert(index, (Whose::Asn, times));
                }
                LatencyClients::Country(country) => {
                    all.of_countries.insert(*country, times);
                }
                LatencyClients::Continent(at) => {
                    all.of_continents.insert(*at, times);
                }
            }
        }
        all
    }

    /// Between clients and a region. Clients in the region itself are nearest to it.
    pub(crate) fn rtt(&self, region: RegionIdx, there: &Whereabouts) -> Rtt {
        let named = there.latency.and_then(|table| self.named.get(&table));
        if let Some((whose, times)) = named
            && let Some(ms) = times.get(&region)
        {
            return Rtt::Given(*ms, *whose);
        }
        let expected = self.expected(region, there);
        let measured = there
            .measured
            .filter(|_| self.own == Some(region))
            .and_then(|at| self.measured.get(at as usize));
        measured.map_or(expected, |measured| {
            Rtt::Measured(measured.blended(expected.ms()))
        })
    }

    /// The same without what is known of the client's own network or autonomous system.
    fn expected(&self, region: RegionIdx, there: &Whereabouts) -> Rtt {
        let country = there
            .place
            .country
            .and_then(|at| self.of_countries.get(&at));
        let continent = there
            .place
            .continent
            .and_then(|at| self.of_continents.get(&at));
        for (whose, times) in [(Whose::Country, country), (Whose::Continent, continent)] {
            if let Some(ms) = times.and_then(|times| times.get(&region)) {
                return Rtt::Given(*ms, whose);
            }
        }
        if there.region == Some(region) {
            return Rtt::Modelled(0.0);
        }
        let at = self.regions.get(region.0).map(|region| region.coordinates);
        let ends = point(there).zip(at);
        Rtt::Modelled(ends.map_or(f64::INFINITY, |(from, to)| modelled_rtt(from, to)))
    }
}
