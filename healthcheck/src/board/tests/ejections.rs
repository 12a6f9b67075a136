//! Passive health at the board: ejected by what traffic came to, back by time alone.

use std::time::Duration;

use conf::{PassiveHealth, TrafficFailure, TrafficFailures};

use super::*;
use crate::{SlotId, TrafficOutcome};

const BAD: TrafficOutcome = TrafficOutcome::Failure(TrafficFailure::ServerError);
const GOOD: TrafficOutcome = TrafficOutcome::Success;

fn passive() -> PassiveHealth {
    PassiveHealth {
        failures: TrafficFailures::of(&TrafficFailure::ALL),
        consecutive_failures: 5,
        failure_percentage: 85,
        success_rate_deviation: 1900,
        minimum_requests: 50,
        minimum_targets: 5,
        interval: Duration::from_secs(10),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(300),
        ejection_jitter: Duration::ZERO,
        max_ejected_percentage: 50,
    }
}

fn four() -> ConfigText {
    ConfigText::group("app", &[A, B, C, D]).passive(passive())
}

const C: u16 = 3003;
const D: u16 = 3004;

/// Outcomes seen on a target, by both workers in turn.
fn traffic(board: &script::Running, port: u16, outcomes: &[TrafficOutcome]) -> SlotId {
    let (slot, signal) = board.slot("app", port);
    for (n, outcome) in outcomes.iter().enumerate() {
        let reporter = board.handle.reporter();
        reporter.observe(&signal, slot, n % 2, *outcome);
    }
    slot
}

async fn all_healthy(board: &script::Running) {
    for port in [A, B, C, D] {
        board.until("app", port, TargetState::Healthy).await;
    }
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_eject_at_once_and_time_alone_brings_back() {
    started(Script::passing(), async |board, _| {
        board.serve(four(), 1).await;
        all_healthy(board).await;
        traffic(board, A, &[BAD, BAD, BAD, BAD, GOOD, BAD, BAD, BAD, BAD]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        let began = Instant::now();
        traffic(board, A, &[BAD]);
        board.until("app", A, TargetState::Unhealthy).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        let target = board.target("app", A);
        assert_eq!(target.reason, Some(ReasonCode::Ejected));
        assert_eq!(target.source, Source::Passive);
        assert!(!target.probed_unhealthy, "flows go on");
        assert_eq!(
            &*target.description,
            "Ejected for 30.0 s (ejection 1): 5 failures in a row"
        );
        assert_eq!(board.group("app").healthy, 3);
        let details = board.handle.details("app", address(A)).await.unwrap();
        let passive = details.passive.unwrap();
        assert_eq!(passive.ejection, Some(1));
        assert_eq!(passive.failures_in_a_row, 5);
        assert!(
            details
                .next
                .starts_with("Its ejection ends in 30.0 s. It becomes unhealthy after")
        );
        sleep(Duration::from_millis(29_900)).await;
        let details = board.handle.details("app", address(A)).await.unwrap();
        assert!(details.passes > 3, "probes passed all the while");
        assert_eq!(board.target("app", A).state, TargetState::Unhealthy);
        board.until("app", A, TargetState::Healthy).await;
        assert_eq!(began.elapsed(), Duration::from_secs(30));
        traffic(board, A, &[BAD; 5]);
        board.until("app", A, TargetState::Unhealthy).await;
        sleep(Duration::from_secs(30)).await;
        board.until("app", A, TargetState::Healthy).await;
        assert_eq!(began.elapsed(), Duration::from_secs(90), "30 s, then 60 s");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn shares_are_looked_at_once_per_interval() {
    started(Script::passing(), async |board, _| {
        board.serve(four(), 1).await;
        all_healthy(board).await;
        let mut mostly_bad = [BAD; 60];
        mostly_bad
            .iter_mut()
            .step_by(4)
            .take(9)
            .for_each(|o| *o = GOOD);
        traffic(board, A, &mostly_bad[..40]);
        traffic(board, B, &[GOOD; 60]);
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        board.until("app", A, TargetState::Unhealthy).await;
        let said = board.target("app", A).description;
        assert!(said.contains("failures in a row"), "{said}");
    })
    .await;
    started(Script::passing(), async |board, _| {
        let mut passive = passive();
        passive.consecutive_failures = 0;
        let config = ConfigText::group("app", &[A, B, C, D]).passive(passive);
        board.serve(config, 1).await;
        all_healthy(board).await;
        traffic(board, A, &[BAD; 90]);
        traffic(board, A, &[GOOD; 10]);
        traffic(board, B, &[GOOD; 100]);
        sleep(Duration::from_secs(9)).await;
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        board.until("app", A, TargetState::Unhealthy).await;
        let said = board.target("app", A).description;
        assert!(said.ends_with("90 of 100 requests failed"), "{said}");
        board.until("app", A, TargetState::Healthy).await;
        sleep(Duration::from_secs(25)).await;
        let state = board.target("app", A).state;
        assert_eq!(
            state,
            TargetState::Healthy,
            "old counts are not counted again"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn limits_refuse_ejections_and_count_that() {
    started(Script::passing(), async |board, script| {
        board.serve(four(), 1).await;
        all_healthy(board).await;
        for port in [A, B, C] {
            traffic(board, port, &[BAD; 5]);
        }
        board.until("app", B, TargetState::Unhealthy).await;
        sleep(Duration::from_secs(1)).await;
        // It goes on failing: that asks again only after an interval.
        traffic(board, C, &[BAD; 50]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            board.target("app", C).state,
            TargetState::Healthy,
            "2 of 4 are out"
        );
        assert_eq!(board.group("app").healthy, 2);
        let text = metrics(board);
        assert!(text.contains("pointsman_targets_ejected app 2"), "{text}");
        let refused = "pointsman_ejections_refused_total max-ejected-percentage app 1";
        assert!(text.contains(refused), "{text}");
        let ejected = "pointsman_ejections_total consecutive-failures app 2";
        assert!(text.contains(ejected), "{text}");
        script.fail(C);
        script.fail(D);
        board.until("app", C, TargetState::Unhealthy).await;
        board.until("app", D, TargetState::Unhealthy).await;
        let state = |port| board.target("app", port).state;
        assert_eq!(
            [state(A), state(B)],
            [TargetState::Healthy; 2],
            "nobody else is left"
        );
        assert!(!board.group("app").fail_open);
        traffic(board, A, &[BAD; 5]);
        board.until("app", A, TargetState::Unhealthy).await;
        traffic(board, B, &[BAD; 5]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(state(B), TargetState::Healthy, "the last one stays");
        let text = metrics(board);
        assert!(
            text.contains("pointsman_ejections_refused_total too-few-left app 1"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_traffic_cannot_reach_again_and_again_is_ejected_though_probes_pass() {
    started(Script::passing(), async |board, _| {
        board.serve(four(), 1).await;
        all_healthy(board).await;
        for _ in 0..5 {
            sleep(Duration::from_secs(1)).await;
            board.report("app", A);
            traffic(
                board,
                A,
                &[TrafficOutcome::Failure(TrafficFailure::Connect)],
            );
        }
        sleep(Duration::from_secs(5)).await;
        let target = board.target("app", A);
        assert_eq!(target.reason, Some(ReasonCode::Ejected), "{target:?}");
        assert!(
            !board.signal("app", A).is_suspect(),
            "a probe cleared the mark"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_the_table_everybody_comes_back_and_nothing_is_counted() {
    started(Script::passing(), async |board, _| {
        board.serve(ConfigText::group("app", &[A, B]), 1).await;
        assert!(board.signal("app", A).traffic().is_none(), "nobody asked");
        board.serve(four(), 2).await;
        all_healthy(board).await;
        traffic(board, A, &[BAD; 5]);
        board.until("app", A, TargetState::Unhealthy).await;
        board
            .serve(ConfigText::group("app", &[A, B, C, D]), 3)
            .await;
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        traffic(board, A, &[BAD; 50]);
        sleep(Duration::from_secs(30)).await;
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        assert!(!metrics(board).contains("pointsman_targets_ejected"));
        board.serve(four(), 4).await;
        traffic(board, A, &[BAD; 5]);
        board.until("app", A, TargetState::Unhealthy).await;
        board
            .serve(ConfigText::group("app", &[B, C, D]).passive(passive()), 5)
            .await;
        board.serve(four(), 6).await;
        let state = board.target("app", A).state;
        assert_eq!(
            state,
            TargetState::Healthy,
            "registered again: a clean slate"
        );
    })
    .await;
}

/// Names, label values and values, a series a line.
fn metrics(board: &script::Running) -> String {
    let mut text = String::new();
    for family in board.handle.collect() {
        for metric in family.get_metric() {
            let labels = metric.get_label().iter().map(|label| label.value());
            let labels: Vec<_> = labels.collect();
            let value = metric.get_gauge().get_value() + metric.get_counter().get_value();
            text += &format!("{} {} {value}\n", family.name(), labels.join(" "));
        }
    }
    text
}
