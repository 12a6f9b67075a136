//! A standalone check's state (Route 53's).
//!
//! Healthy until data says otherwise; `failure-threshold` results in a row that differ from the
//! state change it, either way.

use std::sync::Arc;

use crate::{Observation, Outcome};

/// One standalone check's state machine.
#[derive(Debug)]
pub(crate) struct CheckMachine {
    threshold: u32,
    healthy: bool,
    /// Results in a row that differ from `healthy`.
    contrary: u32,
    description: Arc<str>,
    has_data: bool,
}

impl CheckMachine {
    /// A new check: healthy until data. `threshold` is at least 1.
    pub(crate) fn new(threshold: u32) -> Self {
        Self {
            threshold,
            healthy: true,
            contrary: 0,
            description: "no data yet".into(),
            has_data: false,
        }
    }

    /// Begins as it was left before a restart, instead of as a new one.
    pub(crate) fn recall(&mut self, healthy: bool, description: Arc<str>) {
        self.healthy = healthy;
        self.description = description;
        self.has_data = true;
    }

    /// True once a result said anything.
    pub(crate) fn has_data(&self) -> bool {
        self.has_data
    }

    /// A new threshold, for the results to come.
    pub(crate) fn set_threshold(&mut self, threshold: u32) {
        self.threshold = threshold;
    }

    /// Another probe is made from now on: results in a row start anew.
    pub(crate) fn restart_counts(&mut self) {
        self.contrary = 0;
    }

    /// Takes a probe's result; true when it changed the state. Void ones and those without data leave
    /// the results in a row as they are.
    pub(crate) fn observe(&mut self, observation: &Observation) -> bool {
        if observation.outcome == Outcome::Void {
            return false;
        }
        self.description = observation.seen.clone();
        if observation.outcome == Outcome::NoData {
            return false;
        }
        self.has_data = true;
        if observation.passed() == self.healthy {
            self.contrary = 0;
            return false;
        }
        self.contrary += 1;
        let flips = self.contrary >= self.threshold;
        if flips {
            self.healthy = !self.healthy;
            self.contrary = 0;
        }
        flips
    }

    /// The state.
    pub(crate) fn healthy(&self) -> bool {
        self.healthy
    }

    /// Results in a row that differ from the state.
    pub(crate) fn contrary(&self) -> u32 {
        self.contrary
    }

    /// Results in a row that change the state.
    pub(crate) fn threshold(&self) -> u32 {
        self.threshold
    }

    /// What was last seen.
    pub(crate) fn description(&self) -> Arc<str> {
        self.description.clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::Phases;

    #[tokio::test(start_paused = true)]
    async fn without_data_the_state_and_the_results_in_a_row_stay() {
        let seen = |outcome, seen: &str| Observation {
            outcome,
            seen: seen.into(),
            phases: Phases::default(),
            agent: None,
            started: Instant::now(),
            ended: Instant::now(),
        };
        let mut machine = CheckMachine::new(2);
        assert!(!machine.observe(&seen(Outcome::NoData, "no data")));
        assert!(machine.healthy() && !machine.has_data());
        assert_eq!(&*machine.description(), "no data");
        machine.observe(&seen(Outcome::Failed, "7 is not < 7"));
        machine.observe(&seen(Outcome::NoData, "no data"));
        assert!(machine.healthy());
        assert!(machine.observe(&seen(Outcome::Failed, "7 is not < 7")));
        for _ in 0..5 {
            assert!(!machine.observe(&seen(Outcome::NoData, "no data")));
            assert!(!machine.healthy(), "last known");
        }
    }
}
