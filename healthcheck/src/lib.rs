//! Health: probers, the pure target state machine, one board task, the immutable [`HealthTable`].
//!
//! The root package runs the board; `lb` and `dns` read tables by slot and report what real
//! traffic saw. Nothing outside the board ever decides a state.
#![forbid(unsafe_code)]

mod allocation;
mod board;
mod control;
mod control_store;
mod details;
mod log;
mod machine;
mod memory;
mod metrics;
mod observation;
mod passive;
mod probe;
pub mod proxy_header;
mod rollup;
mod roster;
mod schedule;
mod signal;
mod slots;
mod state;
mod store;
mod table;
mod time;
mod unix;

pub use board::{
    Board, BoardHandle, BoardSettings, ControlOutcome, FirstRound, Prepared, UnknownTarget, start,
};
pub use control::{ControlChange, ControlError, ControlStatus, SafetyRuleStatus};
pub use details::{CheckDetails, ObservationDetails, PassiveDetails, TargetDetails};
pub use memory::MemorySettings;
pub use observation::{AgentReport, AgentState, Observation, Outcome, Phases};
pub use passive::{Anomaly, Tally, Traffic, TrafficOutcome};
#[doc(hidden)]
pub use probe::answers;
pub use probe::{tls_client, tls_fault, tls_name};
pub use roster::{GroupStatus, Roster};
pub use signal::{PassiveEvent, PassiveFailure, PassiveReport, Reporter, Signal};
pub use slots::{CheckId, GroupId, Plane, SlotId, SlotMap};
pub use state::{OperatorState, ReasonCode, Source, TargetState};
pub use store::{read as read_state, replace as replace_state};
pub use table::{Changes, CheckHealth, GroupHealth, HealthTable, TableBuilder, TargetHealth};
pub use time::rfc3339;
pub use unix::{connect_unix, stream_of};
