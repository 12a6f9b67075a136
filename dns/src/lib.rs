//! Authoritative DNS: zones and records as text, policies, compiled answers, servers.
//!
//! The root package loads zones with it, starts it and publishes health through it. Knows `conf`
//! and `healthcheck`, never the balancer.

mod answer;
pub mod cases;
mod clock;
mod compile;
mod control;
pub mod explain;
mod forward;
mod guard;
mod handle;
mod load;
mod location;
mod metrics;
mod name;
mod offline;
mod policy;
pub mod rdata;
mod relocate;
mod secondary;
mod server;
mod snapshot;
mod tap;
#[cfg(test)]
mod testing;
mod transfer;
mod updates;
mod wire;
mod zone;
mod zonefile;

pub use answer::{Answered, Answerer, Moment};
pub use compile::Compiled;
pub use control::Control;
pub use forward::read_forwarded;
pub use handle::{Dns, Prepared, Settings, ZoneStatus, start};
pub use load::{
    ParsedRecord, RoutedAlias, RoutedData, RoutedRecord, RoutedSet, RoutedTarget, ZoneSource,
    ZoneState, Zones, load_zones,
};
pub use location::built_in_date as country_table_date;
pub use location::{Fault as GeoDatabaseFault, Located, MeasuredRtt};
pub use name::{Labels, MAX_LABEL, MAX_NAME, Name, NameError};
pub use offline::{Offline, UnknownHealth};
pub use policy::Reason;
pub use secondary::{SecondaryStatus, read_transfer};
pub use server::tcp::TcpWorker;
pub use snapshot::Snapshot;
pub use updates::read_update;
pub use wire::{Rcode, Transport};
