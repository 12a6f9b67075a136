//! The machine against a plain model, over ten thousand seeded histories.
//!
//! The model keeps the whole history and works the state out anew after each input, from the words
//! of the truth table: no counters, nothing carried over but what happened. Inputs are all that a
//! machine can be told: probes, traffic, operator, agent, registration, configuration, and a restart
//! of this process, after which a new machine begins as the old one was left.

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
    /// A connect of traffic timed out.
    Doubted,
    Operator(OperatorState),
    Agent(AgentState),
    /// What traffic came to was an outlier.
    Ejected,
    /// That is over.
    Readmitted,
    /// The probe changed with the configuration.
    Restart,
    /// The thresholds did: (healthy, unhealthy).
    Thresholds(u32, u32),
    /// A configuration names the target; its group is in use, or not.
    Register {
        in_use: bool,
    },
    /// A configuration does not.
    Deregister,
    /// The deregistration delay is over, if one runs.
    Expire,
    /// This process ended and began anew.
    Reborn,
}

impl Input {
    fn random(random: &mut SmallRng) -> Self {
        let mut threshold = || random.random_range(1..5);
        let thresholds = Self::Thresholds(threshold(), threshold());
        match random.random_range(0..128) {
            0..35 => Self::Passed,
            35..65 => Self::Failed { counted: true },
            65..75 => Self::Failed { counted: false },
            75..79 => Self::Void,
            79..85 => Self::Refused,
            85..91 => Self::Doubted,
            91..94 => Self::Operator(OperatorState::Drain),
            94..98 => Self::Operator(OperatorState::Ready),
            98..100 => Self::Agent(AgentState::Drain),
            100..101 => Self::Agent(AgentState::Maintenance),
            101..104 => Self::Agent(AgentState::Ready),
            104..107 => Self::Restart,
            107..109 => thresholds,
            109..112 => Self::Register { in_use: true },
            112..113 => Self::Register { in_use: false },
            113..115 => Self::Deregister,
            115..117 => Self::Expire,
            117..121 => Self::Ejected,
            121..124 => Self::Readmitted,
            _ => Self::Reborn,
        }
    }

    fn play(self, play: &mut Play) {
        let now = play.tick();
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
            Self::Doubted => {
                let failure = PassiveFailure::ConnectTimeout;
                machine.mark(&PassiveEvent {
                    failure,
                    ..traffic(now)
                });
            }
            Self::Operator(state) => machine.set_operator(state),
            Self::Agent(state) => {
                let mut observation = probe(Outcome::Void, now);
                observation.agent = Some(AgentReport {
                    state: Some(state),
                    percent: None,
                    max_in_flight: None,
                });
                machine.observe(&observation, true);
            }
            Self::Ejected => machine.eject("outlier".into()),
            Self::Readmitted => machine.readmit(),
            Self::Restart => machine.restart_counts(),
            Self::Thresholds(healthy, unhealthy) => {
                machine.set_thresholds(thresholds(healthy, unhealthy));
            }
            Self::Register { in_use } => drop(machine.register(in_use)),
            Self::Deregister => machine.deregister(now),
            Self::Expire => drop(machine.expire(now)),
            Self::Reborn => reborn(machine),
        }
    }
}

/// What is saved and recalled, as the board does it. A target on its way out is not named by the
/// configuration that the next process reads.
fn reborn(machine: &mut Machine) {
    if !machine.is_probed() {
        return;
    }
    let mut new = Machine::new(machine.thresholds(), true);
    new.set_operator(machine.operator());
    new.obey_agent(machine.agent());
    if let Some(before) = machine.recollection() {
        new.recall(before);
    }
    *machine = new;
}

/// Where the target stands with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    InUse,
    NotInUse,
    Deregistering,
    Gone,
}

/// The model: what a history leads to.
struct Model<'h> {
    history: &'h [Input],
    /// The thresholds before the first input.
    first: (usize, usize),
    standing: Standing,
    /// The input after which health is unknown, or known from before a restart.
    fresh: usize,
    /// What was known then: the verdict, and whether the first pass brings it back.
    known: Option<(bool, bool)>,
    /// The input after which the operator has said nothing.
    new: usize,
}

impl<'h> Model<'h> {
    fn new(history: &'h [Input], first: (usize, usize)) -> Self {
        let mut model = Self {
            history: &[],
            first,
            standing: Standing::InUse,
            fresh: 0,
            known: None,
            new: 0,
        };
        for (at, input) in history.iter().enumerate() {
            model.stand(*input, at + 1);
            model.history = &history[..=at];
        }
        model
    }

    /// Registration, by ELB's rules; `next` is the place after this input.
    fn stand(&mut self, input: Input, next: usize) {
        use Standing::{Deregistering, Gone, InUse, NotInUse};
        let forget = |model: &mut Self| (model.fresh, model.known) = (next, None);
        self.standing = match (input, self.standing) {
            (Input::Register { in_use }, before) => {
                if before == Gone {
                    self.new = next;
                }
                let is_known = match before {
                    InUse | Deregistering => in_use,
                    NotInUse => !in_use,
                    Gone => false,
                };
                if !is_known {
                    forget(self);
                }
                if in_use { InUse } else { NotInUse }
            }
            (Input::Deregister, InUse) => Deregistering,
            (Input::Deregister, NotInUse) | (Input::Expire, Deregistering) => Gone,
            (Input::Reborn, InUse) => {
                let down_at_once = self.verdict() != Some(false) || self.went_down_by_traffic();
                let known = match self.health() {
                    TargetState::Healthy => Some((true, false)),
                    TargetState::Unhealthy => Some((false, down_at_once)),
                    _ => None,
                };
                // Marks by traffic alone on a target that probes had not decided on are not kept.
                (self.known, self.fresh) = (known.filter(|_| self.verdict().is_some()), next);
                InUse
            }
            (_, before) => before,
        };
    }

    fn state(&self) -> TargetState {
        match self.standing {
            Standing::Gone | Standing::NotInUse => return TargetState::Unused,
            Standing::Deregistering => return TargetState::Draining,
            Standing::InUse => {}
        }
        let said = self.history[self.new..].iter().rev();
        let operator = said.clone().find_map(|input| match input {
            Input::Operator(state) => Some(*state),
            _ => None,
        });
        // Known across a restart of the process, forgotten with the probe and with the target.
        let agent = said.enumerate().find_map(|(back, input)| match input {
            Input::Agent(state) => Some(*state),
            Input::Restart => Some(AgentState::Ready),
            Input::Register { .. } if self.forgot(self.history.len() - back) => {
                Some(AgentState::Ready)
            }
            _ => None,
        });
        if operator == Some(OperatorState::Drain)
            || agent.is_some_and(|agent| agent != AgentState::Ready)
        {
            return TargetState::Draining;
        }
        match self.is_ejected() {
            true => TargetState::Unhealthy,
            false => self.health(),
        }
    }

    /// True when the input before `next` began the target anew.
    fn forgot(&self, next: usize) -> bool {
        let model = Model::new(&self.history[..next], self.first);
        model.fresh == next
    }

    fn health(&self) -> TargetState {
        match self.verdict() {
            Some(false) => TargetState::Unhealthy,
            _ if self.is_marked() => TargetState::Unhealthy,
            Some(true) => TargetState::Healthy,
            None => TargetState::Initial,
        }
    }

    /// True while an ejection lies over what probes find: it ends with its time, with the target's
    /// registration and with this process.
    fn is_ejected(&self) -> bool {
        let history = self.history.iter().enumerate().rev();
        let last = history.map(|(at, input)| match input {
            Input::Ejected => {
                let then = Model::new(&self.history[..at], self.first);
                Some(then.standing == Standing::InUse)
            }
            Input::Readmitted | Input::Deregister | Input::Reborn => Some(false),
            Input::Register { .. } if self.forgot(at + 1) => Some(false),
            _ => None,
        });
        last.flatten().next().unwrap_or(false)
    }

    /// The inputs that health follows from.
    fn own(&self) -> &'h [Input] {
        &self.history[self.fresh.min(self.history.len())..]
    }

    /// Traffic was refused, or a connect timed out and a probe failed after it; and no probe has
    /// passed since.
    fn is_marked(&self) -> bool {
        let own = self.own();
        (0..own.len()).any(|at| marks(own, at) && !own[at..].iter().any(is_pass))
    }

    fn verdict(&self) -> Option<bool> {
        self.verdicts().pop().flatten()
    }

    /// What probes alone had decided after each input, and before the first.
    fn verdicts(&self) -> Vec<Option<bool>> {
        let own = self.own();
        let mut verdicts = vec![self.known.map(|(verdict, _)| verdict)];
        for (at, input) in own.iter().enumerate() {
            let before = verdicts[at];
            let (healthy, unhealthy) = self.thresholds(self.fresh + at);
            let streak = |passed| streak(&own[..=at], passed);
            verdicts.push(match input {
                Input::Failed { counted: true } if streak(false) >= unhealthy => Some(false),
                Input::Passed if before != Some(false) => Some(true),
                Input::Passed if streak(true) >= healthy => Some(true),
                Input::Passed if self.went_down(&own[..at], &verdicts) => Some(true),
                _ => before,
            });
        }
        verdicts
    }

    /// The thresholds in force for the input at `at`.
    fn thresholds(&self, at: usize) -> (usize, usize) {
        let given = self.history[..at]
            .iter()
            .rev()
            .find_map(|input| match input {
                Input::Thresholds(healthy, unhealthy) => {
                    Some((*healthy as usize, *unhealthy as usize))
                }
                _ => None,
            });
        given.unwrap_or(self.first)
    }

    fn went_down_by_traffic(&self) -> bool {
        self.went_down(self.own(), &self.verdicts())
    }

    /// True when traffic marked the target while probes did not find it down, and no passed probe
    /// has made it healthy since.
    fn went_down(&self, own: &[Input], verdicts: &[Option<bool>]) -> bool {
        for (at, input) in own.iter().enumerate().rev() {
            let (before, after) = (verdicts[at], verdicts[at + 1]);
            match input {
                // A pass that left it down leaves the question open; any other one closed it.
                Input::Passed if after != Some(false) => return false,
                // The failed probe that confirms a doubt is counted first.
                _ if marks(own, at) && (before != Some(false) && after != Some(false)) => {
                    return true;
                }
                _ => {}
            }
        }
        self.known.is_some_and(|(_, at_once)| at_once)
    }
}

fn is_pass(input: &Input) -> bool {
    matches!(input, Input::Passed)
}

/// True when the input at `at` shows that nobody listens: a refusal, or a failed probe after a
/// connect that timed out, with no passed one between them.
fn marks(own: &[Input], at: usize) -> bool {
    match own[at] {
        Input::Refused => true,
        Input::Failed { .. } => {
            let before = own[..at].iter().rev();
            let since_pass = before.take_while(|input| !is_pass(input));
            since_pass
                .into_iter()
                .any(|input| matches!(input, Input::Doubted))
        }
        _ => false,
    }
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

#[test]
fn ten_thousand_histories_end_as_the_plain_model_says() {
    for seed in 0..HISTORIES {
        let mut random = SmallRng::seed_from_u64(seed);
        let (healthy, unhealthy) = (random.random_range(1..5), random.random_range(1..5));
        let first = (healthy as usize, unhealthy as usize);
        let mut play = Play::new(healthy, unhealthy);
        let mut history = Vec::new();
        let length = random.random_range(1..=LENGTH);
        for step in 0..length {
            let input = Input::random(&mut random);
            input.play(&mut play);
            history.push(input);
            // The model is slow: the ends of all histories, and every step of some.
            if step + 1 == length || seed % 50 == 0 {
                let state = play.machine.shown().state;
                let model = Model::new(&history, first).state();
                assert_eq!(
                    state, model,
                    "seed {seed}: {healthy}/{unhealthy} {history:?}"
                );
            }
        }
    }
}
