//! The program under test: the real binary with a configuration of the test's own, watched through
//! its admin socket.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::process::{Folder, PATIENCE, Program, eventually};

/// A running `pointsman run`.
pub struct Pointsman {
    /// The process.
    pub program: Program,
    folder: Folder,
}

impl Pointsman {
    /// Starts it with `config` (an admin surface on a free port is added) and waits until it is
    /// ready.
    pub fn start(config: &str) -> Self {
        let folder = Folder::new("acceptance");
        write(&folder, config);
        Self::start_in(folder, &[])
    }

    /// Starts it with the configuration, and what else is there, in `folder`, and waits until it is
    /// ready.
    pub fn start_in(folder: Folder, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.envs(environment.iter().copied());
        Self::start_by(command, folder)
    }

    /// The same by a command that runs the program.
    pub fn start_by(mut command: Command, folder: Folder) -> Self {
        let program = Program::start(
            command
                .arg("run")
                .arg("-c")
                .arg(folder.path().join("pointsman.toml"))
                .current_dir(folder.path()),
        );
        let mut started = Self { program, folder };
        let mut runs = true;
        eventually("pointsman is ready", || {
            runs = started.program.is_running();
            let ready = started.try_request("GET", "/readyz", "");
            !runs || ready.is_some_and(|(status, _)| status == 200)
        });
        if !runs {
            let (status, lines) = started.program.finish();
            panic!("{status}:\n{}", lines.join("\n"));
        }
        started
    }

    /// Ends it in order; its folder, with what it remembers.
    pub fn stop(self) -> Folder {
        self.program.signal("TERM");
        let (status, lines) = self.program.finish();
        assert!(status.success(), "{status}:\n{}", lines.join("\n"));
        self.folder
    }

    /// The sum of all samples of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.request("GET", "/metrics", "");
        let own = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        text.lines().filter(own).filter_map(value).sum()
    }

    /// Replaces the configuration file; nothing is reloaded by that alone.
    pub fn write_config(&self, config: &str) {
        write(&self.folder, config);
    }

    /// One request to the admin socket: status and body.
    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.try_request(method, path, body)
            .expect("the admin socket answers")
    }

    /// A GET that must succeed, as JSON.
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
    }

    /// A POST that must succeed.
    pub fn post(&self, path: &str, body: &str) {
        let (status, answer) = self.request("POST", path, body);
        assert_eq!(status, 200, "{path}: {answer}");
    }

    /// The first address of a listener, with its real port.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let listener = self.get(&format!("/api/v1/listeners/{name}"));
        listener["bind"][0]
            .as_str()
            .and_then(|a| a.parse().ok())
            .expect("a bound address")
    }

    /// Where DNS is served.
    pub fn dns(&self) -> SocketAddr {
        let generation = self.get("/api/v1/generation");
        generation["addresses"]["dns"][0]
            .as_str()
            .and_then(|a| a.parse().ok())
            .expect("a DNS address")
    }

    /// The state of a target.
    pub fn state(&self, group: &str, target: SocketAddr) -> String {
        let target = self.get(&format!("/api/v1/target-groups/{group}/targets/{target}"));
        target["state"].as_str().expect("a state").to_owned()
    }

    /// Times a target was chosen.
    pub fn selected(&self, group: &str, target: SocketAddr) -> u64 {
        let target = self.get(&format!("/api/v1/target-groups/{group}/targets/{target}"));
        target["selected"].as_u64().expect("a count")
    }

    fn try_request(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let socket: PathBuf = self.folder.path().join("state/admin.sock");
        let mut stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let chunked = head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked");
        Some((
            status,
            if chunked {
                unchunk(body)?
            } else {
                body.to_owned()
            },
        ))
    }
}

/// Writes the configuration file of a folder.
pub fn write(folder: &Folder, config: &str) {
    let text = format!("state-dir = \"state\"\n{config}\n[admin]\nbind = \"127.0.0.1:0\"\n");
    std::fs::write(folder.path().join("pointsman.toml"), text).expect("write the configuration");
}

/// Timing of health checks that a machine which stalls cannot fail: two probes in a row would have to
/// find a service silent for four seconds each. One that is gone refuses, which is found within an
/// interval.
pub const PATIENT: &str = r#"interval = "5s", timeout = "4s", fast-interval = "200ms""#;

/// Timing of health checks of which only the first is ever made: what is found out, traffic finds out.
pub const SELDOM: &str = r#"interval = "1h", timeout = "1m""#;

/// The key of a group whose health is asked for at `path`.
pub fn check(path: &str, timing: &str) -> String {
    format!("health-check = {{ protocol = \"http\", path = \"{path}\", {timing} }}")
}

/// The name app.example.test, which follows the group `app`.
pub const NAME: &str = r#"
        [dns]
        bind = "127.0.0.1:0"
        [[zone]]
        name = "example.test"
        [[zone.record]]
        name = "app"
        type = "A"
        alias = { target-group = "app" }
        "#;

/// A listener `web` for HTTP before the group `app` of these targets; `group` are more keys of it.
pub fn web(targets: impl IntoIterator<Item = SocketAddr>, group: &str) -> String {
    let targets: Vec<String> = targets.into_iter().map(|t| format!("\"{t}\"")).collect();
    web_before(&format!("targets = [{}]\n{group}", targets.join(", ")))
}

/// A listener `web` for HTTP before the group `app`, of which all keys are given.
pub fn web_before(group: &str) -> String {
    format!(
        r#"
        [[listener]]
        name = "web"
        bind = "127.0.0.1:0"
        protocol = "http"
        forward = "app"
        [[target-group]]
        name = "app"
        protocol = "http"
        {group}
        "#
    )
}

fn unchunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size + 2..)?;
    }
}

/// Asks a DNS server for the A records of `name` over UDP until it answers: addresses, sorted.
pub fn addresses(server: SocketAddr, name: &str) -> Vec<Ipv4Addr> {
    let mut found = None;
    eventually("a DNS answer", || {
        found = try_addresses(server, name).ok();
        found.is_some()
    });
    found.expect("there is one")
}

/// [`addresses`] asked once, or why there is no answer.
pub fn try_addresses(server: SocketAddr, name: &str) -> std::io::Result<Vec<Ipv4Addr>> {
    let socket = UdpSocket::bind((IpAddr::from([127, 0, 0, 1]), 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    // Connected: a port that nobody has is told at once.
    socket.connect(server)?;
    socket.send(&query)?;
    let mut packet = [0; 1500];
    let length = socket.recv(&mut packet)?;
    let answers = u16::from_be_bytes([packet[6], packet[7]]);
    let mut at = query.len();
    let mut found: Vec<Ipv4Addr> = (0..answers)
        .map(|_| {
            assert_eq!(
                &packet[at..at + 4],
                &[0xC0, 0x0C, 0, 1],
                "an A record of the name"
            );
            let address: [u8; 4] = packet[at + 12..at + 16].try_into().unwrap();
            at += 16;
            address.into()
        })
        .collect();
    assert!(at <= length);
    found.sort_unstable();
    Ok(found)
}
