//! Zones from a configuration: files scanned, `[[zone.record]]` entries merged.
//!
//! Called by `check`, `run` and reload through [`crate::load_zones`]. Never touches the network.

mod zones;

pub use zones::{
    ParsedRecord, RoutedAlias, RoutedData, RoutedRecord, RoutedSet, RoutedTarget, ZoneSource, Zones,
};
