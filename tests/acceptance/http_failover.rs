//! HTTP under load while targets die, return, drain, and are all gone for a while.

use std::net::SocketAddr;
use std::process::Command;

use super::pointsman::{NAME, PATIENT, Pointsman, SELDOM, addresses, check, web};
use super::process::{Program, eventually};
use super::services::HttpService;

/// Three services behind one listener, and a name that follows them.
pub(super) struct Scene {
    pub(super) services: Vec<HttpService>,
    pub(super) pointsman: Pointsman,
}

impl Scene {
    /// `net` is the second octet of the services' addresses, so that tests do not meet; `timing` is
    /// that of their health check.
    pub(super) fn start(net: u8, timing: &str) -> Self {
        Self::start_with(net, &check("/", timing))
    }

    /// The same with these keys of the group.
    fn start_with(net: u8, group: &str) -> Self {
        let services: Vec<HttpService> = (11..14)
            .map(|host| HttpService::start(&format!("127.{net}.0.{host}"), 0))
            .collect();
        let addresses = services.iter().map(|service| service.address);
        let pointsman = Pointsman::start(&(web(addresses, group) + NAME));
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

    /// Sixteen keep-alive connections of GETs.
    pub(super) fn load(&self) -> Load {
        let url = format!("http://{}/", self.pointsman.listener("web"));
        Load::start(&["-t1", "-c16", &url])
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

/// A wrk that goes on until it is told to end, however long that takes what happens meanwhile.
pub(super) struct Load(Program);

impl Load {
    /// Starts it with these arguments.
    pub(super) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new("wrk");
        // An answer that takes longer than that counts as failed.
        let endless = ["-d1h", "--timeout", "5m"];
        Self(Program::start(command.args(endless).args(arguments)))
    }

    /// Ends it; how many of its requests failed, of how many.
    pub(super) fn end(mut self) -> (u64, u64) {
        eventually("wrk ends", || {
            self.0.signal("INT");
            !self.0.is_running()
        });
        let (_, lines) = self.0.finish();
        let text = lines.join("\n");
        let number = |word: &str| -> u64 { word.trim_matches(',').parse().unwrap_or_default() };
        let words = |line: &str| line.split_whitespace().map(number).sum::<u64>();
        let of = |what: &str| lines.iter().find(|line| line.contains(what));
        let requests = of("requests in").and_then(|line| line.split_whitespace().next());
        let requests = requests.map(number);
        let failed = ["Socket errors", "Non-2xx"].map(|what| of(what).map_or(0, |l| words(l)));
        let requests = requests.unwrap_or_else(|| panic!("wrk said:\n{text}"));
        (failed.iter().sum(), requests)
    }
}

#[test]
fn a_killed_target_fails_nobody_and_leaves_dns_without_a_probe() {
    // Probes are an hour apart: what leaves, leaves by the failed connects of real traffic.
    let mut scene = Scene::start(21, SELDOM);
    assert_eq!(scene.answers(), [11, 12, 13]);
    let load = scene.load();
    scene.await_load(&[0, 1, 2]);
    scene.services[1].kill();
    eventually("the name has lost the address", || {
        scene.answers() == [11, 13]
    });
    scene.await_load(&[0, 2]);
    // A response that had begun when its target died cannot be saved, one per connection at most;
    // these services answer a request in one write, so none is expected to be cut.
    let (failed, requests) = load.end();
    assert!(failed <= 1, "{failed} of {requests} failed");
}

#[test]
fn a_returned_target_is_back_after_its_first_passed_probe() {
    let mut scene = Scene::start(22, PATIENT);
    let load = scene.load();
    scene.await_load(&[0, 1, 2]);
    scene.services[2].kill();
    eventually("the name has lost the address", || {
        scene.answers() == [11, 12]
    });
    scene.services[2].restart();
    eventually("the address is back", || scene.answers() == [11, 12, 13]);
    scene.await_load(&[2]);
    let (failed, requests) = load.end();
    assert!(failed <= 1, "{failed} of {requests} failed");
}

#[test]
fn draining_under_load_costs_nothing_and_is_done_when_the_call_returns() {
    let scene = Scene::start(23, PATIENT);
    let load = scene.load();
    scene.await_load(&[0, 1, 2]);
    let target = scene.target(0);
    scene.pointsman.post(
        &format!("/api/v1/target-groups/app/targets/{target}/drain"),
        "{}",
    );
    let when_drained = scene.pointsman.selected("app", target);
    assert_eq!(scene.pointsman.state("app", target), "draining");
    assert_eq!(scene.answers(), [12, 13]);
    scene.await_load(&[1, 2]);
    let (failed, requests) = load.end();
    assert_eq!(failed, 0, "of {requests}");
    assert_eq!(scene.pointsman.selected("app", target), when_drained);
    scene.pointsman.post(
        &format!("/api/v1/target-groups/app/targets/{target}/undrain"),
        "{}",
    );
    eventually("the address is back", || scene.answers() == [11, 12, 13]);
}

#[test]
fn requests_wait_while_every_target_restarts() {
    let mut scene = Scene::start_with(24, &format!("hold = \"5m\"\n{}", check("/", PATIENT)));
    let load = scene.load();
    scene.await_load(&[0, 1, 2]);
    for service in &mut scene.services {
        service.kill();
    }
    // The outage itself: every connection is held meanwhile, well within the hold.
    std::thread::park_timeout(std::time::Duration::from_secs(4));
    for service in &mut scene.services {
        service.restart();
    }
    scene.await_load(&[0, 1, 2]);
    let (failed, requests) = load.end();
    assert!(failed <= 3, "{failed} of {requests} failed");
}
