//! Health: probers, the pure target state machine, one board task, the immutable [`HealthTable`].
//!
//! The root package runs the board; `lb` and `dns` read tables by slot and report what real
//! traffic saw. Nothing outside the board ever decides a state.
#![forbid(unsafe_code)]

mod signal;
mod slots;
mod state;
mod table;

pub use signal::{PassiveEvent, PassiveFailure, Reporter, Signal};
pub use slots::{CheckId, GroupId, Plane, SlotId, SlotMap};
pub use state::{OperatorState, ReasonCode, Source, TargetState};
pub use table::{Changes, CheckHealth, GroupHealth, HealthTable, TableBuilder, TargetHealth};
