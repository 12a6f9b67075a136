//! Who is where: the longest `[[network]]`, else the table of addresses, else `dns.home`.
//!
//! Made once per configuration generation, when a record first asks for it.

use std::sync::Arc;

use conf::{Config, Whereabouts};

use super::{Located, Map};

/// Where clients are, and which clients.
#[derive(Debug)]
pub(crate) struct Geography {
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
        Self { whereabouts, map }
    }
}
