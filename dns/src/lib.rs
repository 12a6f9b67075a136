//! Authoritative DNS: zones and records as text, policies, compiled answers, servers.
//!
//! The root package loads zones with it, starts it and publishes health through it. Knows `conf`
//! and `healthcheck`, never the balancer.

mod load;
mod name;
pub mod rdata;
mod zonefile;

pub use load::{
    ParsedRecord, RoutedAlias, RoutedData, RoutedRecord, RoutedSet, RoutedTarget, ZoneSource,
    Zones, load_zones,
};
pub use name::{Labels, MAX_LABEL, MAX_NAME, Name, NameError};
