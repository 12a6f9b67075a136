//! Explanations of a configuration whose targets nobody probes: nothing is sent anywhere.

use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::metrics::Registry;
use crate::plan::Names;
use crate::snapshot::Plan;
use crate::testing::load;

const TEXT: &str = r#"
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
protocol = "http"
fixed-response = { status = 404 }
rate-limit = { requests = 1, per = "1d" }
[[listener.rule]]
priority = 10
path = "/old/*"
method = ["GET", "HEAD"]
redirect = { port = 81, path = "/new/#{path}" }
[[listener.rule]]
priority = 20
host = "a.test"
source-ip = "10.0.0.0/8"
forward = { target-groups = [{ name = "blue", weight = 3 }, { name = "green", weight = 1 }] }
rewrite-url = { regex = "^/", replace = "/in/" }
[[target-group]]
name = "blue"
protocol = "http"
targets = ["127.0.0.1:1", "127.0.0.1:2"]
[[target-group]]
name = "green"
protocol = "http"
targets = ["127.0.0.1:3"]
"#;

fn asked(change: impl FnOnce(&mut RequestQuestion)) -> Result<RequestExplanation, String> {
    let config = load(TEXT);
    let mut names = Names::new(Registry::new(1));
    let bound = config.listeners[0]
        .binds
        .iter()
        .map(|bind| bind.value.into());
    let bound: HashMap<_, _> = crate::sockets::binds(&config)
        .into_iter()
        .map(|bind| bind.key)
        .zip(bound)
        .collect();
    let none = Default::default();
    let plan = Plan::new(&config, 1, Arc::default(), &bound, &mut names, &none);
    let snapshot = Snapshot {
        plan: Arc::new(plan),
        health_generation: 0,
        groups: Vec::new(),
        departing: Vec::new(),
        fate_epoch: 0,
    };
    let mut question = RequestQuestion {
        listener: None,
        method: "GET".to_owned(),
        url: "http://127.0.0.1:8080/".to_owned(),
        fields: Vec::new(),
        source: "127.0.0.1:50000".parse().unwrap(),
    };
    change(&mut question);
    explain(&config, &snapshot, &question)
}

#[test]
fn each_condition_says_whether_it_holds() {
    let found = asked(|question| {
        question.url = "http://A.test:8080/old/a".to_owned();
        question.method = "POST".to_owned();
        question.source = "10.1.2.3:5".parse().unwrap();
    })
    .unwrap();
    let shown = found.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[..9],
        [
            "listener web",
            "rule 10: does not hold",
            "  + path /old/*",
            "  - method GET or HEAD",
            "rule 20: claims it",
            "  + host a.test",
            "  + source-ip 10.0.0.0/8",
            "counts against the limit 1 in 1d",
            "refused: 503 (no-target)",
        ]
    );
    assert_eq!(found.target.as_deref(), Some("/in/old/a"));
    let turns: Vec<_> = found.weights.iter().map(|w| (w.turns, w.next)).collect();
    assert_eq!(turns, [(3, true), (1, false)]);
}

#[test]
fn answers_of_the_balancer_itself_are_known_in_full() {
    let redirect = asked(|question| question.url += "old/x").unwrap();
    assert!(
        redirect
            .to_string()
            .ends_with("redirect 302 to http://127.0.0.1:81/new/old/x\n"),
        "{redirect}"
    );
    // Asking uses nothing of the limit of one a day.
    for _ in 0..3 {
        let fixed = asked(|question| question.url = "127.0.0.1:8080".to_owned()).unwrap();
        assert!(
            fixed
                .to_string()
                .ends_with("answered 404 by the fixed-response\n"),
            "{fixed}"
        );
        assert_eq!(fixed.rule, "default");
    }
    let bad = asked(|question| question.fields.push("A b: c".to_owned())).unwrap();
    assert_eq!(bad.reason.as_deref(), Some("bad-field-name"));
}

#[test]
fn a_listener_is_found_by_port_or_name() {
    let lost = asked(|question| question.url = "http://127.0.0.1:9/".to_owned());
    assert!(lost.unwrap_err().contains("port 9"));
    let lost = asked(|question| question.url = "https://127.0.0.1:8080/".to_owned());
    assert!(lost.unwrap_err().contains("no https listener"));
    let found = asked(|question| {
        question.listener = Some("web".to_owned());
        question.url = "http://somewhere.test/".to_owned();
    });
    assert_eq!(found.unwrap().listener, "web");
}
