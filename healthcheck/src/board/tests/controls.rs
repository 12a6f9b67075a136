//! Routing controls: checks follow them in one table, and a restart finds them as they were left.

use std::path::Path;
use std::sync::Arc;

use tokio::task::{LocalSet, spawn_local};

use super::script::Script;
use crate::board::{BoardHandle, BoardSettings, start_with};
use crate::*;

const TEXT: &str = r#"
    [[routing-control]]
    name = "a"
    initial = "on"
    [[routing-control]]
    name = "b"
    [[safety-rule]]
    name = "one-on"
    type = "assertion"
    asserted-controls = ["a", "b"]
    threshold = 1
    [[health-check]]
    name = "a-on"
    type = "routing-control"
    routing-control = "a"
    [[health-check]]
    name = "b-off"
    type = "routing-control"
    routing-control = "b"
    inverted = true
    [[health-check]]
    name = "both"
    type = "calculated"
    children = ["a-on", "b-off"]
    health-threshold = 2
    [[zone]]
    name = "example.test"
"#;

struct Board {
    handle: BoardHandle,
    slots: Arc<SlotMap>,
}

impl Board {
    /// `a-on`, `b-off` and `both`.
    fn shown(&self) -> [bool; 3] {
        let table = self.handle.table();
        ["a-on", "b-off", "both"].map(|name| {
            let id = self.slots.check(name).unwrap();
            table.check(id).unwrap().healthy
        })
    }

    async fn turn(&self, states: &[(&str, bool)]) -> Result<ControlOutcome, ControlError> {
        let states = states.iter().map(|(name, on)| ((*name).to_owned(), *on));
        let change = ControlChange {
            states: states.collect(),
            overrides: Vec::new(),
        };
        self.handle.turn(change).await
    }
}

async fn with_board(file: &Path, text: &str, test: impl AsyncFnOnce(&Board)) {
    let settings = BoardSettings {
        controls: Some(file.to_owned()),
        ..BoardSettings::default()
    };
    let (board, handle) = start_with(settings, Script::passing());
    let loaded = conf::load_text(Path::new("test.toml"), text);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let run = async {
        let running = spawn_local(board.run());
        let prepared = handle.prepare(&Arc::new(loaded.config), 1).await;
        let slots = prepared.slots().clone();
        handle.commit(prepared).await;
        test(&Board { handle, slots }).await;
        running.await.unwrap();
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn checks_follow_switches_and_a_restart_finds_them_as_they_were_left() {
    let folder = std::env::temp_dir().join(format!("pointsman-controls-{}", std::process::id()));
    let file = folder.join("controls.json");
    with_board(&file, TEXT, async |board| {
        assert_eq!(board.shown(), [true, true, true], "in the first table");
        let before = board.handle.table().generation();
        let refused = board.turn(&[("a", false)]).await.unwrap_err();
        assert!(matches!(refused, ControlError::Refused(_)));
        assert_eq!(board.handle.table().generation(), before);
        let outcome = board.turn(&[("a", false), ("b", true)]).await.unwrap();
        assert_eq!(outcome.turned, ["a", "b"]);
        assert!(
            outcome.saved && file.exists(),
            "on the disk when it is answered"
        );
        assert_eq!(outcome.generation, before + 1, "both in one table");
        assert_eq!(board.shown(), [false, false, false]);
        let details = board.handle.check_details("a-on").await.unwrap();
        assert_eq!(details.description, "routing control `a` is off");
        assert_eq!(
            details.next,
            "It becomes healthy when routing control `a` is turned on."
        );
        let again = board.turn(&[("b", true)]).await.unwrap();
        assert!(again.turned.is_empty() && again.saved);
        board.handle.shutdown().await;
    })
    .await;
    let text = TEXT.replace(
        "\"a-on\"\n    type",
        "\"a-on\"\n    inverted = true\n    type",
    );
    with_board(&file, &text, async |board| {
        assert_eq!(board.shown(), [true, false, false]);
        board.handle.shutdown().await;
    })
    .await;
    std::fs::write(&file, "{").unwrap();
    with_board(&file, TEXT, async |board| {
        assert_eq!(board.shown(), [true, true, true], "as configured");
        board.handle.shutdown().await;
    })
    .await;
    std::fs::remove_dir_all(&folder).unwrap();
}
