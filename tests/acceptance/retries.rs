//! What a failed request may be followed by, and what says that it was not.

use std::net::SocketAddr;

use super::pointsman::{Pointsman, web};
use super::probed::script;
use super::process::{Folder, eventually, output_of};
use super::services::HttpService;

/// Reads a request and closes, as an application that dies of it; probes, which close first, pass.
const MORTAL: &str = r#"
import socketserver, sys
class Mortal(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(4096)
server = socketserver.ThreadingTCPServer((sys.argv[1], 0), Mortal)
server.daemon_threads = True
print("port", server.server_address[1])
server.serve_forever()
"#;

fn config(targets: [SocketAddr; 2], group: &str) -> String {
    let check = r#"health-check = { protocol = "tcp", interval = "1h" }"#;
    web(targets, &format!("{check}\n{group}"))
}

fn await_refused(pointsman: &Pointsman, reason: &str, count: f64) {
    let name = format!("pointsman_retries_refused_total{{reason=\"{reason}\"}}");
    eventually(reason, || pointsman.metric(&name) == count);
}

fn status(pointsman: &Pointsman) -> String {
    let url = format!("http://{}/", pointsman.listener("web"));
    output_of(
        "curl",
        &["-s", "-o", "/dev/null", "-w", "%{http_code}", &url],
    )
}

#[test]
fn without_retries_a_dead_target_costs_its_requests() {
    let mut services = [
        HttpService::start("127.56.0.11", 0),
        HttpService::start("127.56.0.12", 0),
    ];
    let targets = services.each_ref().map(|service| service.address);
    let pointsman = Pointsman::start(&config(targets, "retries = 0"));
    services[0].kill();
    let statuses: Vec<String> = (0..2).map(|_| status(&pointsman)).collect();
    assert!(statuses.contains(&"502".to_owned()), "{statuses:?}");
    await_refused(&pointsman, "retries", 1.0);
    // Everybody skips it now.
    assert_eq!(status(&pointsman), "200");
}

#[test]
fn requests_that_targets_die_of_come_out_of_the_budget() {
    let folder = Folder::new("mortal");
    let (_mortal, mortal) = script(MORTAL, folder.path());
    let service = HttpService::start("127.57.0.11", 0);
    let targets = [SocketAddr::from(([127, 36, 0, 1], mortal)), service.address];
    let pointsman = Pointsman::start(&config(targets, "retry-budget = 0"));
    let statuses: Vec<String> = (0..4).map(|_| status(&pointsman)).collect();
    assert_eq!(
        statuses.iter().filter(|s| *s == "502").count(),
        2,
        "{statuses:?}"
    );
    await_refused(&pointsman, "retry-budget", 2.0);
    // By default a fifth of all requests may be tried again, and some to begin with.
    pointsman.write_config(&config(targets, ""));
    pointsman.post("/api/v1/reload", "{}");
    assert_eq!(status(&pointsman), "200");
    assert_eq!(status(&pointsman), "200");
}
