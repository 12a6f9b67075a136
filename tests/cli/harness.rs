//! Starting the binary, sample services and small HTTP requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::ports::free_port;

/// Nothing here takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary with arguments.
pub fn pointsman(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command
        .args(arguments)
        .env_remove("POINTSMAN_ADMIN")
        .env_remove("POINTSMAN_LOG")
        .env_remove("RUST_LOG");
    command
}

/// Runs the binary to its end.
pub fn output(arguments: &[&str]) -> Output {
    pointsman(arguments).output().unwrap()
}

/// What a command wrote to stdout.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command wrote to stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asks again until there is an answer; panics when there is none in time.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A folder of one test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A sample service: answers HTTP and TCP with its name.
pub struct Service {
    child: Child,
    pub http: SocketAddr,
    pub tcp: SocketAddr,
}

impl Service {
    pub fn start(name: &str) -> Self {
        let parent = std::process::id().to_string();
        // Not any port: once it is killed, nobody else is to be found at its address.
        let [http, tcp] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port("127.0.0.1")));
        let arguments = ["demo-service", name, &http, &tcp, "--with-parent", &parent];
        // The kernel ends it when the thread that made it ends, which is the test's own.
        let mut child = pointsman(&arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        Self {
            child,
            http: words[1].parse().unwrap(),
            tcp: words[2].parse().unwrap(),
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A serving process with a configuration of its own.
pub struct Process {
    child: Child,
    log: Receiver<String>,
    pub folder: Folder,
    pub file: String,
    /// `--admin` argument: the unix socket.
    pub admin: String,
}

impl Process {
    /// Serves a configuration; `[admin]` is added. Returns once it serves.
    pub fn start(configuration: &str) -> Self {
        let folder = Folder::new();
        let file = folder.write("pointsman.toml", &with_admin(configuration));
        let (child, log) = serve(&file);
        let admin = format!("unix:{}", folder.0.join("state/admin.sock").display());
        let process = Self {
            child,
            log,
            folder,
            file,
            admin,
        };
        process.wait_for_log("generation 1 of");
        process
    }

    /// Ends it at once and starts it again in its folder, on new ports.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.log) = serve(&self.file);
        self.wait_for_log("generation 1 of");
    }

    /// The first log line from now that holds `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no log line with {text:?}: {error}"),
            }
        }
    }

    /// Replaces the configuration file.
    pub fn write(&self, configuration: &str) {
        self.folder
            .write("pointsman.toml", &with_admin(configuration));
    }

    /// Runs a command on this process.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut all = arguments.to_vec();
        all.extend(["--admin", &self.admin]);
        output(&all)
    }

    /// Runs a command that must succeed; its stdout.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output)
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.succeed(&["status", "--json"])).unwrap()
    }

    /// The address of the listener at an index.
    pub fn listener(&self, index: usize) -> SocketAddr {
        address(&self.status()["listeners"][index]["bind"][0])
    }

    /// The TCP address of the admin surface.
    pub fn admin_tcp(&self) -> SocketAddr {
        address(&self.status()["generation"]["addresses"]["admin"])
    }

    /// The address of the DNS server.
    pub fn dns(&self) -> SocketAddr {
        address(&self.status()["generation"]["addresses"]["dns"][0])
    }

    /// Waits until a target is in a state.
    pub fn wait_for_state(&self, group: &str, target: SocketAddr, state: &str) {
        let target = target.to_string();
        eventually(&format!("{group} {target} {state}"), || {
            let shown = self.succeed(&["status", group, &target, "--json"]);
            let shown: Value = serde_json::from_str(&shown).unwrap();
            (shown["state"] == state).then_some(())
        });
    }

    /// Waits until everything was probed once.
    pub fn wait_until_ready(&self) {
        let admin = self.admin_tcp();
        eventually("/readyz", || {
            (get(admin, "/readyz").status == 200).then_some(())
        });
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Its threads: name and niceness (proc(5), field 19 of `stat`).
    pub fn threads(&self) -> Vec<(String, i64)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let thread = |stat: String| {
            let (before, after) = stat.rsplit_once(") ")?;
            let nice = after.split(' ').nth(16)?.parse().ok()?;
            Some((before.split_once('(')?.1.to_owned(), nice))
        };
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok())
            .filter_map(thread)
            .collect()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the process ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said: Vec<String> = self.log.try_iter().collect();
            eprintln!("the process had said:\n{}", said.join("\n"));
        }
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

fn serve(file: &str) -> (Child, Receiver<String>) {
    let mut child = pointsman(&["run", "-c", file])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = lines(child.stderr.take().unwrap());
    (child, log)
}

fn with_admin(configuration: &str) -> String {
    format!("{configuration}\n[admin]\nbind = \"127.0.0.1:0\"\n")
}

/// Lines of a pipe, read by a thread of their own so that the writer never waits.
pub fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn address(value: &Value) -> SocketAddr {
    value
        .as_str()
        .unwrap_or_default()
        .parse()
        .unwrap_or_else(|_| panic!("no address: {value}"))
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends raw bytes and reads until the end.
pub fn exchange(mut stream: impl Read + Write, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Connects over TCP, with a deadline on reads.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects to a unix socket, with a deadline on reads.
pub fn connect_unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// GET with `Connection: close`.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(connect(address), &request)
}

/// POST of JSON with `Connection: close`, with more header lines.
pub fn post(address: SocketAddr, path: &str, more: &str, body: &str) -> Answer {
    send(address, "POST", path, more, body)
}

/// A request with a body.
pub fn send(address: SocketAddr, method: &str, path: &str, more: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n{body}"
    );
    exchange(connect(address), &request)
}

/// An HTTP listener over the services. Two probes in a row would have to find a service silent for
/// four seconds each to call it unhealthy: a machine that stalls for a moment does not. One that is
/// gone refuses, which is found within an interval.
pub fn http_over(services: &[&Service]) -> String {
    let targets: Vec<String> = services.iter().map(|s| format!("\"{}\"", s.http)).collect();
    format!(
        "[logs]\naccess = \"off\"\npast-requests = 10\n\
         [[listener]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\nforward = \"app\"\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"http\"\ntargets = [{}]\n\
         [target-group.health-check]\nprotocol = \"http\"\npath = \"/healthz\"\n\
         interval = \"5s\"\ntimeout = \"4s\"\nfast-interval = \"200ms\"\n",
        targets.join(", ")
    )
}

/// The names that answer `count` requests.
pub fn names(address: SocketAddr, count: usize) -> Vec<String> {
    let name = |_| {
        let answer = get(address, "/");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body.split(' ').nth(2).unwrap().to_owned()
    };
    (0..count).map(name).collect()
}
