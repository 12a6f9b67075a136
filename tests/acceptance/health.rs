//! How soon a death shows, and what must not show: jumps of the clock, a process that was stopped, a
//! restart. Times are measured and printed (`--nocapture`), and decide nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::http_failover::Scene;
use super::pointsman::{PATIENT, Pointsman, SELDOM, addresses, try_addresses, write};
use super::ports::free_port;
use super::process::{Folder, eventually, output_of};
use super::services::HttpService;

const PROBES: &str = "pointsman_health_check_duration_seconds_count";
const TRANSITIONS: &str = "pointsman_health_transitions_total";

/// Kills a target; how long until the balancer and DNS were without it.
fn loss(scene: &mut Scene, index: usize) -> Duration {
    let target = scene.target(index);
    let host = target
        .ip()
        .to_string()
        .rsplit('.')
        .next()
        .and_then(|h| h.parse().ok());
    let host: u8 = host.unwrap();
    #[expect(clippy::disallowed_methods, reason = "measures another program")]
    let begun = std::time::Instant::now();
    scene.services[index].strike();
    let mut gone = (None, None);
    eventually("the target is unhealthy, and not in DNS", || {
        let is_down = || scene.pointsman.state("app", target) == "unhealthy";
        if gone.0.is_none() && is_down() {
            gone.0 = Some(begun.elapsed());
        }
        if gone.1.is_none() && !scene.answers().contains(&host) {
            gone.1 = Some(begun.elapsed());
        }
        gone.0.is_some() && gone.1.is_some()
    });
    gone.0.max(gone.1).unwrap()
}

#[test]
fn a_kill_shows_within_a_moment_of_traffic_and_within_the_thresholds_without() {
    // Under traffic no probe is needed: they are an hour apart.
    let mut scene = Scene::start(31, SELDOM);
    let load = scene.load();
    scene.await_load(&[0, 1, 2]);
    let took = loss(&mut scene, 1);
    println!(
        "kill -9 under traffic: balancer and DNS without the target after {took:?} (bar: 100 ms)"
    );
    drop(load);
    assert!(took < Duration::from_secs(60 * 60), "long before a probe");

    let mut scene = Scene::start(32, "interval = \"500ms\"");
    let took = loss(&mut scene, 2);
    println!("kill -9 without traffic: after {took:?} (bar: 500 ms x 2 + 100 ms)");
    let path = format!("/api/v1/target-groups/app/targets/{}", scene.target(2));
    let target = scene.pointsman.get(&path);
    assert_eq!(target["source"], "probe", "{target}");
}

/// A witness of what changes: the addresses that DNS gives, and transitions counted.
fn witnessed(scene: &Scene) -> (Vec<u8>, f64) {
    (scene.answers(), scene.pointsman.metric(TRANSITIONS))
}

/// Waits until so many more probes have ended.
fn await_probes(pointsman: &Pointsman, more: f64) {
    let enough = pointsman.metric(PROBES) + more;
    eventually("more probes have ended", || {
        pointsman.metric(PROBES) >= enough
    });
}

#[test]
fn a_process_that_was_stopped_finds_nothing_changed() {
    // Each of two probes in a row would have to find a service silent for so long, without a stop.
    let scene = Scene::start(33, "interval = \"3s\", timeout = \"2500ms\"");
    await_probes(&scene.pointsman, 6.0);
    let before = witnessed(&scene);
    assert_eq!(before.0, [11, 12, 13]);
    for _ in 0..2 {
        scene.pointsman.program.signal("STOP");
        // Long enough for every probe's timeout and an interval to pass meanwhile.
        std::thread::park_timeout(Duration::from_millis(3500));
        scene.pointsman.program.signal("CONT");
        await_probes(&scene.pointsman, 6.0);
    }
    assert_eq!(witnessed(&scene), before);
}

/// A clock that jumps as a file says (libfaketime), for one process; its monotonic time goes on.
struct Clock(PathBuf);

impl Clock {
    fn new(folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.jump("+0");
        clock
    }

    /// From now on the clock is `offset` off: `+1d`.
    fn jump(&self, offset: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, &self.0).unwrap();
    }

    fn environment(&self) -> [(&'static str, String); 4] {
        let library = format!(
            "/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1",
            std::env::consts::ARCH
        );
        assert!(Path::new(&library).exists(), "./test installs faketime");
        [
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

/// Starts the program in `folder` with `clock`.
fn start_with(folder: Folder, clock: &Clock) -> Pointsman {
    let environment = clock.environment();
    let environment: Vec<_> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    Pointsman::start_in(folder, &environment)
}

fn groups(services: &[HttpService], dns: &str, timing: &str) -> String {
    let [app @ .., witness] = services else {
        panic!("a witness is needed");
    };
    let app: Vec<_> = app.iter().map(|s| format!("\"{}\"", s.address)).collect();
    format!(
        r#"
        [[listener]]
        name = "web"
        bind = "127.0.0.1:0"
        protocol = "http"
        forward = {{ target-groups = [{{ name = "app" }}, {{ name = "witness", weight = 0 }}] }}
        [[target-group]]
        name = "app"
        protocol = "http"
        targets = [{app}]
        health-check = {{ path = "/", {timing} }}
        [[target-group]]
        name = "witness"
        protocol = "http"
        targets = ["{witness}"]
        [dns]
        bind = "{dns}"
        [[zone]]
        name = "example.test"
        [[zone.record]]
        name = "app"
        type = "A"
        alias = {{ target-group = "app" }}
        "#,
        app = app.join(", "),
        witness = witness.address,
    )
}

/// Seconds that the process's clock is ahead of ours, by when it says that a drain began.
fn ahead(pointsman: &Pointsman, witness: SocketAddr) -> f64 {
    let path = format!("/api/v1/target-groups/witness/targets/{witness}");
    pointsman.post(&format!("{path}/undrain"), "{}");
    pointsman.post(&format!("{path}/drain"), "{}");
    let target = pointsman.get(&path);
    let since = target["since"].as_str().expect("a time");
    let since: f64 = output_of("date", &["-d", since, "+%s"])
        .trim()
        .parse()
        .unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since - now.unwrap().as_secs_f64()
}

#[test]
fn jumps_of_the_clock_change_nothing() {
    const DAY: f64 = 86_400.0;
    let services: Vec<_> = (11..14)
        .map(|host| HttpService::start(&format!("127.34.0.{host}"), 0))
        .collect();
    let witness = services[2].address;
    let folder = Folder::new("acceptance");
    let timing = "interval = \"2s\", timeout = \"1900ms\"";
    write(&folder, &groups(&services, "127.0.0.1:0", timing));
    let clock = Clock::new(folder.path());
    let pointsman = start_with(folder, &clock);
    let dns = pointsman.dns();
    let answers = || -> Vec<u8> {
        let found = addresses(dns, "app.example.test");
        found.iter().map(|address| address.octets()[3]).collect()
    };
    eventually("both are healthy", || answers() == [11, 12]);
    for (offset, seconds) in [("+1d", DAY), ("-2d", -2.0 * DAY), ("+0", 0.0)] {
        clock.jump(offset);
        let found = ahead(&pointsman, witness);
        assert!((found - seconds).abs() < 60.0, "{offset}: {found} s ahead");
        let before = pointsman.metric(TRANSITIONS);
        await_probes(&pointsman, 6.0);
        assert_eq!(answers(), [11, 12], "after {offset}");
        assert_eq!(pointsman.metric(TRANSITIONS), before, "after {offset}");
    }
    // What was saved a day ago by the clock, or a day ahead of it, counts as nothing: targets begin as
    // new ones then, and their first probes say what they are.
    let mut pointsman = Some(pointsman);
    let mut restarted = |saved: &str, started: &str| {
        clock.jump(saved);
        let folder = pointsman.take().unwrap().stop();
        clock.jump(started);
        let new = pointsman.insert(start_with(folder, &clock));
        let dns = new.dns();
        let found = addresses(dns, "app.example.test");
        assert_eq!(found.len(), 2, "{found:?}");
        new.program.output().join("\n")
    };
    let said = restarted("+1d", "+0");
    assert!(said.contains("it is from the future"), "{said}");
    let said = restarted("+0", "+1d");
    assert!(said.contains(" s old"), "{said}");
}

/// Asks DNS again and again, from a thread of its own, and keeps each different answer.
struct Watcher {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Watcher {
    fn start(dns: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let thread = std::thread::spawn(move || {
            let mut seen: Vec<Vec<u8>> = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                // While nobody serves there is no answer, which is none that is wrong.
                if let Ok(found) = try_addresses(dns, "app.example.test") {
                    let found = found.iter().map(|address| address.octets()[3]).collect();
                    if !seen.contains(&found) {
                        seen.push(found);
                    }
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
            seen
        });
        Self { over, thread }
    }

    fn seen(self) -> Vec<Vec<u8>> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn a_restart_neither_announces_the_dead_nor_hides_the_living() {
    let mut services: Vec<_> = (11..16)
        .map(|host| HttpService::start(&format!("127.35.0.{host}"), 0))
        .collect();
    let port = free_port("127.35.0.1");
    let dns: SocketAddr = format!("127.35.0.1:{port}").parse().unwrap();
    let folder = Folder::new("acceptance");
    write(&folder, &groups(&services, &dns.to_string(), PATIENT));
    let pointsman = Pointsman::start_in(folder, &[]);
    services[1].kill();
    let drained = services[2].address;
    pointsman.post(
        &format!("/api/v1/target-groups/app/targets/{drained}/drain"),
        "{}",
    );
    // Its interval is five seconds: the first request that reaches the dead target shows it.
    let web = format!("http://{}/", pointsman.listener("web"));
    eventually("the dead target is out of DNS", || {
        output_of("curl", &["-s", &web]);
        pointsman.state("app", services[1].address) == "unhealthy"
    });
    let watcher = Watcher::start(dns);
    let mut pointsman = pointsman;
    for _ in 0..2 {
        pointsman = Pointsman::start_in(pointsman.stop(), &[]);
        await_probes(&pointsman, 8.0);
        assert_eq!(pointsman.state("app", services[1].address), "unhealthy");
        assert_eq!(pointsman.state("app", drained), "draining");
        assert_eq!(pointsman.state("app", services[0].address), "healthy");
    }
    assert_eq!(
        watcher.seen(),
        [[11, 14]],
        "the only answer, from the first on"
    );
}
