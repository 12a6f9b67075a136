//! Who is where: the longest `[[network]]`, else the table of addresses, else `dns.home`.
//!
//! Made once per configuration generation, when a record first asks for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use conf::{Config, LatencyClients, LatencyIdx, Place, Whereabouts};
use ipnet::IpNet;

use super::{Located, Map, Measured};

/// Where clients are, and which clients.
#[derive(Debug)]
pub(crate) struct Geography {
    /// How many of the whereabouts are the table's, nowhere included; networks follow.
    from_table: usize,
    /// Whereabouts that are others with a latency table or measured times: which ones. They come
    /// last, after those that they are.
    tabled: Vec<usize>,
    /// What the table is, for people.
    table: Arc<str>,
    /// Where; the map's values point here.
    pub(crate) whereabouts: Vec<Whereabouts>,
    /// Who is where.
    pub(crate) map: Arc<Map>,
}

impl Geography {
    /// As `config` says over what `located` says, with those told apart whose times were measured.
    pub(crate) fn new(config: &Config, located: &Located, measured: &Measured) -> Self {
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
        let mut tabled = Vec::new();
        let map = with_tables(config, located, map, (&mut whereabouts, &mut tabled));
        let map = with_measured(measured, map, &mut whereabouts, &mut tabled);
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
        let origin = |value: usize| self.tabled.get(value.checked_sub(first_tabled)?).copied();
        // Measured times, the table beneath them, the place beneath that.
        let origins = std::iter::successors(Some(value), |value| origin(*value));
        let value = origins.last().unwrap_or(value);
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

/// Tells the clients of `[[latency]]` networks, and of its autonomous systems elsewhere, from others that
/// are in the same place.
fn with_tables(
    config: &Config,
    located: &Located,
    map: Arc<Map>,
    (whereabouts, tabled): (&mut Vec<Whereabouts>, &mut Vec<usize>),
) -> Arc<Map> {
    let mut blocks = Vec::new();
    let mut asns: HashMap<u32, u32> = HashMap::new();
    for (number, table) in (1..).zip(&config.latencies) {
        match &table.clients {
            LatencyClients::Networks(networks) => {
                blocks.extend(networks.iter().map(|network| (*network, number)));
            }
            LatencyClients::Asns(numbers) => {
                asns.extend(numbers.iter().map(|asn| (asn.value, number)));
            }
            LatencyClients::Country(_) | LatencyClients::Continent(_) => {}
        }
    }
    let tell = |there: &mut Whereabouts, table| there.latency = Some(LatencyIdx(table));
    let numbered = match &located.asns {
        Some(located) if !asns.is_empty() => {
            let mut join = |number: u32, asn: u32| match number {
                0 => asns.get(&asn).copied().unwrap_or(0),
                number => number,
            };
            Map::of_networks(&blocks, 0).zip(&located.map, &mut join)
        }
        _ if blocks.is_empty() => return map,
        _ => Map::of_networks(&blocks, 0),
    };
    told_apart_by(&numbered, map, whereabouts, tabled, tell)
}

/// Tells the clients of networks whose times were measured from others.
fn with_measured(
    measured: &Measured,
    map: Arc<Map>,
    whereabouts: &mut Vec<Whereabouts>,
    tabled: &mut Vec<usize>,
) -> Arc<Map> {
    let blocks = (1..).zip(measured.iter());
    let blocks: Vec<_> = blocks.map(|(number, one)| (one.network, number)).collect();
    told_apart(&blocks, map, whereabouts, tabled, |there, at| {
        there.measured = Some(at);
    })
}

/// Tells the clients of `blocks`, numbered from 1, from others in the same place: `tell` says so,
/// with numbers from 0. What is added to `whereabouts` is added to `tabled`, as what it was before.
fn told_apart(
    blocks: &[(IpNet, u32)],
    map: Arc<Map>,
    whereabouts: &mut Vec<Whereabouts>,
    tabled: &mut Vec<usize>,
    tell: impl Fn(&mut Whereabouts, u32),
) -> Arc<Map> {
    if blocks.is_empty() {
        return map;
    }
    let numbered = Map::of_networks(blocks, 0);
    told_apart_by(&numbered, map, whereabouts, tabled, tell)
}

/// The same by a map of those numbers, 0 for nobody.
fn told_apart_by(
    numbered: &Map,
    map: Arc<Map>,
    whereabouts: &mut Vec<Whereabouts>,
    tabled: &mut Vec<usize>,
    tell: impl Fn(&mut Whereabouts, u32),
) -> Arc<Map> {
    let mut values: HashMap<(u32, u32), u32> = HashMap::new();
    let joined = numbered.zip(&map, &mut |number, found| {
        let Some(at) = number.checked_sub(1) else {
            return found;
        };
        *values.entry((number, found)).or_insert_with(|| {
            let mut there = whereabouts.get(found as usize).copied().unwrap_or_default();
            tell(&mut there, at);
            whereabouts.push(there);
            tabled.push(found as usize);
            whereabouts.len() as u32 - 1
        })
    });
    Arc::new(joined)
}
