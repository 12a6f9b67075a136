//! `[[latency]]`: round-trip times that are known, in place of those that distance suggests.

use super::{Continent, Country, RegionIdx};
use crate::Spanned;
use ipnet::IpNet;

/// Index of a table in [`Config::latencies`](super::Config::latencies).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LatencyIdx(pub u32);

/// Whose round-trip times a table gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LatencyClients {
    /// Clients of these networks; at least one, none of another table's, host bits zero.
    Networks(Vec<IpNet>),
    /// Clients of providers, by the number of their autonomous system in `asn-database`; at least one.
    Asns(Vec<Spanned<u32>>),
    /// Clients in a country.
    Country(Country),
    /// Clients on a continent.
    Continent(Continent),
}

/// A `[[latency]]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// Whose.
    pub clients: LatencyClients,
    /// Milliseconds there and back, by region; each region once.
    pub regions: Vec<(RegionIdx, f64)>,
}
