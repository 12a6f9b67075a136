//! The machine against a plain model, over ten thousand seeded histories.
//!
//! The model keeps the whole history and works the state out anew after each input, from the words
//! of the truth table: no counters, nothing carried over but what happened.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::{AgentReport, AgentState};

const HISTORIES: u64 = 10_000;
const LENGTH: usize = 60;

#[derive(Debug, Clone, Copy)]
enum Input {
    Passed,
    /// A failed probe of the grid, or an additional one, which does not count.
    Failed {
        counted: bool,
    },
    Void,
    /// Traffic was refused.
    Refused,
    Operator(OperatorState),
    Agent(AgentState),
    /// The probe changed with the configuration.
    Restart,
}

impl Input {
    fn random(random: &mut SmallRng) -> Self {
        match random.random_range(0..100) {
            0..35 => Self::Passed,
            35..65 => Self::Failed { counted: true },
            65..75 => Self::Failed { counted: false },
            75..80 => Self::Void,
            80..88 => Self::Refused,
            88..92 => Self::Operator(OperatorState::Drain),
            92..95 => Self::Operator(OperatorState::Ready),
            95..97 => Self::Agent(AgentState::Drain),
            97..99 => Self::Agent(AgentState::Ready),
            _ => Self::Restart,
        }
    }

    fn play(self, play: &mut Play) {
        let now = play.tick();
        let agent = |state| AgentReport {
            state: Some(state),
            percent: None,
        };
        let machine = &mut play.machine;
        if matches!(
            self,
            Self::Passed | Self::Failed { .. } | Self::Void | Self::Agent(_)
        ) {
            machine.probe_began();
        }
        match self {
            Self::Passed => drop(machine.observe(&probe(Outcome::Passed, now), true)),
            Self::Failed { counted } => drop(machine.observe(&probe(FAILED, now), counted)),
            Self::Void => drop(machine.observe(&probe(Outcome::Void, now), true)),
            Self::Refused => drop(machine.mark(&traffic(now))),
            Self::Operator(state) => machine.set_operator(state),
            Self::Agent(state) => {
                let mut observation = probe(Outcome::Void, now);
                observation.agent = Some(agent(state));
                machine.observe(&observation, true);
            }
            Self::Restart => machine.restart_counts(),
        }
    }
}

/// The state that a history leads to.
fn expected(history: &[Input], healthy: usize, unhealthy: usize) -> TargetState {
    let last = |found: &dyn Fn(&Input) -> bool| history.iter().rposition(found);
    let operator = last(&|input| matches!(input, Input::Operator(_)));
    if let Some(Input::Operator(OperatorState::Drain)) = operator.map(|at| history[at]) {
        return TargetState::Draining;
    }
    let agent = last(&|input| matches!(input, Input::Agent(_) | Input::Restart));
    if let Some(Input::Agent(AgentState::Drain)) = agent.map(|at| history[at]) {
        return TargetState::Draining;
    }
    let marked = last(&|input| matches!(input, Input::Refused))
        > last(&|input| matches!(input, Input::Passed));
    match verdicts(history, healthy, unhealthy)[history.len()] {
        Some(false) => TargetState::Unhealthy,
        _ if marked => TargetState::Unhealthy,
        Some(true) => TargetState::Healthy,
        None => TargetState::Initial,
    }
}

/// What probes alone had decided after each input, and before the first.
fn verdicts(history: &[Input], healthy: usize, unhealthy: usize) -> Vec<Option<bool>> {
    let mut verdicts = vec![None];
    for (at, input) in history.iter().enumerate() {
        let before = verdicts[at];
        let streak = |passed| streak(&history[..=at], passed);
        verdicts.push(match input {
            Input::Failed { counted: true } if streak(false) >= unhealthy => Some(false),
            Input::Passed if before != Some(false) => Some(true),
            Input::Passed if streak(true) >= healthy => Some(true),
            Input::Passed if went_down_by_traffic(&history[..at], &verdicts) => Some(true),
            _ => before,
        });
    }
    verdicts
}

/// Results like the last one, in a row, since the probe last changed.
fn streak(history: &[Input], passed: bool) -> usize {
    let mut length = 0;
    for input in history.iter().rev() {
        match (input, passed) {
            (Input::Passed, true) | (Input::Failed { counted: true }, false) => length += 1,
            (Input::Passed, false) | (Input::Failed { counted: true }, true) => break,
            (Input::Restart, _) => break,
            _ => {}
        }
    }
    length
}

/// True when traffic was refused while probes did not find the target down, and no passed probe
/// has made it healthy since.
fn went_down_by_traffic(history: &[Input], verdicts: &[Option<bool>]) -> bool {
    for (at, input) in history.iter().enumerate().rev() {
        match input {
            // A pass that left it down leaves the question open; any other one closed it.
            Input::Passed if verdicts[at + 1] != Some(false) => return false,
            Input::Refused if verdicts[at] != Some(false) => return true,
            _ => {}
        }
    }
    false
}

#[test]
fn ten_thousand_histories_end_as_the_plain_model_says() {
    for seed in 0..HISTORIES {
        let mut random = SmallRng::seed_from_u64(seed);
        let (healthy, unhealthy) = (random.random_range(1..5), random.random_range(1..5));
        let mut play = Play::new(healthy, unhealthy);
        let mut history = Vec::new();
        let length = random.random_range(1..=LENGTH);
        for step in 0..length {
            let input = Input::random(&mut random);
            input.play(&mut play);
            history.push(input);
            // The model is quadratic: the ends of all histories, and every step of some.
            if step + 1 == length || seed % 50 == 0 {
                let state = play.machine.shown().state;
                let model = expected(&history, healthy as usize, unhealthy as usize);
                assert_eq!(
                    state, model,
                    "seed {seed}: {healthy}/{unhealthy} {history:?}"
                );
            }
        }
    }
}
