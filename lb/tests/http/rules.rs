//! Rules: which group a request goes to, and answers that never reach a target.

use healthcheck::TargetState;
use serde_json::Value;

use crate::balancer::{Balancer, Options};
use crate::target::{Target, nobody};

/// Rules over the groups `app` and `other`, whose target is `other`.
fn options(listener: &'static str, other: std::net::SocketAddr) -> Options {
    let group = format!(
        "hold = \"0s\"\n[[target-group]]\nname = \"other\"\nprotocol = \"http\"\n\
         targets = [\"{other}\"]\nhold = \"0s\"\n"
    );
    Options {
        listener,
        group: group.leak(),
        access_log: None,
        protocol: None,
    }
}

/// One whose targets, so many of which can be reached, have been probed.
fn start(workers: usize, app: &Target, options: &Options, healthy: usize) -> Balancer {
    let balancer = Balancer::with_workers(workers, &[app.address], options);
    balancer.wait_for(healthy, TargetState::Healthy);
    balancer
}

const REWRITES: &str = r#"
rewrite-host = { regex = "^(.*)$", replace = "internal.test" }
[[listener.rule]]
priority = 10
path = "/api/*"
rewrite-url = { regex = "^/api(/.*)$", replace = "$1" }
forward = "other"
[[listener.rule]]
priority = 20
path = "/broken/*"
rewrite-url = { regex = "^/broken/", replace = "" }
forward = "other"
"#;

#[test]
fn targets_get_what_rewrites_make_of_a_request() {
    let (app, other) = (Target::echo(), Target::echo());
    let balancer = start(1, &app, &options(REWRITES, other.address), 2);
    let mut client = balancer.connect();
    client.send("POST /api/a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    let echoed = client.read_response().1;
    assert!(echoed.starts_with("POST /a?b "), "{echoed}");
    client.send("GET /a HTTP/1.1\r\nHost: x:80\r\n\r\n");
    let echoed = client.read_response().1;
    assert!(echoed.starts_with("GET /a "), "{echoed}");
    client.send("POST /broken/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    let (head, body) = client.read_response();
    assert!(
        head.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
        "{head}"
    );
    assert!(body.contains("rewrite-failed"), "{body}");
    // The connection goes on, and nothing of the refused request reached a target.
    client.send("GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n");
    let echoed = client.read_response().1;
    assert!(echoed.starts_with("GET / "), "{echoed}");
    assert_eq!(
        (app.seen.try_iter().count(), other.seen.try_iter().count()),
        (1, 2)
    );
}

const ANSWERS: &str = r#"
[[listener.rule]]
priority = 10
path = "/gone"
fixed-response = { status = 410, content-type = "text/html", body = "<p>gone</p>" }
[[listener.rule]]
priority = 20
path = "/old/*"
redirect = { port = 81, path = "/new/#{path}", status = 301 }
[[listener.rule]]
priority = 30
path = "/empty"
fixed-response = { status = 204 }
[[listener.rule]]
priority = 40
host = "other.test"
forward = "other"
"#;

#[test]
fn one_connection_carries_answers_of_every_kind() {
    let (app, other) = (Target::echo(), Target::echo());
    let log = std::env::temp_dir().join(format!("pointsman-rules-{}", std::process::id()));
    let options = Options {
        access_log: Some(log.clone()),
        ..options(ANSWERS, other.address)
    };
    let balancer = start(1, &app, &options, 2);
    let mut client = balancer.connect();
    client.send("GET /gone HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = client.read_response();
    assert_eq!(
        (head.as_str(), body.as_str()),
        (
            "HTTP/1.1 410 Gone\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n",
            "<p>gone</p>"
        )
    );
    client.send("HEAD /gone HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.read_head().contains("Content-Length: 11\r\n"));
    client.send("POST /old/a?b HTTP/1.1\r\nHost: x:9\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(
        client.read_head(),
        "HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n\
         Location: http://x:81/new/old/a?b\r\n\r\n"
    );
    client.send("GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_head(), "HTTP/1.1 204 No Content\r\n\r\n");
    client.send("GET /a HTTP/1.1\r\nHost: OTHER.test:80\r\n\r\n");
    assert!(client.read_response().1.starts_with("GET /a "));
    client.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.read_response().1.starts_with("GET /b "));
    assert_eq!((app.connections(), other.connections()), (1, 1));
    drop(client);
    drop(balancer);
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown: Vec<_> = lines
        .iter()
        .filter(|line| line["status"] != 0)
        .map(|l| (&l["rule"], &l["action"], &l["status"], &l["target_group"]))
        .map(|(rule, action, status, group)| format!("{rule} {action} {status} {group}"))
        .collect();
    assert_eq!(
        shown,
        [
            r#""10" "fixed-response" 410 null"#,
            r#""10" "fixed-response" 410 null"#,
            r#""20" "redirect" 301 null"#,
            r#""30" "fixed-response" 204 null"#,
            r#""40" "forward" 200 "other""#,
            r#""default" "forward" 200 "app""#,
        ]
    );
}

#[test]
fn answers_are_counted_without_a_group() {
    let app = Target::echo();
    let balancer = start(1, &app, &options(ANSWERS, app.address), 2);
    let mut client = balancer.connect();
    for _ in 0..3 {
        client.send("GET /gone HTTP/1.1\r\nHost: x\r\n\r\n");
        client.read_response();
    }
    balancer.expect_metric("pointsman_requests_total", "4xx", 3.0);
    let families = balancer.lb.collect();
    let requests = families
        .iter()
        .find(|f| f.name() == "pointsman_requests_total")
        .unwrap();
    let metric = &requests.get_metric()[0];
    let group = metric
        .get_label()
        .iter()
        .find(|l| l.name() == "target_group");
    assert_eq!(group.unwrap().value(), "");
}

#[test]
fn a_body_that_nobody_reads_does_not_hide_the_answer() {
    let app = Target::echo();
    let balancer = start(1, &app, &options(ANSWERS, app.address), 2);
    let mut client = balancer.connect();
    client.send("POST /gone HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
    client.send(vec![b'x'; 200_000]);
    let (head, body) = client.read_response();
    assert!(head.starts_with("HTTP/1.1 410 Gone\r\n"), "{head}");
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(body, "<p>gone</p>");
    // An HTTP/1.0 client is told whether its connection goes on.
    let mut client = balancer.connect();
    client.send("GET /gone HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(
        client
            .read_response()
            .0
            .contains("Connection: keep-alive\r\n")
    );
}

#[test]
fn a_location_that_is_too_long_is_507() {
    let app = Target::echo();
    let balancer = start(1, &app, &options(ANSWERS, app.address), 2);
    let mut client = balancer.connect();
    let long = "\"".repeat(4096);
    client.send(format!("GET /old/{long} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let (head, body) = client.read_response();
    assert!(head.starts_with("HTTP/1.1 507 "), "{head}");
    assert!(body.contains("redirect-too-long"), "{body}");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.read_response().0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_group_without_a_usable_target_is_not_replaced_by_another() {
    let app = Target::echo();
    let rules = r#"
[[listener.rule]]
priority = 1
path = "/both"
forward = { target-groups = [{ name = "app", weight = 1 }, { name = "other", weight = 1 }] }
"#;
    let balancer = start(1, &app, &options(rules, nobody()), 1);
    let statuses: Vec<String> = (0..6)
        .map(|_| {
            let mut client = balancer.connect();
            client.send("GET /both HTTP/1.1\r\nHost: x\r\n\r\n");
            let (head, _) = client.read_response();
            head.split(' ').nth(1).unwrap().to_owned()
        })
        .collect();
    let fine = statuses.iter().filter(|status| *status == "200").count();
    assert_eq!(fine, 3, "{statuses:?}");
    assert!(
        statuses
            .iter()
            .all(|s| ["200", "502", "503"].contains(&s.as_str())),
        "{statuses:?}"
    );
}

#[test]
fn weighted_groups_share_exactly_over_all_workers() {
    let (app, other) = (Target::echo(), Target::echo());
    let rules = r#"
[[listener.rule]]
priority = 1
path = "/both"
forward = { target-groups = [{ name = "app", weight = 30 }, { name = "other", weight = 10 }] }
"#;
    let balancer = start(2, &app, &options(rules, other.address), 2);
    for _ in 0..40 {
        let mut client = balancer.connect();
        client.send("GET /both HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(client.read_response().0.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(
        (app.seen.try_iter().count(), other.seen.try_iter().count()),
        (30, 10)
    );
}
