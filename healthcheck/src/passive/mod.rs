//! Passive health: what real traffic comes to, and when that ejects a target (Envoy's outlier
//! detection).
//!
//! Workers count into [`Traffic`], one for each target of a group with `passive-health`; the board
//! reads the counts and asks the group's [`Detector`], a pure state machine, who is to be ejected
//! and when each comes back. Limits that depend on the state of others are the board's to ask.

mod anomaly;
mod detector;
mod ejection;
mod outcome;
mod traffic;

pub use anomaly::Anomaly;
pub(crate) use anomaly::{Anomalies, Change};
pub(crate) use detector::{Detector, Look};
pub(crate) use ejection::{Cause, Ejection, Limit};
pub use outcome::TrafficOutcome;
pub use traffic::{Tally, Traffic};

#[cfg(test)]
mod tests;
