//! The TCP probe: connects, then resets the connection.

use super::ProbePlan;
use super::connection::Stopwatch;
use crate::{Observation, Outcome};

/// Passes when the connection stands within the limit.
pub(super) async fn probe(plan: &ProbePlan) -> Observation {
    let mut watch = Stopwatch::start();
    match watch.connect(plan, &plan.limits).await {
        Ok(_reset_on_drop) => watch.end(Outcome::Passed, "connected"),
        Err(observation) => observation,
    }
}
