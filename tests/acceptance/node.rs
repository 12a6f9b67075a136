//! Node applications, whose server closes idle connections after 5 s: nobody may notice that, nor a
//! restart of one after the other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::http_failover::Load;
use super::pointsman::{PATIENT, Pointsman, check, web};
use super::process::{Folder, Program, eventually};

/// An application that finishes what it has when it is asked to end.
const APPLICATION: &str = r#"
const server = require("http").createServer((request, response) => {
  request.resume().on("end", () => response.end(process.argv[1] + "\n"));
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
server.listen(Number(process.argv[2]), process.argv[1], () => console.log("port " + server.address().port));
"#;

/// wrk with a cookie jar, one for all connections of its thread.
const WITH_COOKIES: &str = r#"
local cookie
function request()
  if cookie then return wrk.format("GET", "/", { Cookie = cookie }) end
  return wrk.format("GET", "/")
end
function response(status, headers)
  local set = headers["Set-Cookie"]
  if set then cookie = set:match("^[^;]+") end
end
"#;

struct Node {
    program: Program,
    address: SocketAddr,
}

impl Node {
    fn start(ip: &str, port: u16) -> Self {
        let mut command = Command::new("node");
        let mut program = Program::start(command.args(["-e", APPLICATION, ip, &port.to_string()]));
        let line = program.wait_for_line("its port", |line| line.starts_with("port "));
        let port = line.trim_start_matches("port ").parse().unwrap();
        Self {
            program,
            address: SocketAddr::new(ip.parse().unwrap(), port),
        }
    }

    /// Ends it in order and starts another one in its place.
    fn restart(&mut self) {
        self.program.signal("TERM");
        eventually("it has ended", || !self.program.is_running());
        *self = Self::start(&self.address.ip().to_string(), self.address.port());
    }
}

fn config(nodes: &[Node], more: &str) -> String {
    let check = check("/", PATIENT);
    let addresses = nodes.iter().map(|node| node.address);
    web(addresses, &format!("{check}\n{more}"))
}

#[test]
fn a_rolling_restart_under_load_with_cookies_fails_nobody() {
    let mut nodes: Vec<Node> = (11..14)
        .map(|host| Node::start(&format!("127.54.0.{host}"), 0))
        .collect();
    let more = "stickiness = { type = \"lb-cookie\", duration = \"1h\" }";
    let pointsman = Pointsman::start(&config(&nodes, more));
    let folder = Folder::new("wrk");
    let script = folder.path().join("cookies.lua");
    std::fs::write(&script, WITH_COOKIES).unwrap();
    let url = format!("http://{}/", pointsman.listener("web"));
    let load = Load::start(&["-t3", "-c24", "-s", &script.display().to_string(), &url]);
    let await_more = || {
        let before = pointsman.metric("pointsman_requests_total");
        eventually("everybody has sessions", || {
            pointsman.metric("pointsman_requests_total") > before + 100.0
        });
    };
    for node in &mut nodes {
        let address = node.address;
        await_more();
        node.restart();
        eventually("it is healthy again", || {
            pointsman.state("app", address) == "healthy"
        });
    }
    await_more();
    let (failed, requests) = load.end();
    assert_eq!(failed, 0, "of {requests}");
    let name = "pointsman_sticky_requests_total{outcome=\"kept\"}";
    assert!(pointsman.metric(name) > 100.0);
}

/// One POST on a connection that is kept; its status.
fn post(client: &mut TcpStream) -> u16 {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok";
    client.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut bytes) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\n") || answer.ends_with(b"\r\n") {
        let count = client.read(&mut bytes).unwrap();
        assert!(
            count > 0,
            "closed after {}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend_from_slice(&bytes[..count]);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).map(str::parse);
    status.unwrap().unwrap()
}

#[test]
fn connections_that_node_closes_after_five_seconds_cost_nobody_an_answer() {
    let nodes = [Node::start("127.55.0.11", 0)];
    let pointsman = Pointsman::start(&config(&nodes, ""));
    let listener = pointsman.listener("web");
    // POSTs may not be sent twice, so that every connection lost under one would show. The gaps lie
    // around the moment at which node closes.
    let clients = (0..40u64).map(|n| {
        std::thread::spawn(move || {
            let mut client = TcpStream::connect(listener).unwrap();
            let gap = Duration::from_millis(4900 + n * 8);
            for _ in 0..2 {
                assert_eq!(post(&mut client), 200, "after {gap:?}");
                // What is seen here is what the silence does.
                std::thread::park_timeout(gap);
            }
            assert_eq!(post(&mut client), 200, "after {gap:?}");
        })
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        client.join().unwrap();
    }
}
