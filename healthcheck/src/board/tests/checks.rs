//! Standalone checks: Route 53's conformance vectors, and checks that follow others.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::script::{Running, Script, started};

/// Serves `text` as a configuration; `A` and `B` in it are addresses that are probed.
async fn serve(board: &Running, text: &str, generation: u64) -> Arc<conf::Config> {
    let text = text
        .replace("A:", "address = \"127.0.0.1:3001\"")
        .replace("B:", "address = \"127.0.0.1:3002\"");
    let zone = "[[zone]]\nname = \"example.test\"\n";
    let loaded = conf::load_text(Path::new("test.toml"), &format!("{text}\n{zone}"));
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let config = Arc::new(loaded.config);
    let prepared = board.handle.prepare(&config, generation).await;
    board.adopt(prepared.slots());
    board.handle.commit(prepared).await;
    config
}

fn healthy(board: &Running, check: &str) -> bool {
    let id = board.slots().check(check).unwrap();
    board.handle.table().check(id).unwrap().healthy
}

/// Until every probe that is due has ended and the table shows it.
async fn settle() {
    sleep(Duration::from_secs(2)).await;
}

const TWO: &str = r#"
    [[health-check]]
    name = "a"
    type = "tcp"
    A:
    interval = "1s"
    failure-threshold = 1
    [[health-check]]
    name = "b"
    type = "tcp"
    B:
    interval = "1s"
    failure-threshold = 1
"#;

fn calculated(name: &str, threshold: usize, more: &str) -> String {
    format!(
        "[[health-check]]\nname = \"{name}\"\ntype = \"calculated\"\nchildren = [\"a\", \"b\"]\n\
         health-threshold = {threshold}\n{more}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn calculated_checks_count_healthy_children_and_invert_last() {
    started(Script::passing(), async |board, script| {
        let mut text = calculated("none", 0, "") + TWO;
        for (name, threshold, more) in [
            ("one", 1, ""),
            ("both", 2, ""),
            ("three", 3, ""),
            ("not-both", 2, "inverted = true"),
            ("not-three", 3, "inverted = true"),
        ] {
            text += &calculated(name, threshold, more);
        }
        serve(board, &text, 1).await;
        let names = ["none", "one", "both", "three", "not-both", "not-three"];
        let shown = || names.map(|name| healthy(board, name));
        settle().await;
        assert_eq!(shown(), [true, true, true, false, false, true]);
        script.fail(3001);
        settle().await;
        assert_eq!(shown(), [true, true, false, false, true, true]);
        script.fail(3002);
        settle().await;
        assert_eq!(shown(), [true, false, false, false, true, true]);
        let disabled = text.replace("failure-threshold = 1", "disabled = true");
        serve(board, &disabled, 2).await;
        settle().await;
        assert_eq!(shown(), [true, true, true, false, false, true]);
        let details = board.handle.check_details("both").await.unwrap();
        assert_eq!(details.description, "2 of 2 children healthy, 2 needed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_never_disagrees_with_its_children_in_one_table() {
    started(Script::passing(), async |board, script| {
        let text = calculated("both", 2, "") + TWO;
        serve(board, &text, 1).await;
        let slots = board.slots();
        let [a, b, both] = ["a", "b", "both"].map(|name| slots.check(name).unwrap());
        let mut tables = board.handle.subscribe();
        let end = Instant::now() + Duration::from_secs(60);
        let (mut flips, mut before) = (0, true);
        let mut turns = 0;
        while Instant::now() < end {
            turns += 1;
            match turns % 3 {
                0 => script.fail(3001),
                1 => script.pass(3001),
                _ => script.fail(3002),
            }
            if turns % 2 == 0 {
                script.pass(3002);
            }
            let changed = tokio::time::timeout(Duration::from_secs(3), tables.changed());
            let _quiet = changed.await;
            let table = tables.borrow_and_update().clone();
            let up = |id| table.check(id).unwrap().healthy;
            assert_eq!(up(both), up(a) && up(b));
            flips += usize::from(up(both) != before);
            before = up(both);
        }
        assert!(flips > 5, "{flips}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn new_checks_are_healthy_until_data_unless_inverted() {
    started(Script::failing(), async |board, script| {
        let check = |name: &str, more: &str| {
            format!("[[health-check]]\nname = \"{name}\"\ntype = \"tcp\"\nA:\n{more}\n")
        };
        let text = check("plain", "")
            + &check("inverted", "inverted = true")
            + &check("disabled", "disabled = true")
            + &check("both", "inverted = true\ndisabled = true");
        script.take(Duration::from_secs(1));
        serve(board, &text, 1).await;
        let names = ["plain", "inverted", "disabled", "both"];
        let shown = || names.map(|name| healthy(board, name));
        assert_eq!(shown(), [true, false, true, false]);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(shown(), [false, true, true, false]);
        let probed = script.starts(3001).len();
        let details = board.handle.check_details("inverted").await.unwrap();
        assert_eq!(details.description, "inverted: connection refused");
        assert!(
            details
                .next
                .starts_with("It becomes unhealthy after 2 passed probes")
        );
        let disabled = text.replace("A:\n", "A:\ndisabled = true\n").replace(
            "disabled = true\ninverted = true\ndisabled = true",
            "disabled = true\ninverted = true",
        );
        let disabled = disabled.replace("disabled = true\ndisabled = true", "disabled = true");
        serve(board, &disabled, 2).await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(
            script.starts(3001).len(),
            probed,
            "disabled checks are not probed"
        );
        assert_eq!(shown(), [true, false, true, false]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_group_check_follows_the_roll_up_and_has_its_targets_probed() {
    started(Script::passing(), async |board, script| {
        let text = r#"
            [[target-group]]
            name = "app"
            protocol = "tcp"
            targets = ["127.0.0.1:3001", "127.0.0.1:3002"]
            dns-failover = { count = 2 }
            health-check = { interval = "1s" }
            [[health-check]]
            name = "app-up"
            type = "target-group"
            target-group = "app"
            [[health-check]]
            name = "app-down"
            type = "target-group"
            target-group = "app"
            inverted = true
        "#;
        serve(board, text, 1).await;
        settle().await;
        assert!(healthy(board, "app-up") && !healthy(board, "app-down"));
        script.fail(3002);
        sleep(Duration::from_secs(5)).await;
        assert!(!healthy(board, "app-up") && healthy(board, "app-down"));
        let details = board.handle.check_details("app-up").await.unwrap();
        assert_eq!(details.description, "1 of 2 registered targets healthy");
        assert_eq!(details.address, None);
    })
    .await;
}
