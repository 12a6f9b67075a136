//! Who asks: clients of networks, and an address for a country.

use std::net::IpAddr;

use conf::{Country, Place, Subdivision, Whereabouts};
use ipnet::IpNet;

use super::{AskError, Asker, ClientReport, Explainer};
use crate::location::Client;

/// A client of which the network is known.
pub(super) fn of(network: IpNet) -> Client {
    let network = network.trunc();
    Client {
        address: network.network(),
        length: network.prefix_len(),
    }
}

impl Explainer {
    /// An address that is in a country or state.
    pub(super) fn address_in(&self, code: &str) -> Result<IpAddr, AskError> {
        let unknown = || AskError::UnknownCountry(code.to_owned());
        let (country, state) = match code.split_once('-') {
            Some((country, state)) => (country, Some(state)),
            None => (code, None),
        };
        let country = Country::parse(country).ok_or_else(unknown)?;
        let mut place = Place::in_country(country);
        if let Some(state) = state {
            let subdivision = Subdivision::parse(state).filter(|_| country.has_subdivisions());
            place.subdivision = Some(subdivision.ok_or_else(unknown)?);
        }
        let Some(geography) = &self.compiled.routes.geography else {
            // No record asks where anybody is: any address will do.
            return Ok(IpAddr::from([127, 0, 0, 1]));
        };
        geography
            .address_in(place)
            .ok_or_else(|| AskError::NobodyThere(code.to_owned()))
    }

    /// Who asked, for the report, and where they are.
    pub(super) fn describe(&self, from: &Asker, client: Client) -> (ClientReport, Whereabouts) {
        let (source, address) = match from {
            Asker::Sender(_) => ("sender", client.address.to_string()),
            Asker::Subnet(network) => ("ecs", network.trunc().to_string()),
            Asker::Country(_) => ("country", client.address.to_string()),
        };
        let config = self.compiled.config.as_deref();
        let geography = self.compiled.routes.geography.as_ref().zip(config);
        let located = geography.map(|(geography, config)| {
            let found = geography.map.find(client).value as usize;
            let there = geography.whereabouts.get(found).copied();
            (there.unwrap_or_default(), geography.source(found, config))
        });
        let report = ClientReport {
            address,
            source: source.to_owned(),
            whereabouts: located.as_ref().map(|(there, _)| self.words(there)),
            found_by: located.as_ref().map(|(_, by)| by.clone()),
        };
        (
            report,
            located.map_or_else(Whereabouts::default, |(there, _)| there),
        )
    }

    /// `US-CA (NA), region us-west-1, 37.35 -121.96`.
    fn words(&self, there: &Whereabouts) -> String {
        let mut words = Vec::new();
        let Place {
            continent,
            country,
            subdivision,
        } = there.place;
        if let Some(country) = country {
            let state = subdivision.map_or(String::new(), |state| format!("-{state}"));
            words.push(format!("{country}{state}"));
        }
        if let Some(continent) = continent {
            words.push(format!("continent {}", continent.as_str()));
        }
        if let Some(region) = there.region {
            let regions = self.compiled.config.as_ref().map(|config| &config.regions);
            let region = regions.and_then(|regions| regions.get(region.0));
            words.extend(region.map(|region| format!("region {}", region.name)));
        }
        if let Some(at) = there.coordinates {
            words.push(format!("{:.2} {:.2}", at.latitude(), at.longitude()));
        }
        match words.is_empty() {
            true => "unknown".to_owned(),
            false => words.join(", "),
        }
    }
}
