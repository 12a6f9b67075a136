//! Who gets work when not all targets are alike: slow start, zones, anomalies, and fail-open with its numbers.

use super::ejection::{Moody, config, octets, status_of};
use super::http_failover::Scene;
use super::pointsman::{PATIENT, Pointsman};
use super::process::eventually;

/// Requests that each of the services got of `count` more.
fn shares(pointsman: &Pointsman, services: &[Moody], count: u64) -> Vec<u64> {
    let selected = || {
        services
            .iter()
            .map(|s| pointsman.selected("app", s.address))
    };
    let before: Vec<u64> = selected().collect();
    let listener = pointsman.listener("web");
    for _ in 0..count {
        assert_eq!(status_of(listener), 200);
    }
    let after = selected().zip(before);
    after.map(|(after, before)| after - before).collect()
}

#[test]
fn a_recovered_target_begins_with_little_of_its_share() {
    let services = [Moody::start("127.43.0.11"), Moody::start("127.43.0.12")];
    // An hour: nothing here depends on how fast the test is.
    let mut pointsman = Pointsman::start(&config(&services, "slow-start = \"1h\""));
    assert_eq!(shares(&pointsman, &services, 40), [20, 20]);
    let ill = services[1].address;
    services[1].say_it_is_ill(true);
    eventually("it is unhealthy", || {
        pointsman.state("app", ill) == "unhealthy"
    });
    services[1].say_it_is_ill(false);
    eventually("it is back", || pointsman.state("app", ill) == "healthy");
    let path = format!("/api/v1/target-groups/app/targets/{ill}");
    assert_eq!(pointsman.get(&path)["share"], 1);
    eventually("requests reach the others only, but for a few", || {
        shares(&pointsman, &services, 40)[1] <= 2
    });
    let text = config(&services, "slow-start = \"0s\"");
    pointsman.write_config(&text);
    pointsman.post("/api/v1/reload", "{}");
    assert_eq!(pointsman.get(&path)["share"], 100);
    eventually("it has its share", || {
        shares(&pointsman, &services, 40) == [20, 20]
    });
    assert!(pointsman.program.is_running());
}

#[test]
fn shares_grow_while_nothing_else_changes() {
    let services = [Moody::start("127.44.0.11"), Moody::start("127.44.0.12")];
    let pointsman = Pointsman::start(&config(&services, "slow-start = \"1s\""));
    let ill = services[1].address;
    services[1].say_it_is_ill(true);
    eventually("it is unhealthy", || {
        pointsman.state("app", ill) == "unhealthy"
    });
    services[1].say_it_is_ill(false);
    eventually("it is back", || pointsman.state("app", ill) == "healthy");
    eventually("it has its share", || {
        shares(&pointsman, &services, 40) == [20, 20]
    });
}

#[test]
fn fail_open_is_told_with_its_numbers_when_it_begins_and_when_it_ends() {
    let mut scene = Scene::start(45, PATIENT);
    let gauge = "pointsman_target_group_fail_open";
    assert_eq!(scene.pointsman.metric(gauge), 0.0);
    for service in &mut scene.services {
        service.kill();
    }
    eventually("the group fails open", || {
        scene.pointsman.metric(gauge) == 1.0
    });
    let open = "group app: fail-open: 0 of 3 registered targets healthy, \
                unhealthy-state-routing needs 1";
    (scene.pointsman.program).wait_for_line("fail-open", |line| line.contains(open));
    assert_eq!(scene.pointsman.metric("pointsman_fail_open_total"), 1.0);
    let group = scene.pointsman.get("/api/v1/target-groups/app");
    assert_eq!(group["fail-open"], true, "{group}");
    scene.services[0].restart();
    eventually("the group is itself again", || {
        scene.pointsman.metric(gauge) == 0.0
    });
    let closed = "group app: fail-open ended: 1 of 3 registered targets healthy";
    (scene.pointsman.program).wait_for_line("its end", |line| line.contains(closed));
    assert_eq!(scene.pointsman.metric("pointsman_fail_open_total"), 1.0);
}

#[test]
fn a_zone_has_its_own_targets_and_its_own_thresholds() {
    let services = [
        Moody::start("127.46.0.11"),
        Moody::start("127.46.0.12"),
        Moody::start("127.46.0.13"),
    ];
    let zones = ["a", "a", "b"].iter().zip(&services);
    let mut text = config(&services, "cross-zone = false");
    for (zone, service) in zones {
        let (bare, zoned) = (format!("\"{}\"", service.address), service.in_zone(zone));
        text = text.replace(&bare, &zoned);
    }
    let pointsman = Pointsman::start(&format!("[runtime]\navailability-zone = \"a\"\n{text}"));
    assert_eq!(shares(&pointsman, &services, 40), [20, 20, 0]);
    assert_eq!(octets(&pointsman), [11, 12]);
    let group = pointsman.get("/api/v1/target-groups/app");
    assert_eq!(group["registered"], 2, "{group}");
    // Zone b is well, which is nothing to zone a.
    services[..2].iter().for_each(|s| s.say_it_is_ill(true));
    let gauge = "pointsman_target_group_fail_open";
    eventually("the zone fails open", || pointsman.metric(gauge) == 1.0);
    eventually("and to itself", || {
        shares(&pointsman, &services, 40) == [20, 20, 0]
    });
    let there = services[2].address;
    assert_eq!(pointsman.state("app", there), "healthy");
    let path = format!("/api/v1/target-groups/app/targets/{there}");
    let target = pointsman.get(&path);
    let why = "in availability zone `b`: gets no work from zone `a` (cross-zone = false)";
    assert_eq!(target["reasons"][0], why, "{target}");
}

#[test]
fn a_target_that_fails_more_than_the_others_gets_less() {
    let services: Vec<Moody> = (11..14)
        .map(|host| Moody::start(&format!("127.47.0.{host}")))
        .collect();
    let group = "algorithm = \"weighted-random\"\nanomaly-mitigation = \"on\"";
    let mut pointsman = Pointsman::start(&config(&services, group));
    let listener = pointsman.listener("web");
    let path = format!("/api/v1/target-groups/app/targets/{}", services[0].address);
    assert_eq!(
        pointsman.get(&path)["anomaly-detection"]["result"],
        "normal"
    );
    services[0].answer(500);
    eventually("it is found out", || {
        for _ in 0..60 {
            status_of(listener);
        }
        pointsman.get(&path)["anomaly-detection"]["result"] == "anomalous"
    });
    let target = pointsman.get(&path);
    assert_eq!(target["state"], "healthy", "{target}");
    let detection = &target["anomaly-detection"];
    assert_eq!(detection["mitigation-in-effect"], true, "{target}");
    assert!(target["share"].as_u64().unwrap() < 100, "{target}");
    assert_eq!(pointsman.metric("pointsman_targets_mitigated"), 1.0);
    let said = "is anomalous: ";
    (pointsman.program).wait_for_line("its numbers", |line| line.contains(said));
}
