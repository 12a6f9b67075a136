//! Who begins slowly, by ELB's rules; and whose health counts when a group has zones.

use std::time::Duration;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const C: u16 = 3003;

fn config(ports: &[u16]) -> ConfigText {
    ConfigText::group("app", ports).slow_start(MINUTE)
}

async fn healthy(board: &script::Running, ports: &[u16]) {
    for &port in ports {
        board.until("app", port, TargetState::Healthy).await;
    }
}

fn share(board: &script::Running, port: u16) -> u8 {
    board.target("app", port).share(MINUTE, Instant::now())
}

#[tokio::test(start_paused = true)]
async fn those_that_come_together_into_an_empty_group_have_it_all_at_once() {
    started(Script::passing(), async |board, _| {
        board.serve(config(&[A, B]), 1).await;
        healthy(board, &[A, B]).await;
        assert_eq!([share(board, A), share(board, B)], [100, 100]);
        board.serve(config(&[A, B, C]), 2).await;
        board.until("app", C, TargetState::Healthy).await;
        assert_eq!([share(board, A), share(board, C)], [100, 1]);
        sleep(MINUTE / 2).await;
        assert_eq!(share(board, C), 50);
        sleep(MINUTE / 2).await;
        assert_eq!(share(board, C), 100);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_target_begins_anew_with_each_recovery_beside_a_settled_one() {
    started(Script::passing(), async |board, script| {
        board.serve(config(&[A, B]), 1).await;
        healthy(board, &[A, B]).await;
        script.fail(A);
        board.until("app", A, TargetState::Unhealthy).await;
        script.pass(A);
        board.until("app", A, TargetState::Healthy).await;
        assert_eq!([share(board, A), share(board, B)], [1, 100]);
        sleep(MINUTE / 4).await;
        assert_eq!(share(board, A), 25);
        // The settled one goes: what grows is no ground for another to begin slowly.
        script.fail(B);
        board.until("app", B, TargetState::Unhealthy).await;
        script.pass(B);
        board.until("app", B, TargetState::Healthy).await;
        assert_eq!(share(board, B), 100, "nobody else was settled");
        assert!(share(board, A) < 100);
        script.fail(A);
        board.until("app", A, TargetState::Unhealthy).await;
        script.pass(A);
        board.until("app", A, TargetState::Healthy).await;
        assert_eq!(share(board, A), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_zone_s_targets_are_probed_and_count_for_nothing() {
    started(Script::passing(), async |board, script| {
        board.serve(config(&[A, B, C]).zone_from(C), 1).await;
        healthy(board, &[A, B, C]).await;
        let group = board.group("app");
        assert_eq!((group.registered, group.healthy), (2, 2));
        script.fail(A);
        script.fail(B);
        board.until("app", A, TargetState::Unhealthy).await;
        board.until("app", B, TargetState::Unhealthy).await;
        assert!(board.group("app").fail_open, "whatever C says");
        assert_eq!(board.target("app", C).state, TargetState::Healthy);
        script.pass(A);
        board.until("app", A, TargetState::Healthy).await;
        assert_eq!(share(board, A), 100, "the settled one is elsewhere");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn turning_it_on_changes_nothing_for_the_healthy_and_a_drain_is_no_illness() {
    started(Script::passing(), async |board, _| {
        board.serve(ConfigText::group("app", &[A, B]), 1).await;
        healthy(board, &[A, B]).await;
        board.serve(config(&[A, B]), 2).await;
        assert_eq!([share(board, A), share(board, B)], [100, 100]);
        let drain = OperatorState::Drain;
        board
            .handle
            .set_operator("app", address(A), drain)
            .await
            .unwrap();
        assert_eq!(board.target("app", A).state, TargetState::Draining);
        let ready = OperatorState::Ready;
        board
            .handle
            .set_operator("app", address(A), ready)
            .await
            .unwrap();
        assert_eq!(board.target("app", A).state, TargetState::Healthy);
        assert_eq!(share(board, A), 100);
    })
    .await;
}
