//! The board with a scripted prober on a paused clock.

mod anomalies;
mod checks;
mod config;
mod controls;
mod ejections;
mod memory;
mod script;
mod slots;
mod slow_start;

use std::sync::Arc;
use std::time::Duration;

use config::{ConfigText, address};
use script::{Script, started};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep};

use crate::probe::Network;
use crate::{
    HealthTable, OperatorState, PassiveEvent, PassiveFailure, ReasonCode, Source, TargetState,
};

const A: u16 = 3001;
const B: u16 = 3002;

#[tokio::test(start_paused = true)]
async fn a_new_target_is_healthy_after_its_first_passed_probe() {
    started(Script::passing(), async |board, _| {
        let table = board.serve(ConfigText::group("app", &[A, B]), 1).await;
        assert_eq!(table.config_generation(), 1);
        let target = board.target("app", A);
        assert_eq!(target.state, TargetState::Initial);
        assert_eq!(target.reason, Some(ReasonCode::RegistrationInProgress));
        board.until("app", A, TargetState::Healthy).await;
        board.until("app", B, TargetState::Healthy).await;
        let group = board.group("app");
        assert_eq!((group.registered, group.healthy), (2, 2));
        assert!(group.dns_healthy && !group.fail_open);
        let details = board.handle.details("app", address(A)).await.unwrap();
        assert_eq!(details.observations[0].result, "passed");
        assert_eq!(&*board.target("app", A).description, "HTTP/1.1 200 OK");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_group_opens_and_closes_again() {
    started(Script::failing(), async |board, script| {
        board.serve(ConfigText::group("app", &[A, B]), 1).await;
        board.until("app", A, TargetState::Unhealthy).await;
        board.until("app", B, TargetState::Unhealthy).await;
        let target = board.target("app", A);
        assert_eq!(target.reason, Some(ReasonCode::FailedHealthChecks));
        assert_eq!(
            &*target.description,
            "Health checks failed: connection refused"
        );
        assert!(target.probed_unhealthy);
        assert!(board.group("app").fail_open);
        script.pass(A);
        board.until("app", A, TargetState::Healthy).await;
        assert!(!board.group("app").fail_open);
        assert_eq!(board.group("app").healthy, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn doubt_is_settled_at_the_fast_interval() {
    started(Script::passing(), async |board, script| {
        let fast = Duration::from_millis(500);
        let config = ConfigText::group("app", &[A]).unhealthy_threshold(3);
        board.serve(config.fast_interval(fast), 1).await;
        board.until("app", A, TargetState::Healthy).await;
        sleep(Duration::from_secs(11)).await;
        let calm = gaps(&script.starts(A));
        assert!(
            calm.iter().all(|gap| *gap > Duration::from_secs(4)),
            "{calm:?}"
        );
        script.fail(A);
        let failed = Instant::now();
        board.until("app", A, TargetState::Unhealthy).await;
        let taken = failed.elapsed();
        assert!(
            taken < Duration::from_secs(5 + 2),
            "{taken:?} for 3 failures at 5 s"
        );
        script.pass(A);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        let starts = script.starts(A);
        let gaps = gaps(&starts[starts.len() - 4..]);
        assert!(
            gaps.iter().all(|gap| *gap > Duration::from_secs(4)),
            "calm again: {gaps:?}"
        );
    })
    .await;
}

fn gaps(starts: &[Instant]) -> Vec<Duration> {
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn traffic_takes_a_target_down_at_once_and_a_later_probe_brings_it_back() {
    started(Script::passing(), async |board, script| {
        board.serve(ConfigText::group("app", &[A]), 1).await;
        board.until("app", A, TargetState::Healthy).await;
        sleep(Duration::from_secs(1)).await;
        script.fail(A);
        let began = Instant::now();
        let weighed = board.handle.set_weight("app", address(A), Some(2)).await;
        weighed.expect("published just now: the next news that is not urgent waits");
        board.report("app", A);
        board.until("app", A, TargetState::Unhealthy).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "passive events are urgent");
        let target = board.target("app", A);
        assert_eq!(target.source, Source::Passive);
        assert!(!target.probed_unhealthy);
        assert!(board.signal("app", A).is_suspect());
        sleep(Duration::from_millis(300)).await;
        let probes = script.starts(A).into_iter().filter(|&at| at >= began);
        assert!(probes.count() >= 2, "an immediate probe, and more soon");
        assert!(
            !board.target("app", A).probed_unhealthy,
            "at the grid's pace only"
        );
        script.pass(A);
        let passed = Instant::now();
        board.until("app", A, TargetState::Healthy).await;
        assert!(passed.elapsed() <= Duration::from_secs(1));
        assert!(!board.signal("app", A).is_suspect());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_mark_older_than_a_passed_probe_is_refuted() {
    started(Script::passing(), async |board, _| {
        board.serve(ConfigText::group("app", &[A]), 1).await;
        let early = Instant::now() - Duration::from_secs(1);
        board.until("app", A, TargetState::Healthy).await;
        let (slot, signal) = board.slot("app", A);
        let failure = PassiveFailure::Refused;
        let event = PassiveEvent {
            slot,
            failure,
            at: early,
        };
        board.handle.reporter().report(&signal, event);
        sleep(Duration::from_millis(60)).await;
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        assert!(!signal.is_suspect());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_mark_does_not_outlive_the_use_of_its_group() {
    started(Script::passing(), async |board, script| {
        board.serve(ConfigText::group("app", &[A]), 1).await;
        board.until("app", A, TargetState::Healthy).await;
        script.fail(A);
        board.report("app", A);
        board.until("app", A, TargetState::Unhealthy).await;
        let unused = ConfigText::group("app", &[A]).without_listener();
        board.serve(unused, 2).await;
        script.pass(A);
        board.serve(ConfigText::group("app", &[A]), 3).await;
        board.until("app", A, TargetState::Healthy).await;
        assert!(
            !board.signal("app", A).is_suspect(),
            "workers would skip it for ever"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_operator_drains_and_weighs_across_reloads() {
    started(Script::passing(), async |board, _| {
        board.serve(ConfigText::group("app", &[A, B]), 1).await;
        board.until("app", B, TargetState::Healthy).await;
        let handle = &board.handle;
        let drained = handle.set_operator("app", address(A), OperatorState::Drain);
        let generation = drained.await.unwrap();
        assert!(handle.table().generation() >= generation);
        let target = board.target("app", A);
        assert_eq!(target.state, TargetState::Draining);
        assert_eq!(target.source, Source::Operator);
        assert!(target.registered && target.deadline.is_none());
        assert_eq!(board.group("app").healthy, 1);
        handle.set_weight("app", address(A), Some(7)).await.unwrap();
        board.serve(ConfigText::group("app", &[A, B]), 2).await;
        assert_eq!(board.target("app", A).state, TargetState::Draining);
        assert_eq!(board.target("app", A).weight, 7);
        handle.set_weight("app", address(A), None).await.unwrap();
        assert_eq!(board.target("app", A).weight, 1);
        handle
            .set_operator("app", address(A), OperatorState::Ready)
            .await
            .unwrap();
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        let unknown = handle
            .set_operator("app", address(9), OperatorState::Drain)
            .await;
        assert_eq!(
            unknown.unwrap_err().to_string(),
            "no target 127.0.0.1:9 is registered in group app"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_target_drains_for_its_delay_and_is_then_unused() {
    started(Script::passing(), async |board, script| {
        board.serve(ConfigText::group("app", &[A, B]), 1).await;
        board.until("app", B, TargetState::Healthy).await;
        board
            .handle
            .set_weight("app", address(B), Some(9))
            .await
            .unwrap();
        let (slot, _) = board.slot("app", B);
        board.serve(ConfigText::group("app", &[A]), 2).await;
        let began = Instant::now();
        let read = || board.handle.table().target(slot).cloned().unwrap();
        assert_eq!(read().state, TargetState::Draining);
        assert_eq!(read().deadline, Some(began + Duration::from_secs(30)));
        assert!(!read().registered);
        assert_eq!(board.group("app").registered, 1);
        let probes = script.starts(B).len();
        sleep(Duration::from_secs(29)).await;
        assert_eq!(read().state, TargetState::Draining);
        assert_eq!(script.starts(B).len(), probes, "no probes while it drains");
        let refused = board
            .handle
            .set_operator("app", address(B), OperatorState::Drain);
        assert!(refused.await.is_err());
        sleep(Duration::from_secs(2)).await;
        assert_eq!(read().state, TargetState::Unused);
        assert_eq!(read().reason, Some(ReasonCode::NotRegistered));
        board.serve(ConfigText::group("app", &[A, B]), 3).await;
        assert_eq!(
            board.slot("app", B).0,
            slot,
            "nobody acknowledged: the same place"
        );
        assert_eq!(read().state, TargetState::Initial, "as a new one");
        assert_eq!(read().weight, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_target_drains_for_its_interval_unless_it_recovers() {
    started(Script::passing(), async |board, script| {
        let interval = Duration::from_secs(30);
        let config = || ConfigText::group("app", &[A, B]).draining(interval);
        board.serve(config(), 1).await;
        board.until("app", A, TargetState::Healthy).await;
        board.until("app", B, TargetState::Healthy).await;
        script.fail(A);
        board.until("app", A, TargetState::UnhealthyDraining).await;
        let target = board.target("app", A);
        assert!(target.probed_unhealthy && target.registered);
        assert_eq!(target.reason, Some(ReasonCode::FailedHealthChecks));
        assert_eq!(target.deadline, Some(Instant::now() + interval));
        assert_eq!(board.group("app").healthy, 1);
        sleep(Duration::from_secs(29)).await;
        let state = board.target("app", A).state;
        assert_eq!(
            state,
            TargetState::UnhealthyDraining,
            "failed probes do not move its end"
        );
        sleep(Duration::from_secs(2)).await;
        assert_eq!(board.target("app", A).state, TargetState::Unhealthy);
        script.pass(A);
        board.until("app", A, TargetState::Healthy).await;
        script.fail(A);
        board.until("app", A, TargetState::UnhealthyDraining).await;
        script.pass(A);
        board.until("app", A, TargetState::Healthy).await;
        sleep(interval * 2).await;
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        script.fail(A);
        board.until("app", A, TargetState::UnhealthyDraining).await;
        board.serve(ConfigText::group("app", &[A, B]), 2).await;
        assert_eq!(
            board.target("app", A).state,
            TargetState::Unhealthy,
            "by reload"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn adding_a_target_back_cancels_its_deregistration() {
    started(Script::passing(), async |board, script| {
        board.serve(ConfigText::group("app", &[A, B]), 1).await;
        board.until("app", B, TargetState::Healthy).await;
        board.serve(ConfigText::group("app", &[A]), 2).await;
        sleep(Duration::from_secs(10)).await;
        let probes = script.starts(B).len();
        board.serve(ConfigText::group("app", &[A, B]), 3).await;
        assert_eq!(board.target("app", B).state, TargetState::Healthy);
        sleep(Duration::from_secs(40)).await;
        assert_eq!(board.target("app", B).state, TargetState::Healthy);
        assert!(script.starts(B).len() > probes + 6, "probed again");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_group_nobody_uses_is_not_probed() {
    started(Script::passing(), async |board, script| {
        let unused = ConfigText::group("app", &[A]).without_listener();
        board.serve(unused, 1).await;
        sleep(Duration::from_secs(20)).await;
        let target = board.target("app", A);
        assert_eq!(target.state, TargetState::Unused);
        assert_eq!(target.reason, Some(ReasonCode::NotInUse));
        assert!(script.starts(A).is_empty());
        board.serve(ConfigText::group("app", &[A]), 2).await;
        assert_eq!(board.target("app", A).state, TargetState::Initial);
        board.until("app", A, TargetState::Healthy).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_thread_makes_running_probes_void() {
    started(Script::failing(), async |board, script| {
        script.take(Duration::from_secs(1));
        let strict = ConfigText::group("app", &[A]).unhealthy_threshold(1);
        board.serve(strict, 1).await;
        sleep(Duration::from_millis(500)).await;
        tokio::time::advance(Duration::from_millis(1500)).await;
        sleep(Duration::from_millis(100)).await;
        let details = board.handle.details("app", address(A)).await.unwrap();
        assert_eq!(details.observations[0].result, "void");
        assert_eq!(details.state, TargetState::Initial);
        board.until("app", A, TargetState::Unhealthy).await;
    })
    .await;
}

/// A target whose first probe was void once stayed `initial` for a whole interval.
#[tokio::test(start_paused = true)]
async fn a_void_probe_is_made_again_within_a_second() {
    started(Script::passing(), async |board, script| {
        script.take(Duration::from_secs(1));
        let seldom = ConfigText::group("app", &[A]).interval(Duration::from_secs(3600));
        board.serve(seldom, 1).await;
        sleep(Duration::from_millis(500)).await;
        tokio::time::advance(Duration::from_millis(1500)).await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(board.target("app", A).state, TargetState::Initial);
        let void = Instant::now();
        board.until("app", A, TargetState::Healthy).await;
        let took = void.elapsed();
        assert!(took <= Duration::from_secs(2), "{took:?}");
        // From then on it is probed once in an interval again.
        sleep(Duration::from_secs(3000)).await;
        assert_eq!(script.starts(A).len(), 2);
    })
    .await;
}

/// On a machine that is always late they would only make it later.
#[tokio::test(start_paused = true)]
async fn a_void_probe_of_a_target_that_is_known_waits_for_its_turn() {
    started(Script::passing(), async |board, script| {
        let seldom = ConfigText::group("app", &[A]).interval(Duration::from_secs(3600));
        board.serve(seldom, 1).await;
        board.until("app", A, TargetState::Healthy).await;
        script.take(Duration::from_secs(1));
        while script.starts(A).len() < 2 {
            sleep(Duration::from_millis(100)).await;
        }
        tokio::time::advance(Duration::from_millis(1500)).await;
        sleep(Duration::from_secs(3000)).await;
        let details = board.handle.details("app", address(A)).await.unwrap();
        assert_eq!(details.observations[0].result, "void");
        assert_eq!(script.starts(A).len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn news_is_coalesced_under_load_and_published_at_once_when_quiet() {
    started(Script::passing(), async |board, script| {
        let ports: Vec<u16> = (4000..5000).collect();
        board.serve(ConfigText::group("app", &ports), 1).await;
        let first = board.handle.table().generation();
        let began = Instant::now();
        board.until("app", 4999, TargetState::Healthy).await;
        let took = began.elapsed();
        let published = board.handle.table().generation() - first;
        let most = took.as_millis() as u64 / 50 + 2;
        assert!(published <= most, "{published} tables in {took:?}");
        board.until("app", 4999, TargetState::Healthy).await;
        sleep(Duration::from_secs(20)).await;
        script.fail(4000);
        board.until("app", 4000, TargetState::Unhealthy).await;
        let seen = Instant::now();
        let last = script.starts(4000).into_iter().max().unwrap();
        assert!(
            seen - last <= Duration::from_millis(1),
            "at once when quiet"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_targets_are_probed_at_their_interval_and_publish_only_news() {
    let ports: Vec<u16> = (20_000..30_000).collect();
    started(Script::passing(), async |board, script| {
        board.serve(ConfigText::group("app", &ports), 1).await;
        sleep(Duration::from_secs(4)).await;
        let settled = board.handle.table().generation();
        sleep(Duration::from_secs(12)).await;
        assert_eq!(board.group("app").healthy, 10_000);
        assert_eq!(
            board.handle.table().generation(),
            settled,
            "nothing changed"
        );
        for &port in &ports {
            let starts = script.starts(port);
            assert!((3..=4).contains(&starts.len()), "{port}: {}", starts.len());
            let gaps = starts.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(
                gaps.into_iter()
                    .all(|gap| gap <= Duration::from_millis(5250))
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_probe_counts_anew_and_results_of_the_old_one_do_not_count() {
    started(Script::failing(), async |board, script| {
        script.take(Duration::from_secs(1));
        board.serve(ConfigText::group("app", &[A]), 1).await;
        sleep(Duration::from_millis(500)).await;
        board
            .serve(ConfigText::group("app", &[A]).probed_at(B), 2)
            .await;
        script.pass(B);
        sleep(Duration::from_secs(1)).await;
        let details = board.handle.details("app", address(A)).await.unwrap();
        assert_eq!((details.failures, details.observations.len()), (0, 0));
        board.until("app", A, TargetState::Healthy).await;
        assert_eq!(script.starts(A).len(), 1);
    })
    .await;
}

/// The whole way with real sockets and a real clock.
#[tokio::test]
async fn a_service_that_stops_and_starts_again_is_seen_through_real_sockets() {
    let listen = |port| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address(port)).unwrap();
        socket.listen(8).unwrap()
    };
    let listener = listen(0);
    let port = listener.local_addr().unwrap().port();
    started(Arc::new(Network), async |board, _| {
        let quick = Duration::from_millis(100);
        let config = ConfigText::group("app", &[port]).interval(quick);
        board.serve(config, 1).await;
        board.until("app", port, TargetState::Healthy).await;
        drop(listener);
        board.report("app", port);
        board.until("app", port, TargetState::Unhealthy).await;
        let mut tables = board.handle.subscribe();
        let slot = board.slot("app", port).0;
        let down = |t: &Arc<HealthTable>| t.target(slot).unwrap().probed_unhealthy;
        tables.wait_for(down).await.unwrap();
        assert_eq!(
            &*board.target("app", port).description,
            "Health checks failed: connection refused"
        );
        let _again = listen(port);
        board.until("app", port, TargetState::Healthy).await;
        assert!(!board.signal("app", port).is_suspect());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_standalone_check_is_healthy_until_its_threshold_and_back() {
    started(Script::failing(), async |board, script| {
        board.serve(ConfigText::check("eu-up", A, 3), 1).await;
        let id = board.slots().check("eu-up").unwrap();
        let healthy = || board.handle.table().check(id).unwrap().healthy;
        assert!(healthy());
        let mut tables = board.handle.subscribe();
        let began = Instant::now();
        tables
            .wait_for(|t| !t.check(id).unwrap().healthy)
            .await
            .unwrap();
        assert_eq!(script.starts(A).len(), 3);
        assert!(began.elapsed() > Duration::from_secs(18));
        let details = board.handle.check_details("eu-up").await.unwrap();
        assert_eq!(
            details.next,
            "It becomes healthy after 3 passed probes in a row: 0 of 3 so far."
        );
        script.pass(A);
        tables
            .wait_for(|t| t.check(id).unwrap().healthy)
            .await
            .unwrap();
        assert_eq!(script.starts(A).len(), 6);
        board.serve(ConfigText::group("app", &[A]), 2).await;
        assert!(board.slots().check("eu-up").is_none());
        assert!(board.handle.check_details("none").await.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn details_say_what_would_change_the_state() {
    started(Script::failing(), async |board, script| {
        board.serve(ConfigText::group("app", &[A]), 1).await;
        board.until("app", A, TargetState::Unhealthy).await;
        script.pass(A);
        sleep(Duration::from_millis(5200)).await;
        let details = board.handle.details("app", address(A)).await.unwrap();
        assert_eq!(
            details.next,
            "It becomes healthy after 2 passed probes in a row: 1 of 2 so far."
        );
        assert!(details.next_probe_ms.is_some_and(|ms| ms <= 5250));
        assert_eq!(details.observations.len(), 3);
        let json = serde_json::to_value(&details).unwrap();
        assert_eq!(json["state"], "unhealthy");
        assert_eq!(json["reason"], "Target.FailedHealthChecks");
        assert_eq!(json["observations"][1]["seen"], "connection refused");
        assert_eq!(json["healthy-threshold"], 2);
        let groups = board.handle.groups();
        assert_eq!(&*groups[0].name, "app");
        assert_eq!(groups[0].targets[0].0, address(A));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn metrics_show_states_transitions_and_durations() {
    started(Script::passing(), async |board, _| {
        board.serve(ConfigText::group("app", &[A]), 1).await;
        board.until("app", A, TargetState::Healthy).await;
        let mut text = String::new();
        let encoder = prometheus::TextEncoder::new();
        encoder.encode_utf8(&board.handle.collect(), &mut text).unwrap();
        for line in [
            r#"pointsman_target_health{state="healthy",target="127.0.0.1:3001",target_group="app"} 1"#,
            r#"pointsman_target_health{state="initial",target="127.0.0.1:3001",target_group="app"} 0"#,
            r#"pointsman_health_transitions_total{reason="",target_group="app",to="healthy"} 1"#,
            r#"pointsman_health_check_duration_seconds_count{protocol="tcp",result="passed"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_board_and_commands_after_it_answer_as_an_empty_one() {
    started(Script::passing(), async |board, script| {
        board.serve(ConfigText::group("app", &[A]), 1).await;
        board.handle.shutdown().await;
        let probes = script.starts(A).len();
        sleep(Duration::from_secs(30)).await;
        assert_eq!(script.starts(A).len(), probes);
        assert!(board.handle.details("app", address(A)).await.is_none());
        board.handle.shutdown().await;
    })
    .await;
}
