//! HTTP under load while targets die, return, drain, and are all gone for a while.

use std::net::SocketAddr;
use std::process::Command;

use super::pointsman::{NAME, Pointsman, addresses, web};
use super::process::{Program, eventually};
use super::services::HttpService;

/// Three services behind one listener, and a name that follows them.
pub(super) struct Scene {
    pub(super) services: Vec<HttpService>,
    pub(super) pointsman: Pointsman,
}

impl Scene {
    /// `net` is the second octet of the services' addresses, so that tests do not meet. Probes
    /// come once in `interval`.
    pub(super) fn start(net: u8, interval: &str) -> Self {
        let services: Vec<HttpService> = (11..14)
            .map(|host| HttpService::start(&format!("127.{net}.0.{host}"), 0))
            .collect();
        let addresses = services.iter().map(|service| service.address);
        let check = format!(
            r#"health-check = {{ protocol = "http", path = "/", interval = "{interval}", timeout = "100ms" }}"#
        );
        let pointsman = Pointsman::start(&(web(addresses, &check) + NAME));
        Self {
            services,
            pointsman,
        }
    }

    pub(super) fn target(&self, index: usize) -> SocketAddr {
        self.services[index].address
    }

    pub(super) fn answers(&self) -> Vec<u8> {
        let found = addresses(self.pointsman.dns(), "app.example.test");
        found.iter().map(|address| address.octets()[3]).collect()
    }

    /// Sixteen keep-alive connections of GETs for `seconds`.
    pub(super) fn load(&self, seconds: u32) -> Program {
        let url = format!("http://{}/", self.pointsman.listener("web"));
        let duration = format!("-d{seconds}s");
        Program::start(Command::new("wrk").args([
            "-t1",
            "-c16",
            &duration,
            "--timeout",
            "10s",
            &url,
        ]))
    }

    /// Waits until the load reaches every target in `indices`.
    pub(super) fn await_load(&self, indices: &[usize]) {
        for &index in indices {
            let before = self.pointsman.selected("app", self.target(index));
            eventually("load reaches the target", || {
                self.pointsman.selected("app", self.target(index)) > before + 20
            });
        }
    }
}

/// What wrk counted: (requests, failed ones).
pub(super) fn counts(load: Program) -> (u64, u64) {
    let (_, lines) = load.finish();
    let text = lines.join("\n");
    let number = |word: &str| -> u64 { word.trim_matches(',').parse().unwrap_or_default() };
    let words = |line: &str| line.split_whitespace().map(number).sum();
    let requests = lines.iter().find(|l| l.contains("requests in"));
    let requests = requests
        .and_then(|l| l.split_whitespace().next())
        .map(number);
    let socket: u64 = lines
        .iter()
        .find(|l| l.contains("Socket errors"))
        .map_or(0, |l| words(l));
    let status: u64 = lines
        .iter()
        .find(|l| l.contains("Non-2xx"))
        .map_or(0, |l| words(l));
    (
        requests.unwrap_or_else(|| panic!("wrk said:\n{text}")),
        socket + status,
    )
}

#[test]
fn a_killed_target_fails_nobody_and_leaves_dns_without_a_probe() {
    // Probes are an hour apart: what leaves, leaves by the failed connects of real traffic.
    let mut scene = Scene::start(21, "1h");
    assert_eq!(scene.answers(), [11, 12, 13]);
    let load = scene.load(4);
    scene.await_load(&[0, 1, 2]);
    scene.services[1].kill();
    eventually("the name has lost the address", || {
        scene.answers() == [11, 13]
    });
    let (requests, failed) = counts(load);
    // A response that had begun when its target died cannot be saved, one per connection at most;
    // these services answer a request in one write, so none is expected to be cut.
    assert!(
        requests > 100 && failed <= 1,
        "{failed} of {requests} failed"
    );
}

#[test]
fn a_returned_target_is_back_after_its_first_passed_probe() {
    let mut scene = Scene::start(22, "250ms");
    let load = scene.load(6);
    scene.await_load(&[0, 1, 2]);
    scene.services[2].kill();
    eventually("the name has lost the address", || {
        scene.answers() == [11, 12]
    });
    scene.services[2].restart();
    eventually("the address is back", || scene.answers() == [11, 12, 13]);
    scene.await_load(&[2]);
    let (requests, failed) = counts(load);
    assert!(
        requests > 100 && failed <= 1,
        "{failed} of {requests} failed"
    );
}

#[test]
fn draining_under_load_costs_nothing_and_is_done_when_the_call_returns() {
    let scene = Scene::start(23, "1s");
    let load = scene.load(3);
    scene.await_load(&[0, 1, 2]);
    let target = scene.target(0);
    scene.pointsman.post(
        &format!("/api/v1/target-groups/app/targets/{target}/drain"),
        "{}",
    );
    let when_drained = scene.pointsman.selected("app", target);
    assert_eq!(scene.pointsman.state("app", target), "draining");
    assert_eq!(scene.answers(), [12, 13]);
    let (requests, failed) = counts(load);
    assert!(
        requests > 100 && failed == 0,
        "{failed} of {requests} failed"
    );
    assert_eq!(scene.pointsman.selected("app", target), when_drained);
    scene.pointsman.post(
        &format!("/api/v1/target-groups/app/targets/{target}/undrain"),
        "{}",
    );
    eventually("the address is back", || scene.answers() == [11, 12, 13]);
}

#[test]
fn requests_wait_while_every_target_restarts() {
    let mut scene = Scene::start(24, "250ms");
    let load = scene.load(8);
    scene.await_load(&[0, 1, 2]);
    for service in &mut scene.services {
        service.kill();
    }
    // The outage itself: every connection is held meanwhile, well within the hold of 5 s.
    std::thread::park_timeout(std::time::Duration::from_secs(4));
    for service in &mut scene.services {
        service.restart();
    }
    let (requests, failed) = counts(load);
    assert!(
        requests > 100 && failed <= 3,
        "{failed} of {requests} failed"
    );
}
