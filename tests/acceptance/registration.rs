//! Targets that come and go while traffic runs, by every source but the file; across reloads and
//! restarts.

use std::net::SocketAddr;

use serde_json::Value;

use super::http_failover::{Scene, counts};
use super::pointsman::{Pointsman, addresses};
use super::process::eventually;
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
    let scene = Scene::start(25, "250ms");
    let new = HttpService::start("127.25.0.14", 0);
    let load = scene.load(5);
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
    let (requests, failed) = counts(load);
    assert!(
        requests > 100 && failed == 0,
        "{failed} of {requests} failed"
    );
    assert_eq!(scene.pointsman.selected("app", old), when_gone);
    let group = scene.pointsman.get("/api/v1/target-groups/app");
    assert_eq!(group["deregistered"][0], old.to_string(), "{group}");
    let four = change(&scene.pointsman, "POST", &named(old));
    assert_eq!(four["items"][0]["registered-by"], "file", "{four}");
}

#[test]
fn registrations_outlive_reloads_and_restarts() {
    let scene = Scene::start(26, "250ms");
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
    let scene = Scene::start(27, "1h");
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
            "invalid socket address",
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
