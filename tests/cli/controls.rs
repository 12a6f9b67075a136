//! Routing controls by the command line: what DNS answers, what rules refuse, what a restart keeps.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::dns::ask;
use crate::harness::{Process, get, output, post, stderr, stdout};

const TEXT: &str = r#"
[[routing-control]]
name = "eu"
initial = "on"
[[routing-control]]
name = "us"
[[safety-rule]]
name = "one-on"
type = "assertion"
asserted-controls = ["eu", "us"]
threshold = 1
[[health-check]]
name = "eu-on"
type = "routing-control"
routing-control = "eu"
[[health-check]]
name = "us-on"
type = "routing-control"
routing-control = "us"
[dns]
bind = "127.0.0.1:0"
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
policy = "failover"
sets = [
  { id = "eu", failover = "primary", values = ["192.0.2.1"], health-check = "eu-on" },
  { id = "us", failover = "secondary", values = ["192.0.2.2"], health-check = "us-on" },
]
"#;
const EU: [Ipv4Addr; 1] = [Ipv4Addr::new(192, 0, 2, 1)];
const US: [Ipv4Addr; 1] = [Ipv4Addr::new(192, 0, 2, 2)];

fn control(process: &Process, arguments: &[&str]) -> std::process::Output {
    let admin = format!("http://{}", process.admin_tcp());
    output(&[&["control"], arguments, &["--admin", &admin]].concat())
}

#[test]
fn dns_obeys_when_the_command_returns_and_rules_refuse_the_whole_change() {
    let mut process = Process::start(TEXT);
    let www = || ask(process.dns(), "www.example.test");
    assert_eq!(www(), EU);
    let refused = control(&process, &["eu", "off"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(
        said.contains("safety rule `one-on`: at least 1 of eu, us must be on; 0 would be"),
        "{said}"
    );
    assert!(said.contains("--override"), "{said}");
    assert_eq!(www(), EU);
    let turned = stdout(&control(&process, &["eu", "off", "us", "on"]));
    assert_eq!(
        turned,
        "routing control eu is off\nrouting control us is on\n"
    );
    assert_eq!(www(), US);
    let listed = stdout(&control(&process, &[]));
    for part in ["eu", "one-on", "health-check/us-on", "1 of 2 on"] {
        assert!(listed.contains(part), "no {part} in {listed}");
    }
    let metrics = get(process.admin_tcp(), "/metrics").body;
    for line in [
        "pointsman_routing_control_on{routing_control=\"us\"} 1\n",
        "pointsman_safety_rule_refusals_total{safety_rule=\"one-on\"} 1\n",
        "pointsman_health_check_healthy{health_check=\"eu-on\"} 0\n",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    let page = get(process.admin_tcp(), "/").body;
    assert!(page.contains("Routing controls") && page.contains("one-on"));
    let both = ["us", "off", "--override", "one-on", "--json"];
    let both: Value = serde_json::from_slice(&control(&process, &both).stdout).unwrap();
    assert_eq!(both["turned"][0], "us");
    assert_eq!(both["saved"], true);
    assert_eq!(www(), EU, "all are down: the primary, as in Route 53");
    process.restart();
    let eu = get(process.admin_tcp(), "/api/v1/routing-controls/eu").json();
    assert_eq!(eu["state"], "off", "a restart keeps it: {eu}");
}

#[test]
fn slips_are_told_and_turn_nothing() {
    let process = Process::start(TEXT);
    for (arguments, code, said) in [
        (&["eu"][..], 64, "turn eu on or off?"),
        (&["eu", "down"], 64, "cannot be `down`"),
        (&["--override", "one-on"], 64, "override one-on for what?"),
        (&["eux", "off"], 1, "no routing control `eux`"),
        (&["us", "on", "--override", "x"], 1, "no safety rule `x`"),
    ] {
        let told = control(&process, arguments);
        assert_eq!(told.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&told).contains(said), "{}", stderr(&told));
    }
    let admin = process.admin_tcp();
    let json = "Content-Type: application/json\r\n";
    let path = "/api/v1/routing-controls";
    for (body, status) in [
        ("{\"states\": {}}", 400),
        ("{", 400),
        ("{\"states\": {\"us\": \"up\"}}", 422),
        ("{\"states\": {\"us\": \"on\"}, \"override\": []}", 422),
        ("{\"states\": {\"eu\": \"off\"}}", 409),
    ] {
        assert_eq!(post(admin, path, json, body).status, status, "{body}");
    }
    assert_eq!(get(admin, &format!("{path}/us")).json()["state"], "off");
    assert_eq!(get(admin, &format!("{path}/x")).status, 404);
}
