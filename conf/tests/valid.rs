//! Valid files: what they resolve to, in both profiles.

#[path = "valid/everything.rs"]
mod everything;

use std::path::Path;
use std::time::Duration;

use conf::{
    AccessLog, Action, AgentCheck, Algorithm, AliasTarget, Audience, CheckIdx, Config, Continent,
    Country, Endpoint, GroupIdx, HealthCheck, HealthCheckKind, HttpCheck, HttpVersion,
    ListenerProtocol, LogFormat, MinimumHealthy, PagePart, PageValue, Place, Policy, Profile,
    ProxyProtocol, RecordType, SetData, Sni, Subdivision, TargetHealthCheckKind, TcpCheck,
    TlsTrust, UdpCheck, UnhealthyFlows, load_text, render_human,
};

fn resolved(text: &str) -> Config {
    let loaded = load_text(Path::new("/etc/pointsman/pointsman.toml"), text);
    let shown = render_human(&loaded.diagnostics, &loaded.sources, false);
    assert!(loaded.diagnostics.is_empty(), "{shown}");
    loaded.config
}

const MINIMAL: &str = r#"
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
protocol = "http"
forward = "app"
[[listener]]
name = "raw"
bind = "127.0.0.1:8081"
protocol = "tcp"
forward = "bytes"
[[target-group]]
name = "app"
protocol = "http"
targets = ["127.0.0.11:3001"]
[[target-group]]
name = "bytes"
protocol = "tcp"
targets = ["127.0.0.11:3002"]
[[health-check]]
name = "up"
type = "http"
address = "192.0.2.10:80"
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
policy = "multivalue"
sets = [{ id = "a", values = "192.0.2.10", health-check = "up" }]
"#;

fn endpoint(check: &HealthCheck) -> &Endpoint {
    match &check.kind {
        HealthCheckKind::Endpoint(endpoint) => endpoint,
        other => panic!("an endpoint was written: {other:?}"),
    }
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn local_defaults() {
    let config = resolved(MINIMAL);
    assert_eq!(config.profile, Profile::Local);
    assert_eq!(config.state_dir, Path::new("/etc/pointsman/state"));
    assert_eq!(config.admin.bind.value, "127.0.0.1:9901".parse().unwrap());
    assert_eq!(
        config.admin.socket,
        Path::new("/etc/pointsman/state/admin.sock")
    );
    assert!(config.admin.hosts.is_empty());
    let runtime = &config.runtime;
    assert_eq!(
        (runtime.workers, runtime.grace, runtime.shutdown_delay),
        (0, s(30), s(0))
    );
    assert_eq!((runtime.health_memory, runtime.max_probes), (s(600), 1024));
    assert_eq!(config.logs.access, AccessLog::Stdout);

    let web = &config.listeners[0];
    assert_eq!((web.max_connections, web.idle_timeout), (0, s(60)));
    assert_eq!(
        (web.header_timeout, web.max_header_bytes),
        (s(10), 64 << 10)
    );
    assert_eq!(
        web.advertise,
        ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(web.default_action, Action::forward_to(GroupIdx(0)));
    assert_eq!(config.listeners[1].idle_timeout, s(350));
    assert_eq!(config.listeners[1].protocol, ListenerProtocol::Tcp);

    let app = &config.target_groups[0];
    assert_eq!(app.algorithm, Algorithm::RoundRobin);
    assert_eq!((app.deregistration_delay, app.hold), (s(30), s(5)));
    assert_eq!((app.connect_timeout, app.response_timeout), (s(2), s(60)));
    assert!(app.connection_termination);
    assert_eq!(app.unhealthy_flows, UnhealthyFlows::End);
    let one = MinimumHealthy {
        count: 1,
        percentage: 0,
    };
    assert_eq!((app.unhealthy_state_routing, app.dns_failover), (one, one));
    let target = &app.targets[0];
    assert_eq!((target.weight, target.backup), (1, false));
    let check = &app.health_check;
    assert_eq!(check.kind, TargetHealthCheckKind::Tcp(TcpCheck::default()));
    assert_eq!(
        (check.interval, check.timeout, check.port),
        (s(5), s(2), None)
    );
    assert_eq!((check.healthy_threshold, check.unhealthy_threshold), (2, 2));

    let up = endpoint(&config.health_checks[0]);
    assert_eq!((up.interval, up.failure_threshold), (s(5), 2));
    let http = up.http.as_ref().unwrap();
    assert_eq!(
        (http.path.as_str(), &http.host, &http.tls),
        ("/", &None, &None)
    );

    let dns = config.dns.as_ref().unwrap();
    assert_eq!(dns.binds[0].value, "127.0.0.1:5300".parse().unwrap());
    assert_eq!(
        (dns.ttl, dns.tcp_idle_timeout, dns.tcp_max_connections),
        (10, s(10), 1000)
    );
    assert_eq!(
        (dns.zones[0].id.as_str(), dns.zones[0].records[0].ttl),
        ("example.test", 10)
    );
}

#[test]
fn aws_defaults_are_the_documented_ones() {
    let config = resolved(&format!("defaults = \"aws\"\n{MINIMAL}"));
    assert_eq!(config.profile, Profile::Aws);
    let app = &config.target_groups[0];
    assert_eq!((app.deregistration_delay, app.hold), (s(300), s(0)));
    assert_eq!(app.connect_timeout, s(10));
    assert!(!app.connection_termination);
    assert_eq!(app.unhealthy_flows, UnhealthyFlows::End);
    let check = &app.health_check;
    let TargetHealthCheckKind::Http(HttpCheck {
        path,
        host,
        matcher,
        ..
    }) = &check.kind
    else {
        panic!("an Application Load Balancer asks over HTTP");
    };
    assert_eq!(
        (path.as_str(), host, matcher.ranges.as_slice()),
        ("/", &None, &[(200, 200)][..])
    );
    assert_eq!((check.interval, check.timeout), (s(30), s(5)));
    assert_eq!((check.healthy_threshold, check.unhealthy_threshold), (5, 2));

    let bytes = &config.target_groups[1].health_check;
    assert_eq!(
        (&bytes.kind, bytes.timeout),
        (&TargetHealthCheckKind::Tcp(TcpCheck::default()), s(10))
    );
    let up = endpoint(&config.health_checks[0]);
    assert_eq!((up.interval, up.failure_threshold), (s(30), 3));
    assert_eq!(config.dns.as_ref().unwrap().ttl, 60);
}

#[test]
fn an_http_check_of_a_tcp_group_is_a_network_load_balancers() {
    let text = MINIMAL.replace(
        "targets = [\"127.0.0.11:3002\"]",
        "targets = [\"127.0.0.11:3002\"]\nhealth-check = { protocol = \"http\" }",
    );
    let config = resolved(&format!("defaults = \"aws\"\n{text}"));
    let check = &config.target_groups[1].health_check;
    let TargetHealthCheckKind::Http(HttpCheck { matcher, .. }) = &check.kind else {
        panic!("protocol http was asked for");
    };
    assert_eq!(
        (matcher.ranges.as_slice(), check.timeout),
        (&[(200, 399)][..], s(6))
    );
}

#[test]
fn whom_tls_checks_believe() {
    let trust = |profile: &str, check: &str| {
        let text = MINIMAL.replace(
            "targets = [\"127.0.0.11:3002\"]",
            &format!(
                "targets = [\"127.0.0.11:3002\"]\nhealth-check = {{ protocol = \"https\"{check} }}"
            ),
        );
        let file = Path::new("tests/valid/tls.toml");
        let loaded = load_text(file, &format!("defaults = \"{profile}\"\n{text}"));
        let shown = render_human(&loaded.diagnostics, &loaded.sources, false);
        assert!(loaded.diagnostics.is_empty(), "{shown}");
        match &loaded.config.target_groups[1].health_check.kind {
            TargetHealthCheckKind::Http(HttpCheck { tls: Some(tls), .. }) => tls.clone(),
            other => panic!("https was asked for: {other:?}"),
        }
    };
    assert_eq!(trust("local", "").trust, TlsTrust::Public);
    assert_eq!(trust("local", ", insecure = true").trust, TlsTrust::Anyone);
    assert_eq!(
        trust("aws", "").trust,
        TlsTrust::Anyone,
        "ELB validates nothing"
    );
    assert_eq!(trust("aws", ", insecure = false").trust, TlsTrust::Public);
    for profile in ["local", "aws"] {
        let tls = trust(profile, ", ca = \"ca.pem\", host = \"app.test:8443\"");
        assert!(matches!(&tls.trust, TlsTrust::Authorities(found) if found.len() == 1));
        assert_eq!(tls.server_name.as_deref(), Some("app.test"));
    }
    assert_eq!(
        trust("local", ", host = \"127.0.0.1:8443\"").server_name,
        None
    );
}

#[test]
fn grpc_checks_ask_for_health_here_and_for_what_elb_asks_there() {
    let asked = |profile: &str, check: &str| {
        let text = MINIMAL.replace(
            "targets = [\"127.0.0.11:3001\"]",
            &format!(
                "targets = [\"127.0.0.11:3001\"]\nhealth-check = {{ protocol = \"grpc\"{check} }}"
            ),
        );
        let config = resolved(&format!("defaults = \"{profile}\"\n{text}"));
        match &config.target_groups[0].health_check.kind {
            TargetHealthCheckKind::Grpc(grpc) => {
                let passes = grpc.matcher.ranges[0].0;
                (grpc.path.clone(), grpc.service.clone(), passes)
            }
            other => panic!("grpc was asked for: {other:?}"),
        }
    };
    let health = "/grpc.health.v1.Health/Check".to_owned();
    let elb = "/AWS.ALB/healthcheck".to_owned();
    let whole = Some(String::new());
    assert_eq!(asked("local", ""), (health.clone(), whole, 0));
    assert_eq!(asked("aws", ""), (elb.clone(), None, 12));
    let service = ", service = \"a\"";
    for profile in ["local", "aws"] {
        assert_eq!(
            asked(profile, service),
            (health.clone(), Some("a".to_owned()), 0)
        );
    }
    let path = ", path = \"/AWS.ALB/healthcheck\"";
    assert_eq!(asked("local", path), (elb, None, 0));
}

#[test]
fn sockets_that_can_live_side_by_side_do() {
    let config = resolved(
        &MINIMAL
            .replace(
                "\"127.0.0.1:8080\"",
                "[\"[::]:8080\", \"0.0.0.0:8080\", \"127.0.0.1:0\"]",
            )
            .replace(
                "\"127.0.0.1:8081\"",
                "[\"127.0.0.1:0\", \"127.0.0.2:8081\", \"127.0.0.3:8081\"]",
            ),
    );
    assert_eq!(config.listeners[0].binds.len(), 3);
    let advertised: Vec<_> = config.listeners[0]
        .advertise
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(advertised, ["127.0.0.1"], "wildcards are not addresses");
}

#[test]
fn every_algorithm_is_read_by_its_name() {
    for algorithm in Algorithm::ALL {
        let protocol = match algorithm {
            Algorithm::ConnectionIdHash => "quic",
            _ => "http",
        };
        let more = match algorithm {
            Algorithm::RequestHash => "hash-by = \"path\"\n",
            _ => "",
        };
        let text = format!(
            "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:8080\"\nprotocol = \"{protocol}\"\n\
             forward = \"app\"\n[[target-group]]\nname = \"app\"\nprotocol = \"{protocol}\"\n\
             algorithm = \"{}\"\n{more}targets = [\"127.0.0.1:3001\"]\n",
            algorithm.as_str()
        );
        let loaded = conf::load_text(Path::new("/etc/pointsman.toml"), &text);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        assert_eq!(loaded.config.target_groups[0].algorithm, algorithm);
    }
}

#[test]
fn rules_of_every_kind() {
    let config = resolved(
        r##"
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
protocol = "http"
redirect = { protocol = "https", port = "443", path = "/x/#{path}", query = "" }
[[listener.rule]]
priority = 50000
query = [[{ key = "a", value = "1" }, { value = "2" }], [{ key = "b", value = "*" }]]
fixed-response = { status = 404, body = "gone" }
[[listener.rule]]
priority = 1
host = ["localhost", "*.test"]
path-regex = '^/(a|b)'
method = "GET"
source-ip = ["::1", "10.0.0.0/8"]
header = [{ name = "X-A", values = "1" }, { name = "X-B", regex = ["b+"] }]
forward = { target-groups = [{ name = "app", weight = 0 }, { name = "green" }] }
[[target-group]]
name = "app"
protocol = "http"
targets = ["127.0.0.11:3001"]
[[target-group]]
name = "green"
protocol = "http"
targets = ["127.0.0.11:3002"]
"##,
    );
    let web = &config.listeners[0];
    let rules: Vec<String> = web
        .rules
        .iter()
        .map(|rule| {
            let conditions = rule.conditions.iter().map(ToString::to_string);
            let conditions: Vec<_> = conditions.collect();
            format!("{} {}", rule.priority, conditions.join(", "))
        })
        .collect();
    assert_eq!(
        rules,
        [
            "1 host localhost or *.test, path ~^/(a|b), method GET, header X-A: 1, header X-B: ~b+, \
             source-ip ::1/128 or 10.0.0.0/8",
            "50000 query a=1 or 2, query b=*",
        ]
    );
    assert_eq!(web.groups(), [GroupIdx(0), GroupIdx(1)]);
    let Action::Forward(forward) = &web.rules[0].action else {
        panic!("{:?}", web.rules[0].action);
    };
    let weights: Vec<u16> = forward.groups.iter().map(|group| group.weight).collect();
    assert_eq!(weights, [0, 1]);
    let Action::Redirect(redirect) = &web.default_action else {
        panic!("{:?}", web.default_action);
    };
    assert_eq!(
        (redirect.to_string().as_str(), redirect.status),
        ("https://#{host}:443/x/#{path}", 302)
    );
    let Action::FixedResponse(response) = &web.rules[1].action else {
        panic!("{:?}", web.rules[1].action);
    };
    assert_eq!(response.content_type, Some("text/plain"));
}
