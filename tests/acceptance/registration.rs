//! Targets that come and go while traffic runs, by every source but the file; across reloads and
//! restarts.

use std::net::SocketAddr;

use serde_json::Value;

use super::http_failover::Scene;
use super::name_server::NameServer;
use super::pointsman::{NAME, PATIENT, Pointsman, SELDOM, addresses, check, web_before};
use super::process::{Folder, eventually};
use super::services::HttpService;

const TARGETS: &str = "/api/v1/target-groups/app/targets";

fn named(address: SocketAddr) -> String {
    format!("{{\"targets\": [{{\"address\": \"{address}\"}}]}}")
}

fn change(pointsman: &Pointsman, method: &str, body: &str) -> Value {
    let (status, answer) = pointsman.request(method, TARGETS, body);
    assert_eq!(status, 200, "{method} {body}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

/// Last octets of the registered targets, in order, with who registered them.
fn registered(pointsman: &Pointsman) -> Vec<(u8, String)> {
    let list = pointsman.get(TARGETS);
    let items = list["items"].as_array().unwrap().iter();
    let registered = items.filter(|item| item["registered"] == true);
    let octet = |item: &Value| {
        let address: SocketAddr = item["address"].as_str().unwrap().parse().unwrap();
        let host = address.ip().to_string();
        let octet = host.rsplit('.').next().unwrap().parse().unwrap();
        (octet, item["registered-by"].as_str().unwrap().to_owned())
    };
    registered.map(octet).collect()
}

fn who(list: &[(u8, &str)]) -> Vec<(u8, String)> {
    list.iter()
        .map(|(octet, by)| (*octet, (*by).to_owned()))
        .collect()
}

#[test]
fn targets_registered_and_deregistered_under_load_cost_no_request() {
    let scene = Scene::start(25, PATIENT);
    let new = HttpService::start("127.25.0.14", 0);
    let load = scene.load();
    scene.await_load(&[0, 1, 2]);
    let answer = change(&scene.pointsman, "POST", &named(new.address));
    assert_eq!(answer["saved"], true, "{answer}");
    eventually("the name has the new address", || {
        scene.answers() == [11, 12, 13, 14]
    });
    eventually("load reaches the new target", || {
        scene.pointsman.selected("app", new.address) > 20
    });
    let old = scene.target(0);
    let answer = change(&scene.pointsman, "DELETE", &named(old));
    assert_eq!(answer["changed"][0], old.to_string());
    assert_eq!(answer["items"][0]["state"], "draining", "{answer}");
    let when_gone = scene.pointsman.selected("app", old);
    assert_eq!(scene.answers(), [12, 13, 14]);
    scene.await_load(&[1, 2]);
    let (failed, requests) = load.end();
    assert_eq!(failed, 0, "of {requests}");
    assert_eq!(scene.pointsman.selected("app", old), when_gone);
    let group = scene.pointsman.get("/api/v1/target-groups/app");
    assert_eq!(group["deregistered"][0], old.to_string(), "{group}");
    let four = change(&scene.pointsman, "POST", &named(old));
    assert_eq!(four["items"][0]["registered-by"], "file", "{four}");
}

#[test]
fn registrations_outlive_reloads_and_restarts() {
    let scene = Scene::start(26, PATIENT);
    let new = HttpService::start("127.26.0.14", 0);
    change(&scene.pointsman, "POST", &named(new.address));
    change(&scene.pointsman, "DELETE", &named(scene.target(0)));
    let expected = who(&[(12, "file"), (13, "file"), (14, "operator")]);
    assert_eq!(registered(&scene.pointsman), expected);
    scene.pointsman.post("/api/v1/reload", "{}");
    assert_eq!(registered(&scene.pointsman), expected);
    // Nothing is probed before it is asked: what was healthy is so again, whoever registered it.
    let Scene {
        pointsman,
        services: _services,
    } = scene;
    let pointsman = Pointsman::start_in(pointsman.stop(), &[]);
    assert_eq!(registered(&pointsman), expected);
    let octets: Vec<u8> = addresses(pointsman.dns(), "app.example.test")
        .iter()
        .map(|address| address.octets()[3])
        .collect();
    assert_eq!(octets, [12, 13, 14]);
    assert_eq!(pointsman.metric("pointsman_health_transitions_total"), 0.0);
}

#[test]
fn a_change_that_makes_no_sense_changes_nothing() {
    let scene = Scene::start(27, SELDOM);
    let generation = || scene.pointsman.get("/api/v1/generation")["generation"].clone();
    let before = generation();
    for (body, status, said) in [
        ("{}", 422, "missing field `targets`"),
        ("{\"targets\": []}", 400, "no target is named"),
        (
            "{\"targets\": [{\"address\": \"127.0.0.1:0\"}]}",
            400,
            "not a port",
        ),
        (
            "{\"targets\": [{\"address\": \"0.0.0.0:80\"}]}",
            400,
            "stands for all",
        ),
        (
            "{\"targets\": [{\"address\": \"a\"}]}",
            422,
            "not `ip:port`",
        ),
        (
            "{\"targets\": [{\"address\": \"127.0.0.1:1\", \"weight\": 1001}]}",
            400,
            "at most 1000",
        ),
    ] {
        let (found, answer) = scene.pointsman.request("POST", TARGETS, body);
        assert_eq!(found, status, "{body}: {answer}");
        assert!(
            answer.contains(said) && answer.contains("help"),
            "{body}: {answer}"
        );
    }
    let nowhere = "/api/v1/target-groups/nowhere/targets";
    assert_eq!(scene.pointsman.request("POST", nowhere, "{}").0, 404);
    let already = change(&scene.pointsman, "POST", &named(scene.target(0)));
    let stranger = change(
        &scene.pointsman,
        "DELETE",
        &named("127.0.0.9:9".parse().unwrap()),
    );
    for answer in [already, stranger] {
        assert_eq!(answer["changed"], Value::Array(Vec::new()), "{answer}");
    }
    assert_eq!(generation(), before);
}

/// Services on one port of several addresses: `127.NET.0.11`, `.12`, ….
fn on_one_port(net: u8, count: u8) -> Vec<HttpService> {
    let first = HttpService::start(&format!("127.{net}.0.11"), 0);
    let port = first.address.port();
    let more =
        (12..11 + count).map(|host| HttpService::start(&format!("127.{net}.0.{host}"), port));
    std::iter::once(first).chain(more).collect()
}

/// A scene whose group gets its targets by `group` lines.
fn scene(services: Vec<HttpService>, group: &str) -> Scene {
    let pointsman = Pointsman::start(&configuration(group));
    Scene {
        services,
        pointsman,
    }
}

fn configuration(group: &str) -> String {
    let check = check("/", PATIENT);
    // Long enough to be seen, however slow the machine is.
    let delay = "deregistration-delay = \"10s\"";
    web_before(&format!("{delay}\n{check}\n{group}")) + NAME
}

fn source(pointsman: &Pointsman) -> Value {
    let group = pointsman.get("/api/v1/target-groups/app");
    group["sources"][0].clone()
}

#[test]
fn a_name_whose_records_change_under_load_costs_no_request() {
    let services = on_one_port(28, 3);
    let port = services[0].address.port();
    let mut server = NameServer::start("127.28.0.53", &["app A 127.28.0.11", "app A 127.28.0.12"]);
    let scene = scene(
        services,
        &format!(
            "targets = [\"app.names.test:{port}\"]\nresolver = \"{}\"",
            server.address
        ),
    );
    assert_eq!(scene.answers(), [11, 12]);
    let by_name = format!("name app.names.test:{port}");
    let expected = who(&[(11, &by_name), (12, &by_name)]);
    assert_eq!(registered(&scene.pointsman), expected);
    let load = scene.load();
    scene.await_load(&[0, 1]);
    server.set(&["app A 127.28.0.12", "app A 127.28.0.13"]);
    eventually("the balancer's own name follows", || {
        scene.answers() == [12, 13]
    });
    let old = scene.target(0);
    let path = format!("{TARGETS}/{old}");
    let when_gone = scene.pointsman.selected("app", old);
    assert_eq!(scene.pointsman.state("app", old), "draining");
    scene.await_load(&[1, 2]);
    assert_eq!(scene.pointsman.selected("app", old), when_gone);
    eventually("the old target is gone", || {
        scene.pointsman.request("GET", &path, "").0 == 404
    });
    let (failed, requests) = load.end();
    assert_eq!(failed, 0, "of {requests}");
    // The name server goes, and the last good answer stays; it has no address, and it stays.
    server.stop();
    eventually("the trouble shows", || {
        source(&scene.pointsman)["status"] == "warning"
    });
    server.resume();
    eventually("the trouble is over", || {
        source(&scene.pointsman)["status"] == "ok"
    });
    server.set(&[]);
    eventually("the trouble shows", || {
        let source = source(&scene.pointsman).to_string();
        source.contains("it has no address; 2 of its last good answer stay registered")
    });
    assert_eq!(scene.answers(), [12, 13]);
    let failing = "pointsman_target_source_failing{target_group=\"app\",kind=\"name\"} 1";
    let (_, metrics) = scene.pointsman.request("GET", "/metrics", "");
    assert!(metrics.contains(failing), "{metrics}");
}

#[test]
fn a_name_that_never_resolved_says_so_and_comes_when_it_does() {
    let services = on_one_port(29, 1);
    let port = services[0].address.port();
    let mut server = NameServer::start("127.29.0.53", &[]);
    let group = format!(
        "targets = [{{ srv = \"_http._tcp.names.test\" }}]\nresolver = \"{}\"",
        server.address
    );
    let scene = scene(services, &group);
    let shown = scene.pointsman.get("/api/v1/target-groups/app");
    assert_eq!(shown["status"], "error");
    let why = "name _http._tcp.names.test: it has no SRV record";
    assert!(shown["reasons"].to_string().contains(why), "{shown}");
    server.set(&[
        &format!("_http._tcp SRV 1 5 {port} one"),
        "one A 127.29.0.11",
        &format!("_http._tcp SRV 2 5 {port} two"),
        "two A 127.29.0.12",
    ]);
    eventually("the service is there", || scene.answers() == [11]);
    let list = scene.pointsman.get(TARGETS);
    let show = |item: &Value| format!("{} {}", item["weight"], item["backup"]);
    let shown: Vec<_> = list["items"].as_array().unwrap().iter().map(show).collect();
    assert_eq!(shown, ["5 false", "5 true"], "{list}");
}

#[test]
fn a_targets_file_is_followed_and_a_bad_one_changes_nothing() {
    let services = on_one_port(30, 3);
    let folder = Folder::new("targets-file");
    let file = folder.path().join("targets");
    let put = |text: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    let at = |index: usize| services[index].address;
    put(&format!("{}\n{} weight=2\n", at(0), at(1)));
    let prometheus = format!("[{{\"targets\": [\"{}\", \"{}\"]}}]", at(1), at(2));
    let scene = scene(services, &format!("targets-file = {file:?}"));
    assert_eq!(scene.answers(), [11, 12]);
    let load = scene.load();
    scene.await_load(&[0, 1]);
    put(&prometheus);
    eventually("the new list is served", || scene.answers() == [12, 13]);
    put("nonsense");
    eventually("the trouble shows", || {
        source(&scene.pointsman)["status"] == "warning"
    });
    let said = source(&scene.pointsman)["reasons"].to_string();
    assert!(
        said.contains("line 1: `nonsense` is not `ip:port`"),
        "{said}"
    );
    assert_eq!(scene.answers(), [12, 13]);
    // What the operator takes out stays out, whatever the list says.
    change(&scene.pointsman, "DELETE", &named(scene.target(1)));
    put(&prometheus);
    eventually("the trouble is over", || {
        source(&scene.pointsman)["status"] == "ok"
    });
    assert_eq!(scene.answers(), [13]);
    let (failed, requests) = load.end();
    assert_eq!(failed, 0, "of {requests}");
}
