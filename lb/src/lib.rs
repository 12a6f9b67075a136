//! Load balancing: listeners, target groups, balancing strategies, the TCP and HTTP data paths.
//!
//! The root package starts it, runs its futures and asks it for metrics. It follows health tables
//! and never decides health; it never knows of DNS.

pub mod access_log;
mod balance;
mod connect;
mod context;
mod l4;
pub mod l7;
mod limits;
pub mod metrics;
mod snapshot;
mod sockets;
mod target;
mod work;

pub use balance::{MAX_ATTEMPTS, Pick, Tried};
pub use connect::ConnectError;
pub use context::{Attempts, Choice, WorkerContext};
pub use snapshot::{
    Condition, Group, GroupIndex, GroupSettings, Listener, Member, Route, Snapshot,
};
pub use target::{End, Fate, Padded, Target, WorkKind};
pub use work::Work;
