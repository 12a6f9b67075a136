//! Load balancing: listeners, target groups, balancing strategies, the TCP and HTTP data paths.
//!
//! The root package starts it, runs its futures and asks it for metrics. It follows health tables
//! and never decides health; it never knows of DNS.

pub mod access_log;
mod acknowledge;
mod balance;
mod compile;
mod connect;
mod connection_log;
mod connections;
mod context;
mod control;
mod digits;
mod explain;
mod filter;
mod handle;
pub mod jwt;
pub mod l4;
pub mod l7;
mod latency;
mod limits;
pub mod metrics;
mod past;
mod plan;
pub mod proxy;
mod queue;
mod retries;
mod round_trips;
pub mod rules;
mod snapshot;
mod sockets;
mod start;
mod sticky;
mod stream;
mod target;
#[cfg(test)]
mod testing;
mod tls;
mod wall_clock;
mod work;
mod worker;

pub use balance::{MAX_ATTEMPTS, Origin, Pick, Tried};
pub use connect::ConnectError;
pub use context::{Attempts, Choice, WorkerContext};
pub use control::Control;
pub use explain::{
    ConditionReport, GroupReport, RequestExplanation, RequestQuestion, RuleReport, TargetReport,
    WeightReport,
};
pub use handle::{CertificateStatus, Lb, ListenerStatus, Prepared, TargetStatus};
pub use past::{AttemptReport, PastQuestion, PastReport};
pub use round_trips::{RoundTrip, RoundTrips};
pub use snapshot::{
    Condition, Group, GroupIndex, GroupSettings, Listener, Member, Route, Snapshot, Tally,
};
pub use sockets::Descriptors;
pub use start::{Settings, StartError, start};
pub use sticky::{cookie_set, cookie_value};
pub use target::{End, Fate, Padded, Target, WorkKind};
pub use tls::{
    ClientHello, ClientHelloFault, ClientHelloProgress, ClientIdentity, HandshakeReason, LocalCa,
    LocalCaError, TargetTls,
};
pub use work::Work;
pub use worker::Worker;
