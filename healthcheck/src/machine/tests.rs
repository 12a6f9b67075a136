//! The truth table, the thresholds, the mark; and what must hold after any history.

mod reference;

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::{Observation, OperatorState, Outcome, PassiveEvent, PassiveFailure, Phases};
use crate::{ReasonCode, SlotId, Source, TargetState};

const FAILED: Outcome = Outcome::CodeMismatch(503);

fn thresholds(healthy: u32, unhealthy: u32) -> Thresholds {
    Thresholds { healthy, unhealthy }
}

fn probe(outcome: Outcome, started: Instant) -> Observation {
    Observation {
        outcome,
        seen: "seen".into(),
        phases: Phases::default(),
        agent: None,
        started,
        ended: started,
    }
}

fn traffic(at: Instant) -> PassiveEvent {
    PassiveEvent {
        slot: SlotId(0),
        failure: PassiveFailure::Refused,
        at,
    }
}

/// A machine and a clock that moves a second before every input.
struct Play {
    machine: Machine,
    now: Instant,
}

impl Play {
    fn new(healthy: u32, unhealthy: u32) -> Self {
        Self {
            machine: Machine::new(thresholds(healthy, unhealthy), true),
            now: Instant::now(),
        }
    }

    fn tick(&mut self) -> Instant {
        self.now += Duration::from_secs(1);
        self.now
    }

    fn probes(&mut self, outcomes: &[Outcome]) -> TargetState {
        for &outcome in outcomes {
            let at = self.tick();
            self.machine.probe_began();
            self.machine.observe(&probe(outcome, at), true);
        }
        self.state()
    }

    fn mark(&mut self) -> TargetState {
        let at = self.tick();
        assert!(self.machine.mark(&traffic(at)));
        self.state()
    }

    fn state(&self) -> TargetState {
        self.machine.shown().state
    }
}

#[test]
fn a_new_target_needs_one_pass_and_later_ones_the_threshold() {
    let mut play = Play::new(3, 2);
    let reason = |play: &Play| play.machine.shown().reason;
    assert_eq!(reason(&play), Some(ReasonCode::RegistrationInProgress));
    play.machine.probe_began();
    assert_eq!(reason(&play), Some(ReasonCode::InitialHealthChecking));
    assert_eq!(play.probes(&[FAILED]), TargetState::Initial);
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Healthy);
    assert_eq!(reason(&play), None);
    assert_eq!(
        play.probes(&[FAILED, Outcome::Passed, FAILED]),
        TargetState::Healthy
    );
    assert_eq!(play.probes(&[FAILED]), TargetState::Unhealthy);
    assert_eq!(
        play.probes(&[Outcome::Passed, Outcome::Passed]),
        TargetState::Unhealthy
    );
    assert_eq!(
        play.probes(&[FAILED, Outcome::Passed, Outcome::Passed]),
        TargetState::Unhealthy
    );
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Healthy);
}

#[test]
fn an_initial_target_becomes_unhealthy_at_the_threshold() {
    let mut play = Play::new(2, 2);
    assert_eq!(
        play.probes(&[FAILED, Outcome::Void, FAILED]),
        TargetState::Unhealthy
    );
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Unhealthy);
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Healthy);
}

#[test]
fn failed_probes_give_elb_reasons_and_descriptions() {
    for (outcome, reason, description) in [
        (
            FAILED,
            ReasonCode::ResponseCodeMismatch,
            "Health checks failed with these codes: [503]",
        ),
        (Outcome::TimedOut, ReasonCode::Timeout, "Request timed out"),
        (
            Outcome::Failed,
            ReasonCode::FailedHealthChecks,
            "Health checks failed: seen",
        ),
    ] {
        let mut play = Play::new(2, 1);
        play.probes(&[outcome]);
        let shown = play.machine.shown();
        assert_eq!(shown.reason, Some(reason));
        assert_eq!(&*shown.description, description);
        assert_eq!(shown.source, Source::Probe);
    }
}

#[test]
fn a_mark_is_cleared_by_the_first_pass_begun_later_only() {
    let mut play = Play::new(3, 2);
    play.probes(&[Outcome::Passed]);
    let before = play.tick();
    assert_eq!(play.mark(), TargetState::Unhealthy);
    assert_eq!(play.machine.shown().source, Source::Passive);
    assert!(!play.machine.probed_unhealthy());
    let change = play.machine.observe(&probe(Outcome::Passed, before), true);
    assert_eq!(change, MarkChange::None);
    assert_eq!(play.state(), TargetState::Unhealthy);
    let after = play.tick();
    let change = play.machine.observe(&probe(Outcome::Passed, after), true);
    assert_eq!(change, MarkChange::Cleared);
    assert_eq!(play.state(), TargetState::Healthy);
}

#[test]
fn a_connect_that_timed_out_takes_a_target_down_only_when_the_probe_it_asks_for_fails_too() {
    for (outcome, change, state) in [
        (Outcome::Passed, MarkChange::Cleared, TargetState::Healthy),
        (FAILED, MarkChange::Set, TargetState::Unhealthy),
    ] {
        let mut play = Play::new(2, 2);
        play.probes(&[Outcome::Passed]);
        let before = play.tick();
        let timed_out = PassiveEvent {
            failure: PassiveFailure::ConnectTimeout,
            ..traffic(play.tick())
        };
        assert!(play.machine.mark(&timed_out));
        assert!(play.machine.wants_hurry());
        assert_eq!(play.state(), TargetState::Healthy);
        let early = play.machine.observe(&probe(outcome, before), false);
        assert_eq!(early, MarkChange::None);
        let at = play.tick();
        assert_eq!(play.machine.observe(&probe(outcome, at), false), change);
        assert_eq!(play.state(), state);
        assert_eq!(play.machine.wants_hurry(), change == MarkChange::Set);
    }
}

#[test]
fn a_target_down_through_the_mark_comes_back_at_once_though_probes_failed_too() {
    let mut play = Play::new(3, 2);
    play.probes(&[Outcome::Passed]);
    play.mark();
    play.probes(&[FAILED, FAILED, FAILED]);
    assert!(play.machine.probed_unhealthy());
    assert_eq!(play.machine.shown().source, Source::Probe);
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Healthy);
    assert!(!play.machine.probed_unhealthy());
}

#[test]
fn a_target_that_probes_took_down_needs_the_threshold_marked_or_not() {
    let mut play = Play::new(2, 2);
    play.probes(&[Outcome::Passed, FAILED, FAILED]);
    play.mark();
    assert!(!play.machine.wants_hurry());
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Unhealthy);
    assert!(!play.machine.is_suspect());
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Healthy);
}

#[test]
fn additional_probes_count_when_they_pass_and_not_when_they_fail() {
    let mut play = Play::new(2, 2);
    play.probes(&[Outcome::Passed]);
    play.mark();
    for _ in 0..10 {
        let at = play.tick();
        play.machine.observe(&probe(FAILED, at), false);
    }
    assert!(!play.machine.probed_unhealthy());
    let at = play.tick();
    let change = play.machine.observe(&probe(Outcome::Passed, at), false);
    assert_eq!(change, MarkChange::Cleared);
    assert_eq!(play.state(), TargetState::Healthy);
}

#[test]
fn an_ejection_is_laid_over_what_probes_find_and_they_do_not_end_it() {
    let mut play = Play::new(2, 2);
    play.probes(&[Outcome::Passed]);
    play.machine.eject("Ejected for 30.0 s".into());
    let shown = play.machine.shown();
    assert_eq!(shown.state, TargetState::Unhealthy);
    assert_eq!(shown.reason, Some(ReasonCode::Ejected));
    assert_eq!(shown.source, Source::Passive);
    assert!(!play.machine.probed_unhealthy() && !play.machine.wants_hurry());
    let kept = play.machine.recollection().unwrap();
    assert!(kept.healthy, "an ejection does not outlive the process");
    assert_eq!(play.probes(&[Outcome::Passed]), TargetState::Unhealthy);
    play.probes(&[FAILED, FAILED]);
    assert_eq!(play.machine.shown().source, Source::Probe);
    play.probes(&[Outcome::Passed, Outcome::Passed]);
    assert_eq!(play.machine.shown().reason, Some(ReasonCode::Ejected));
    play.machine.readmit();
    assert_eq!(play.state(), TargetState::Healthy);
}

#[test]
fn registration_and_operator_come_before_health() {
    let mut play = Play::new(2, 2);
    play.probes(&[Outcome::Passed]);
    play.machine.set_operator(OperatorState::Drain);
    let shown = play.machine.shown();
    assert_eq!(
        (shown.state, shown.source),
        (TargetState::Draining, Source::Operator)
    );
    assert_eq!(play.probes(&[FAILED, FAILED]), TargetState::Draining);
    play.machine.set_operator(OperatorState::Ready);
    assert_eq!(play.state(), TargetState::Unhealthy);

    let deadline = play.now + Duration::from_secs(30);
    play.machine.deregister(deadline);
    let shown = play.machine.shown();
    assert_eq!(
        (shown.state, shown.source),
        (TargetState::Draining, Source::Registration)
    );
    assert!(!play.machine.expire(deadline - Duration::from_millis(1)));
    play.machine.register(true);
    assert_eq!(
        play.state(),
        TargetState::Unhealthy,
        "adding it back keeps its health"
    );
    play.machine.deregister(deadline);
    assert!(play.machine.expire(deadline));
    assert_eq!(play.machine.shown().reason, Some(ReasonCode::NotRegistered));
    play.machine.register(true);
    assert_eq!(
        play.state(),
        TargetState::Initial,
        "after the delay it is a new one"
    );

    play.machine.register(false);
    assert_eq!(play.machine.shown().reason, Some(ReasonCode::NotInUse));
    play.machine.deregister(deadline);
    let reason = play.machine.shown().reason;
    assert_eq!(reason, Some(ReasonCode::NotRegistered), "nothing to drain");
}

#[test]
fn a_check_is_healthy_until_data_and_turns_symmetrically() {
    let mut check = CheckMachine::new(3);
    let now = Instant::now();
    let mut run = |outcomes: &[Outcome]| {
        for &outcome in outcomes {
            check.observe(&probe(outcome, now));
        }
        check.healthy()
    };
    let (pass, fail) = (Outcome::Passed, FAILED);
    assert!(run(&[fail, fail, pass, fail, Outcome::Void, fail]));
    assert!(!run(&[fail]));
    assert!(!run(&[pass, pass, fail, pass, pass]));
    assert!(run(&[pass]));
}

#[derive(Debug, Clone, Copy)]
enum Input {
    /// Whether it passed, seconds it took, whether it counts.
    Probe(bool, u64, bool),
    /// Seconds ago.
    Traffic(u64),
    Operator(bool),
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let probe = (any::<bool>(), 0..4u64, any::<bool>());
    let input = prop_oneof![
        6 => probe.prop_map(|(passed, took, counted)| Input::Probe(passed, took, counted)),
        2 => (0..4u64).prop_map(Input::Traffic),
        1 => any::<bool>().prop_map(Input::Operator),
    ];
    prop::collection::vec(input, 0..60)
}

proptest! {
    #[test]
    fn the_shown_state_agrees_with_the_history(
        inputs in inputs(),
        healthy in 1..4u32,
        unhealthy in 1..4u32,
    ) {
        let mut play = Play::new(healthy, unhealthy);
        let (mut last_mark, mut last_pass): (Option<Instant>, Option<Instant>) = (None, None);
        let mut failures = 0;
        let mut was_down = false;
        for input in inputs {
            let now = play.tick();
            match input {
                Input::Probe(true, took, counted) => {
                    let started = now - Duration::from_secs(took);
                    play.machine.observe(&probe(Outcome::Passed, started), counted);
                    if last_mark.is_none_or(|mark| started >= mark) {
                        last_pass = last_pass.max(Some(started));
                        failures = 0;
                    }
                }
                Input::Probe(false, took, counted) => {
                    let started = now - Duration::from_secs(took);
                    play.machine.observe(&probe(FAILED, started), counted);
                    failures += u32::from(counted);
                }
                Input::Traffic(ago) => {
                    let at = now - Duration::from_secs(ago);
                    if play.machine.mark(&traffic(at)) {
                        last_mark = last_mark.max(Some(at));
                    }
                }
                Input::Operator(drain) => play.machine.set_operator(if drain {
                    OperatorState::Drain
                } else {
                    OperatorState::Ready
                }),
            }
            let suspect = last_mark.is_some_and(|mark| last_pass.is_none_or(|pass| pass < mark));
            prop_assert_eq!(play.machine.is_suspect(), suspect);
            let down = play.machine.probed_unhealthy();
            prop_assert!(!down || was_down || failures >= unhealthy, "down without failures");
            prop_assert!(down || failures < unhealthy, "up in spite of failures");
            was_down = down;
            let drained = play.machine.operator() == OperatorState::Drain;
            let expected = if drained {
                TargetState::Draining
            } else if down || suspect {
                TargetState::Unhealthy
            } else if last_pass.is_some() {
                TargetState::Healthy
            } else {
                TargetState::Initial
            };
            prop_assert_eq!(play.state(), expected);
        }
    }
}
