//! How much work a target may have, as its agent says while everything runs.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::pointsman::Pointsman;
use super::probed::{AGENT, script};
use super::process::{Folder, PATIENCE, eventually};

/// Sends back what it gets.
const ECHO: &str = r#"
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(100):
            self.request.sendall(data)
server = socketserver.ThreadingTCPServer((sys.argv[1], 0), Echo)
server.daemon_threads = True
print("port", server.server_address[1])
server.serve_forever()
"#;

/// A flow that was answered; `None` when it was refused.
fn flow(listener: SocketAddr) -> Option<TcpStream> {
    let mut flow = TcpStream::connect(listener).unwrap();
    flow.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut byte = [0];
    let echoed = flow.write_all(b"x").and_then(|()| flow.read(&mut byte));
    matches!(echoed, Ok(1)).then_some(flow)
}

#[test]
fn an_agent_says_how_much_work_its_target_may_have() {
    let folder = Folder::new("agent-limit");
    let says = folder.path().join("agent");
    std::fs::write(&says, "up maxconn:2\n").unwrap();
    let (_agent, agent) = script(AGENT, &says);
    let (_echo, echo) = script(ECHO, &says);
    let pointsman = Pointsman::start(&format!(
        r#"
        [[listener]]
        name = "app"
        bind = "127.0.0.1:0"
        protocol = "tcp"
        forward = "app"
        [[target-group]]
        name = "app"
        protocol = "tcp"
        targets = ["127.36.0.1:{echo}"]
        max-in-flight = 5
        queue-timeout = "200ms"
        health-check = {{ protocol = "agent", port = {agent}, interval = "200ms" }}
        "#
    ));
    let path = format!("/api/v1/target-groups/app/targets/127.36.0.1:{echo}");
    let limit = |wanted: u64| {
        eventually("the limit is the agent's or the file's", || {
            pointsman.get(&path)["max-in-flight"] == wanted
        });
    };
    limit(2);
    let listener = pointsman.listener("app");
    let mut flows: Vec<TcpStream> = (0..2).map(|_| flow(listener).unwrap()).collect();
    assert!(flow(listener).is_none(), "a third is one too many");
    std::fs::write(&says, "up maxconn:3\n").unwrap();
    limit(3);
    eventually("the third one finds room", || {
        flows.extend(flow(listener));
        flows.len() == 3
    });
    assert!(flow(listener).is_none());
    for (line, wanted) in [("maxconn:9\n", 5), ("maxconn:4\n", 4), ("up\n", 4)] {
        std::fs::write(&says, line).unwrap();
        limit(wanted);
    }
    std::fs::write(&says, "up maxconn:0\n").unwrap();
    limit(5);
}
