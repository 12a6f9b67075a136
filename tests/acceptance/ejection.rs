//! Targets whose probes pass and whose requests fail: ejected, in DNS too, and back by time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use super::pointsman::{NAME, PATIENT, Pointsman, addresses, check, web};
use super::process::{Folder, PATIENCE, Program, eventually};

/// Answers its health check with what the file `health` holds, everything else with `status`.
const SERVICE: &str = r#"
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        name = "health" if self.path == "/healthz" else "status"
        status = int(open(sys.argv[2] + "/" + name).read())
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer((sys.argv[1], 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
"#;

/// A service that answers as it is told.
pub(super) struct Moody {
    _program: Program,
    pub(super) address: SocketAddr,
    folder: Folder,
}

impl Moody {
    pub(super) fn start(ip: &str) -> Self {
        let folder = Folder::new("moody");
        for name in ["status", "health"] {
            std::fs::write(folder.path().join(name), "200").unwrap();
        }
        let mut program = Program::start(
            Command::new("python3")
                .args(["-c", SERVICE, ip])
                .arg(folder.path()),
        );
        let line = program.wait_for_line("its port", |line| line.starts_with("port "));
        let port = line.split(' ').nth(1).and_then(|port| port.parse().ok());
        Self {
            _program: program,
            address: SocketAddr::new(ip.parse().unwrap(), port.expect("a port")),
            folder,
        }
    }

    /// From now on requests get this status.
    pub(super) fn answer(&self, status: u16) {
        self.set("status", status);
    }

    /// As an entry of `targets`, in an availability zone.
    pub(super) fn in_zone(&self, zone: &str) -> String {
        let address = self.address;
        format!("{{ address = \"{address}\", availability-zone = \"{zone}\" }}")
    }

    /// From now on its health check fails, or not.
    pub(super) fn say_it_is_ill(&self, ill: bool) {
        self.set("health", if ill { 503 } else { 200 });
    }

    fn set(&self, name: &str, status: u16) {
        // Replaced, not written over: it is read at every request.
        let new = self.folder.path().join("new");
        std::fs::write(&new, status.to_string()).unwrap();
        std::fs::rename(&new, self.folder.path().join(name)).unwrap();
    }
}

/// The status of one GET on a connection of its own.
pub(super) fn status_of(listener: SocketAddr) -> u16 {
    let mut stream = TcpStream::connect(listener).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {answer:?}"))
}

pub(super) fn config(services: &[Moody], group: &str) -> String {
    let check = check("/healthz", PATIENT);
    let addresses = services.iter().map(|service| service.address);
    web(addresses, &format!("{check}\n{group}")) + NAME
}

pub(super) fn octets(pointsman: &Pointsman) -> Vec<u8> {
    let found = addresses(pointsman.dns(), "app.example.test");
    found.iter().map(|address| address.octets()[3]).collect()
}

/// Three services, a group of which one is ejected for `time` after three failures.
fn ejecting(net: u8, time: &str) -> (Vec<Moody>, String) {
    let services: Vec<Moody> = (11..14)
        .map(|host| Moody::start(&format!("127.{net}.0.{host}")))
        .collect();
    let passive = format!(
        "passive-health = {{ consecutive-failures = 3, base-ejection-time = \"{time}\", \
         ejection-jitter = \"0s\" }}"
    );
    let text = config(&services, &passive);
    (services, text)
}

#[test]
fn a_target_that_answers_500_is_ejected() {
    // For longer than anything takes.
    let (services, text) = ejecting(41, "5m");
    let mut pointsman = Pointsman::start(&text);
    let listener = pointsman.listener("web");
    let ill = services[1].address;
    let path = format!("/api/v1/target-groups/app/targets/{ill}");
    assert_eq!(octets(&pointsman), [11, 12, 13]);
    services[1].answer(500);
    let mut failed = 0;
    eventually("it is ejected", || {
        failed += u32::from(status_of(listener) == 500);
        pointsman.state("app", ill) == "unhealthy"
    });
    assert!(failed >= 3, "{failed} requests told");
    let target = pointsman.get(&path);
    assert_eq!(target["reason"], "Target.Ejected", "{target}");
    assert_eq!(target["source"], "passive", "{target}");
    let said = "Ejected for 300.0 s (ejection 1): 3 failures in a row";
    assert_eq!(target["description"], said, "{target}");
    let passive = &target["probes"]["passive"];
    assert_eq!(passive["ejection"], 1, "{target}");
    eventually("DNS has lost it", || octets(&pointsman) == [11, 13]);
    eventually("no request reaches it", || {
        (0..6).all(|_| status_of(listener) == 200)
    });
    assert_eq!(pointsman.metric("pointsman_ejections_total"), 1.0);
    let lines = pointsman.program.output().join("\n");
    assert!(lines.contains(said), "{lines}");
}

#[test]
fn an_ejected_target_comes_back_by_time() {
    let (services, text) = ejecting(48, "2s");
    let pointsman = Pointsman::start(&text);
    let listener = pointsman.listener("web");
    let ill = services[1].address;
    services[1].answer(500);
    eventually("it is ejected", || {
        status_of(listener);
        pointsman.metric("pointsman_ejections_total") >= 1.0
    });
    services[1].answer(200);
    eventually("it is back", || pointsman.state("app", ill) == "healthy");
    eventually("DNS has it again", || octets(&pointsman) == [11, 12, 13]);
    let before = pointsman.selected("app", ill);
    eventually("requests reach it", || {
        assert_eq!(status_of(listener), 200);
        pointsman.selected("app", ill) > before
    });
    assert_eq!(pointsman.metric("pointsman_targets_ejected"), 0.0);
}

#[test]
fn targets_that_all_answer_500_are_not_ejected_to_the_last() {
    let services = [Moody::start("127.42.0.11"), Moody::start("127.42.0.12")];
    let passive = "passive-health = { consecutive-failures = 2, max-ejected-percentage = 100, \
                   base-ejection-time = \"5m\" }";
    let mut pointsman = Pointsman::start(&config(&services, passive));
    let listener = pointsman.listener("web");
    services.iter().for_each(|service| service.answer(503));
    let refused = "pointsman_ejections_refused_total";
    eventually("the second ejection is refused", || {
        assert_eq!(status_of(listener), 503);
        pointsman.metric(refused) >= 1.0
    });
    let states = services
        .each_ref()
        .map(|s| pointsman.state("app", s.address));
    let healthy = states.iter().filter(|state| **state == "healthy");
    assert_eq!(healthy.count(), 1, "{states:?}");
    assert_eq!(pointsman.metric("pointsman_targets_ejected"), 1.0);
    let lines = pointsman.program.output().join("\n");
    let why = "would be left healthy, and the group would fail open";
    assert!(lines.contains(why), "{lines}");
}
