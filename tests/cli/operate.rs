//! Serving and changing what serves: balancing, drain, weight, death of a target.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};

use crate::harness::{Process, Service, connect, get, http_over, names, stderr};

fn set(names: Vec<String>) -> BTreeSet<String> {
    names.into_iter().collect()
}

fn two() -> (Service, Service, Process) {
    let (one, two) = (Service::start("one"), Service::start("two"));
    let process = Process::start(&http_over(&[&one, &two]));
    process.wait_for_state("app", one.http, "healthy");
    process.wait_for_state("app", two.http, "healthy");
    (one, two, process)
}

#[test]
fn requests_take_turns_and_status_counts_them() {
    let (one, two, process) = two();
    let listener = process.listener(0);
    assert_eq!(
        set(names(listener, 4)),
        set(vec!["one".into(), "two".into()])
    );
    let status = process.status();
    let targets = status["target-groups"][0]["targets"].as_array().unwrap();
    let selected: Vec<_> = targets
        .iter()
        .map(|target| target["selected"].as_u64())
        .collect();
    assert_eq!(selected, [Some(2), Some(2)], "{status}");
    let text = process.succeed(&["status"]);
    for part in [
        "web",
        "app",
        "healthy",
        &one.http.to_string(),
        &two.http.to_string(),
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn a_drain_holds_when_it_returns_and_can_be_taken_back() {
    let (one, _two, process) = two();
    let listener = process.listener(0);
    let target = one.http.to_string();
    let said = process.succeed(&["drain", "app", &target]);
    assert!(said.contains("takes no new work"), "{said}");
    assert_eq!(set(names(listener, 6)), set(vec!["two".into()]));
    let shown = process.succeed(&["status", "app", &target]);
    assert!(
        shown.contains("draining") && shown.contains("undrained"),
        "{shown}"
    );
    process.succeed(&["undrain", "app", &target]);
    assert_eq!(set(names(listener, 6)).len(), 2);
}

#[test]
fn weights_hold_at_once_and_reset() {
    let (one, _two, process) = two();
    let listener = process.listener(0);
    let target = one.http.to_string();
    process.succeed(&["weight", "app", &target, "3"]);
    let answered = names(listener, 8);
    assert_eq!(
        answered.iter().filter(|name| *name == "one").count(),
        6,
        "{answered:?}"
    );
    process.succeed(&["weight", "app", &target, "0"]);
    assert_eq!(set(names(listener, 4)), set(vec!["two".into()]));
    process.succeed(&["weight", "app", &target, "reset"]);
    assert_eq!(set(names(listener, 4)).len(), 2);
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let (one, _two, process) = two();
    let refused = process.command(&["drain", "apq", &one.http.to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("there is: app"),
        "{}",
        stderr(&refused)
    );
    let refused = process.command(&["drain", "app", "127.0.0.1:1"]);
    assert!(
        stderr(&refused).contains(&one.http.to_string()),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn no_request_fails_when_a_target_dies() {
    let (mut one, _two, process) = two();
    let listener = process.listener(0);
    one.kill();
    assert_eq!(set(names(listener, 10)), set(vec!["two".into()]));
    process.wait_for_state("app", one.http, "unhealthy");
    let shown = process.succeed(&["status", "app", &one.http.to_string()]);
    assert!(shown.contains("refused"), "{shown}");
}

#[test]
fn with_every_target_dead_the_answer_says_so() {
    let mut one = Service::start("one");
    let text = http_over(&[&one]).replace(
        "protocol = \"http\"\ntargets",
        "protocol = \"http\"\nhold = \"0s\"\ntargets",
    );
    let process = Process::start(&text);
    process.wait_for_state("app", one.http, "healthy");
    one.kill();
    process.wait_for_state("app", one.http, "unhealthy");
    let answer = get(process.listener(0), "/");
    assert!(answer.status == 502 || answer.status == 503, "{answer:?}");
}

#[test]
fn tcp_flows_reach_a_target() {
    let one = Service::start("one");
    let process = Process::start(&format!(
        "[[listener]]\nname = \"echo\"\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nforward = \"echo\"\n\
         [[target-group]]\nname = \"echo\"\nprotocol = \"tcp\"\ntargets = [\"{}\"]\n",
        one.tcp
    ));
    let mut stream = BufReader::new(connect(process.listener(0)));
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("Hello from one"), "{line}");
    stream.get_mut().write_all(b"ping\n").unwrap();
    line.clear();
    stream.read_line(&mut line).unwrap();
    assert_eq!(line, "ping\n");
}
