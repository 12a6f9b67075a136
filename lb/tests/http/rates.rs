//! Rate limits: who shares one, what is refused and when to come back.

use healthcheck::TargetState;

use crate::balancer::{Balancer, Options};
use crate::client::Client;
use crate::target::Target;

fn start(workers: usize, app: &Target, listener: &'static str) -> Balancer {
    let options = Options {
        listener,
        ..Options::default()
    };
    let balancer = Balancer::with_workers(workers, &[app.address], &options);
    balancer.wait_for(1, TargetState::Healthy);
    balancer
}

/// The status of a request with these field lines.
fn ask(client: &mut Client, path: &str, fields: &str) -> u16 {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
    let (head, _) = client.read_response();
    head[9..12].parse().unwrap()
}

#[test]
fn two_workers_let_exactly_the_burst_through() {
    let app = Target::echo();
    let limit = "rate-limit = { requests = 30, per = \"1d\" }";
    let balancer = start(2, &app, limit);
    let fine = |client: &mut Client| {
        let statuses = (0..5).map(|_| ask(client, "/", ""));
        statuses.filter(|status| *status == 200).count()
    };
    // Many connections, so that both workers have some.
    let mut clients: Vec<_> = (0..16).map(|_| balancer.connect()).collect();
    let all: usize = std::thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(|| fine(client)))
            .collect();
        running.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!((all, app.seen.try_iter().count()), (30, 30));
    balancer.expect_metric("pointsman_rate_limited_total", "refused", 50.0);
    balancer.expect_metric("pointsman_rejected_total", "rate-limited", 50.0);
}

#[test]
fn who_is_refused_is_told_when_to_come_back_and_may_ask_on() {
    let app = Target::echo();
    let rules = r#"
[[listener.rule]]
priority = 1
path = "/slow"
forward = "app"
rate-limit = { requests = 1, per = "1h" }
"#;
    let balancer = start(1, &app, rules);
    let mut client = balancer.connect();
    assert_eq!(ask(&mut client, "/slow", ""), 200);
    client.send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    let (head, body) = client.read_response();
    assert!(
        head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
        "{head}"
    );
    let after = head.lines().find_map(|l| l.strip_prefix("Retry-After: "));
    let after: u32 = after.unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&after), "{after}");
    assert!(body.contains("(rate-limited)"), "{body}");
    // Other requests on the same connection are nobody's business.
    assert_eq!(ask(&mut client, "/", ""), 200);
}

#[test]
fn keys_have_limits_of_their_own() {
    let app = Target::echo();
    let rules = r#"
[[listener.rule]]
priority = 1
path = "/header"
forward = "app"
rate-limit = { requests = 1, per = "1d", key = { header = "X-Key" } }
[[listener.rule]]
priority = 2
path = "/cookie"
fixed-response = { status = 204 }
rate-limit = [{ requests = 2, per = "1d", key = { cookie = "id" } }, { requests = 3, per = "1d" }]
[[listener.rule]]
priority = 3
path = "/source"
forward = "app"
rate-limit = { requests = 1, per = "1d", key = "source" }
"#;
    let balancer = start(1, &app, rules);
    let mut client = balancer.connect();
    let mut statuses = |path: &str, fields: &[&str]| -> Vec<u16> {
        let fields = fields.iter();
        fields
            .map(|fields| ask(&mut client, path, fields))
            .collect()
    };
    let keys = ["x-key: a\r\n", "X-Key: b\r\n", "X-Key: a\r\n", "", ""];
    assert_eq!(statuses("/header", &keys), [200, 200, 429, 200, 429]);
    let (a, b) = ("Cookie: x=1; id=a\r\n", "Cookie: id=b\r\n");
    assert_eq!(
        statuses("/cookie", &[a, a, a, b, b]),
        [204, 204, 429, 204, 429]
    );
    assert_eq!(statuses("/source", &["", ""]), [200, 429]);
}

#[test]
fn a_dry_run_only_counts() {
    let app = Target::echo();
    let limit = "rate-limit = { requests = 1, per = \"1d\", dry-run = true }";
    let balancer = start(1, &app, limit);
    let mut client = balancer.connect();
    for _ in 0..4 {
        assert_eq!(ask(&mut client, "/", ""), 200);
    }
    balancer.expect_metric("pointsman_rate_limited_total", "dry-run", 3.0);
    balancer.expect_metric("pointsman_rate_limited_total", "refused", 0.0);
}

#[test]
fn what_was_used_outlives_a_reload() {
    let app = Target::echo();
    let limit = "rate-limit = { requests = 2, per = \"1d\", key = \"source\" }";
    let mut balancer = start(1, &app, limit);
    let mut client = balancer.connect();
    assert_eq!(ask(&mut client, "/", ""), 200);
    // A larger burst, of which one is used.
    let options = Options {
        listener: "rate-limit = { requests = 2, per = \"1d\", burst = 3, key = \"source\" }",
        ..Options::default()
    };
    balancer.reload(&[app.address], &options);
    let statuses: Vec<u16> = (0..3).map(|_| ask(&mut client, "/", "")).collect();
    assert_eq!(statuses, [200, 200, 429]);
}
