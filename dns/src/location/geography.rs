//! Places by address: the longest `[[network]]`, else `dns.home`.
//!
//! Made once per configuration generation, when the routed records are resolved.

use conf::{Config, Place};

use super::Map;

/// Every place that clients are in, and which clients.
#[derive(Debug)]
pub(crate) struct Geography {
    /// The places; the map's values point here.
    pub(crate) places: Vec<Place>,
    /// Who is where.
    pub(crate) map: Map,
}

impl Geography {
    /// As `config` says.
    pub(crate) fn new(config: &Config) -> Self {
        let home = config.dns.as_ref().and_then(|dns| dns.home);
        let mut places = vec![home.unwrap_or_default()];
        let mut blocks = Vec::new();
        for network in &config.networks {
            let value = places.len() as u32;
            places.push(network.place);
            blocks.extend(network.cidrs.iter().map(|cidr| (*cidr, value)));
        }
        Self {
            map: Map::of_networks(&blocks, 0),
            places,
        }
    }
}
