//! Who is where: the longest `[[network]]`, else the table of addresses, else `dns.home`.
//!
//! Made once per configuration generation, when a record first asks for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use conf::{Config, LatencyClients, LatencyIdx, Place, Whereabouts};

use super::{Located, Map};

/// Where clients are, and which clients.
#[derive(Debug)]
pub(crate) struct Geography {
    /// How many of the whereabouts are the table's, nowhere included; networks follow.
    from_table: usize,
    /// Whereabouts that are others with a latency table: which ones. They come last.
    tabled: Vec<usize>,
    /// What the table is, for people.
    table: Arc<str>,
    /// Where; the map's values point here.
    pub(crate) whereabouts: Vec<Whereabouts>,
    /// Who is where.
    pub(crate) map: Arc<Map>,
}

impl Geography {
    /// As `config` says over what `located` says.
    pub(crate) fn new(config: &Config, located: &Located) -> Self {
        let home = config.dns.as_ref().and_then(|dns| dns.home);
        let mut whereabouts = located.whereabouts.to_vec();
        let from_table = whereabouts.len();
        if let Some(nowhere) = whereabouts.first_mut() {
            *nowhere = home.unwrap_or_default();
        }
        let mut blocks = Vec::new();
        for network in &config.networks {
            let value = whereabouts.len() as u32;
            whereabouts.push(network.whereabouts);
            blocks.extend(network.cidrs.iter().map(|cidr| (*cidr, value)));
        }
        let map = match blocks.is_empty() {
            true => located.map.clone(),
            false => {
                let said = Map::of_networks(&blocks, 0);
                let first_said = |said: u32, found: u32| if said == 0 { found } else { said };
                Arc::new(said.zip(&located.map, &mut |said, found| first_said(said, found)))
            }
        };
        let (map, tabled) = with_tables(config, map, &mut whereabouts);
        Self {
            from_table,
            tabled,
            table: located.source.clone(),
            whereabouts,
            map,
        }
    }

    /// What says so of a value of the map, for people.
    pub(crate) fn source(&self, value: usize, config: &Config) -> String {
        let first_tabled = self.whereabouts.len() - self.tabled.len();
        let origin = value.checked_sub(first_tabled);
        let origin = origin.and_then(|at| self.tabled.get(at)).copied();
        let value = origin.unwrap_or(value);
        let network = value.checked_sub(self.from_table);
        match network.and_then(|at| config.networks.get(at)) {
            Some(network) => format!("network `{}`", network.name),
            None if value > 0 => self.table.to_string(),
            None if config.dns.as_ref().is_some_and(|dns| dns.home.is_some()) => {
                "dns.home".to_owned()
            }
            None => "nothing".to_owned(),
        }
    }

    /// The lowest address that is in a place and nowhere more exact, if any.
    pub(crate) fn address_in(&self, place: Place) -> Option<IpAddr> {
        let is_there = |value: u32| {
            let found = self.whereabouts.get(value as usize);
            found.is_some_and(|found| found.place == place)
        };
        let mut samples = self.map.samples().into_iter();
        samples
            .find(|(_, value)| is_there(*value))
            .map(|(at, _)| at)
    }
}

/// Tells the clients of `[[latency]]` networks from others that are in the same place. The values
/// that were added to `whereabouts`, as those that they were made from.
fn with_tables(
    config: &Config,
    map: Arc<Map>,
    whereabouts: &mut Vec<Whereabouts>,
) -> (Arc<Map>, Vec<usize>) {
    let mut blocks = Vec::new();
    for (number, table) in (1..).zip(&config.latencies) {
        if let LatencyClients::Networks(networks) = &table.clients {
            blocks.extend(networks.iter().map(|network| (*network, number)));
        }
    }
    let mut tabled = Vec::new();
    if blocks.is_empty() {
        return (map, tabled);
    }
    let mut values: HashMap<(u32, u32), u32> = HashMap::new();
    let joined = Map::of_networks(&blocks, 0).zip(&map, &mut |number, found| {
        let Some(table) = number.checked_sub(1) else {
            return found;
        };
        *values.entry((number, found)).or_insert_with(|| {
            let there = whereabouts.get(found as usize).copied();
            whereabouts.push(Whereabouts {
                latency: Some(LatencyIdx(table)),
                ..there.unwrap_or_default()
            });
            tabled.push(found as usize);
            whereabouts.len() as u32 - 1
        })
    });
    (Arc::new(joined), tabled)
}
