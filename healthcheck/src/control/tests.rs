//! Safety rules: what they refuse, what they let pass, and that a refused change turns nothing.

use std::path::Path;
use std::time::Duration;

use super::*;

const TEXT: &str = r#"
    [[routing-control]]
    name = "a"
    initial = "on"
    [[routing-control]]
    name = "b"
    [[routing-control]]
    name = "gate"
    [[safety-rule]]
    name = "one-on"
    type = "assertion"
    asserted-controls = ["a", "b"]
    threshold = 1
    [[zone]]
    name = "example.test"
"#;
const GATING: &str = r#"
    [[safety-rule]]
    name = "maintenance"
    type = "gating"
    gating-controls = ["gate"]
    target-controls = ["a", "b"]
    threshold = 1
"#;

fn board(text: &str) -> Switchboard {
    let loaded = conf::load_text(Path::new("test.toml"), text);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let mut board = Switchboard::default();
    board.configure(&loaded.config, &HashMap::new(), SystemTime::now());
    board
}

/// `a=on b=off`, then after `/` the rules to override.
fn ask(text: &str) -> ControlChange {
    let (states, overrides) = text.split_once('/').unwrap_or((text, ""));
    let state = |word: &str| {
        let (name, state) = word.split_once('=').unwrap();
        (name.to_owned(), state == "on")
    };
    ControlChange {
        states: states.split_whitespace().map(state).collect(),
        overrides: overrides.split_whitespace().map(str::to_owned).collect(),
    }
}

fn turn(board: &mut Switchboard, text: &str) -> Result<usize, String> {
    let changed = board.change(&ask(text), Instant::now(), SystemTime::now());
    changed
        .map(|turned| turned.len())
        .map_err(|e| e.to_string())
}

fn on(board: &Switchboard) -> Vec<&str> {
    let all = board.switches().iter();
    all.filter(|(_, switch)| switch.on)
        .map(|(name, _)| &**name)
        .collect()
}

#[test]
fn an_assertion_looks_at_the_outcome_of_the_whole_change() {
    let mut board = board(TEXT);
    let refused = turn(&mut board, "a=off gate=on").unwrap_err();
    assert_eq!(
        refused,
        "refused by safety rule `one-on`: at least 1 of a, b must be on; 0 would be"
    );
    assert_eq!(on(&board), ["a"], "nothing of it was done");
    assert_eq!(turn(&mut board, "a=off b=on"), Ok(2), "swapped in one call");
    assert_eq!(on(&board), ["b"]);
    assert_eq!(turn(&mut board, "b=on gate=on"), Ok(1), "b was on before");
    assert_eq!(turn(&mut board, "b=off / one-on"), Ok(1), "overridden");
    assert_eq!(
        turn(&mut board, "gate=off"),
        Ok(1),
        "the rule guards others"
    );
    let status = board.status().1;
    assert_eq!((status[0].on, status[0].met), (0, false));
}

#[test]
fn a_gate_stands_before_what_it_guards() {
    let mut board = board(&format!("{GATING}{TEXT}"));
    let refused = turn(&mut board, "b=on").unwrap_err();
    assert_eq!(
        refused,
        "refused by safety rule `maintenance`: `b` can be turned while at least 1 of gate is on; 0 are"
    );
    turn(&mut board, "gate=on b=on").unwrap_err();
    assert_eq!(on(&board), ["a"], "opened and used in one change: neither");
    assert_eq!(turn(&mut board, "a=on"), Ok(0), "what stays is no change");
    assert_eq!(turn(&mut board, "gate=on"), Ok(1));
    assert_eq!(turn(&mut board, "b=on gate=off"), Ok(2), "it was open");
    let both = turn(&mut board, "a=off b=off").unwrap_err();
    assert!(
        both.contains("`maintenance`") && both.contains("`one-on`"),
        "{both}"
    );
    assert!(turn(&mut board, "a=off b=off / maintenance").is_err());
    assert_eq!(turn(&mut board, "a=off b=off / maintenance one-on"), Ok(2));
}

#[test]
fn inverted_rules_turn_round_and_unknown_names_turn_nothing() {
    let mut board = board(&TEXT.replace("threshold = 1", "threshold = 2\ninverted = true"));
    let refused = turn(&mut board, "b=on").unwrap_err();
    assert!(
        refused.ends_with("fewer than 2 of a, b must be on; 2 would be"),
        "{refused}"
    );
    assert_eq!(
        turn(&mut board, "gate=on x=on").unwrap_err(),
        "no routing control `x`"
    );
    assert_eq!(
        turn(&mut board, "gate=on / y").unwrap_err(),
        "no safety rule `y`"
    );
    assert_eq!(on(&board), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn guarded_controls_rest_for_the_wait_period() {
    let mut board = board(&TEXT.replace("threshold = 1", "threshold = 1\nwait-period = \"5s\""));
    assert_eq!(turn(&mut board, "b=on"), Ok(1));
    tokio::time::advance(Duration::from_millis(4999)).await;
    let refused = turn(&mut board, "a=off").unwrap_err();
    assert!(
        refused.ends_with("`b` was turned just now; wait 0.1 s more"),
        "{refused}"
    );
    assert_eq!(turn(&mut board, "gate=on"), Ok(1));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(turn(&mut board, "a=off"), Ok(1));
}

#[test]
fn a_new_configuration_keeps_what_stays_and_recalls_what_was_saved() {
    let mut board = board(TEXT);
    turn(&mut board, "b=on").unwrap();
    let loaded = conf::load_text(Path::new("test.toml"), &TEXT.replace("\"gate\"", "\"new\""));
    let saved = Switch::left(true, SystemTime::UNIX_EPOCH);
    let recalled = HashMap::from([("new".to_owned(), saved), ("b".to_owned(), saved)]);
    let left = board.configure(&loaded.config, &recalled, SystemTime::now());
    assert_eq!(left, ["gate".into()]);
    assert_eq!(on(&board), ["a", "b", "new"]);
    assert_eq!(board.switches()["new"].since, SystemTime::UNIX_EPOCH);
    assert_ne!(board.switches()["b"].since, SystemTime::UNIX_EPOCH);
}
