//! Restarts: a board that ends, and another that begins with what it saved.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;

use super::config::{ConfigText, address};
use super::script::{Script, remembering};
use crate::{MemorySettings, OperatorState, ReasonCode, TargetState};

const A: u16 = 3001;
const B: u16 = 3002;

/// A memory of this test alone; removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("pointsman-memory-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn file(&self) -> PathBuf {
        self.0.join("state").join("health.json")
    }

    fn settings(&self) -> Option<MemorySettings> {
        Some(MemorySettings {
            file: self.file(),
            age: Duration::from_secs(600),
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _absent = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_neither_announces_the_dead_nor_hides_the_living() {
    let folder = Folder::new("restart");
    let config = || ConfigText::group("app", &[A, B]);
    let script = Script::passing();
    script.fail(A);
    remembering(folder.settings(), script, async |board, _| {
        board.serve(config(), 1).await;
        board.until("app", A, TargetState::Unhealthy).await;
        board.until("app", B, TargetState::Healthy).await;
    })
    .await;
    let script = Script::passing();
    script.take(Duration::from_secs(1));
    remembering(folder.settings(), script, async |board, script| {
        let table = board.serve(config(), 1).await;
        let group = table.group(board.slots().group("app").unwrap()).unwrap();
        assert_eq!((group.healthy, group.initial), (1, 0), "in the first table");
        assert!(group.dns_healthy);
        let down = board.target("app", A);
        assert_eq!(down.state, TargetState::Unhealthy);
        assert_eq!(down.reason, Some(ReasonCode::FailedHealthChecks));
        let description = "Health checks failed: connection refused";
        assert_eq!(&*down.description, description);
        assert!(down.probed_unhealthy);
        assert_eq!(board.target("app", B).state, TargetState::Healthy);
        script.fail(B);
        sleep(Duration::from_secs(4)).await;
        let threshold = "one passed probe is not enough, nor is one failed";
        assert_eq!(
            board.target("app", A).state,
            TargetState::Unhealthy,
            "{threshold}"
        );
        assert_eq!(
            board.target("app", B).state,
            TargetState::Healthy,
            "{threshold}"
        );
        board.until("app", A, TargetState::Healthy).await;
        board.until("app", B, TargetState::Unhealthy).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn drains_weights_and_checks_survive_and_later_configurations_recall_nothing() {
    let folder = Folder::new("operator");
    let script = Script::passing();
    script.fail(9);
    let both = || ConfigText::check("up", 9, 1).and_group("app", &[A, B]);
    remembering(folder.settings(), script, async |board, _| {
        board.serve(both(), 1).await;
        board.until("app", B, TargetState::Healthy).await;
        let handle = &board.handle;
        let drain = handle.set_operator("app", address(A), OperatorState::Drain);
        drain.await.unwrap();
        handle.set_weight("app", address(B), Some(7)).await.unwrap();
        sleep(Duration::from_secs(11)).await;
    })
    .await;
    let script = Script::passing();
    script.take(Duration::from_secs(1));
    remembering(folder.settings(), script, async |board, _| {
        let table = board.serve(both(), 1).await;
        assert_eq!(board.target("app", A).state, TargetState::Draining);
        assert_eq!(board.target("app", B).weight, 7);
        let check = table.check(board.slots().check("up").unwrap()).unwrap();
        assert!(!check.healthy);
        board.serve(ConfigText::check("up", 9, 1), 2).await;
        sleep(Duration::from_secs(60)).await;
        board.serve(both(), 3).await;
        let back = board.target("app", B);
        assert_eq!((back.state, back.weight), (TargetState::Initial, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stable_process_does_not_forget_and_a_killed_one_remembers() {
    let folder = Folder::new("stable");
    remembering(folder.settings(), Script::passing(), async |board, _| {
        board.serve(ConfigText::group("app", &[A]), 1).await;
        board.until("app", A, TargetState::Healthy).await;
        sleep(Duration::from_secs(3)).await;
        let saved = std::fs::read(folder.file()).unwrap();
        let text = String::from_utf8(saved).unwrap();
        assert!(
            text.contains("\"healthy\": true"),
            "without an orderly end: {text}"
        );
        std::fs::remove_file(folder.file()).unwrap();
        sleep(Duration::from_secs(61)).await;
        assert!(folder.file().exists(), "saved again though nothing changed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn damaged_memories_are_passed_over() {
    let folder = Folder::new("damaged");
    std::fs::create_dir_all(folder.file().parent().unwrap()).unwrap();
    for damage in ["", "{", "[]", "\u{0}\u{0}", "{\"saved-unix-ms\": 1}"] {
        std::fs::write(folder.file(), damage).unwrap();
        remembering(folder.settings(), Script::passing(), async |board, _| {
            board.serve(ConfigText::group("app", &[A]), 1).await;
            assert_eq!(board.target("app", A).state, TargetState::Initial);
            board.until("app", A, TargetState::Healthy).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_round_is_over_when_each_was_probed_whatever_is_remembered() {
    let folder = Folder::new("round");
    for _ in 0..2 {
        let script = Script::passing();
        script.take(Duration::from_millis(500));
        remembering(folder.settings(), script, async |board, script| {
            // A failed probe is a result, though it decides nothing yet.
            script.fail(B);
            board.serve(ConfigText::group("app", &[A, B]), 1).await;
            assert_eq!(board.handle.first_round().await.left, 2);
            sleep(Duration::from_secs(2)).await;
            let round = board.handle.first_round().await;
            assert_eq!(
                (round.left, round.generation),
                (0, board.handle.table().generation())
            );
            assert_eq!(board.target("app", A).state, TargetState::Healthy);
        })
        .await;
    }
}
