//! Questions as words, from a command line or a URL.

use std::net::IpAddr;

use conf::RecordType;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Ask, Asker};
use crate::name::Name;

/// A question as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The name, with or without the final dot.
    pub name: String,
    /// The type; `A` when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// The sender's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The client's network, named by a believed resolver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecs: Option<String>,
    /// A country or state that the client is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What draws follow from; 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Words {
    /// What they ask.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn read(&self) -> Result<Ask, String> {
        let name = Name::parse(self.name.as_str(), Some(&Name::root()));
        let name = name.map_err(|why| format!("`{}` is not a name: {why}", self.name))?;
        let rtype = self.rtype.as_deref().unwrap_or("A");
        let rtype = RecordType::parse(rtype)
            .ok_or_else(|| format!("`{rtype}` is not a record type, such as A, AAAA or MX"))?;
        let from = match (&self.from, &self.ecs, &self.country) {
            (None, None, None) => Asker::default(),
            (Some(from), None, None) => Asker::Sender(address(from)?),
            (None, Some(network), None) => Asker::Subnet(self::network(network)?),
            (None, None, Some(country)) => Asker::Country(country.clone()),
            _ => return Err("give one of from, ecs and country".to_owned()),
        };
        Ok(Ask {
            name,
            rtype,
            from,
            seed: self.seed.unwrap_or(1),
        })
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| format!("`{text}` is not an address; a network is named by ecs"))
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>();
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = network.or(address);
    network.map_err(|_| format!("`{text}` is not a network, such as 198.51.100.0/24"))
}
