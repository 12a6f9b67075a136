//! Health checks of real servers, each by its own protocol: nginx, Redis, PostgreSQL (in
//! `postgresql`), a gRPC server, Prometheus, an agent, and the program's own DNS.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::pointsman::Pointsman;
use super::ports;
use super::process::{Folder, Program};

const IP: &str = "127.36.0.1";

/// A port for a program that cannot choose one and say so.
pub fn free_port() -> u16 {
    ports::free_port(IP)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(IP.parse().unwrap(), port)
}

/// A group of one target and what its check is to see.
struct Case {
    name: &'static str,
    target: SocketAddr,
    check: String,
    seen: &'static str,
}

impl Case {
    /// The group, and a listener, without which it would not be probed.
    fn config(&self) -> String {
        let Self {
            name,
            target,
            check,
            ..
        } = self;
        format!(
            r#"
            [[listener]]
            name = "{name}"
            bind = "127.0.0.1:0"
            protocol = "tcp"
            forward = "{name}"
            [[target-group]]
            name = "{name}"
            protocol = "tcp"
            targets = ["{target}"]
            health-check = {{ interval = "300ms", unhealthy-threshold = 1, {check} }}
            "#
        )
    }

    fn details(&self, pointsman: &Pointsman) -> Value {
        let Self { name, target, .. } = self;
        pointsman.get(&format!("/api/v1/target-groups/{name}/targets/{target}"))
    }

    /// Waits for a state in which the last probe saw this.
    fn await_seen(&self, pointsman: &Pointsman, state: &str, seen: &str) {
        let mut last = Value::Null;
        let mut is_seen = || {
            last = self.details(pointsman);
            let saw = last["probes"]["observations"][0]["seen"]
                .as_str()
                .unwrap_or_default();
            last["state"] == state && saw.starts_with(seen)
        };
        // A minute at least: a machine that is busy takes its time to start Prometheus.
        for _ in 0..6000 {
            if is_seen() {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        panic!("{}: not {state} with {seen}, but {last:#}", self.name);
    }
}

/// nginx with a port for each way of HTTP; the ports: http, https, h2, h2c, proxied.
fn nginx(folder: &Path) -> (Program, [u16; 5]) {
    let ports: [u16; 5] = std::array::from_fn(|_| free_port());
    let [http, https, h2, h2c, proxied] = ports;
    let names = "subjectAltName=DNS:app.test";
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let made = Command::new("openssl")
        .args(request.split(' '))
        .args(["-subj", "/CN=app.test", "-addext", names])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    let root = folder.display();
    let config = format!(
        r#"
        daemon off; master_process off; pid {root}/nginx.pid; error_log stderr;
        events {{}}
        http {{
            access_log off; client_body_temp_path {root}/1; proxy_temp_path {root}/2;
            fastcgi_temp_path {root}/3; uwsgi_temp_path {root}/4; scgi_temp_path {root}/5;
            ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
            ssl_protocols TLSv1.2 TLSv1.3; default_type text/plain; gzip on; gzip_min_length 0;
            server {{
                listen {IP}:{http}; listen {IP}:{https} ssl; listen {IP}:{h2} ssl http2;
                listen {IP}:{h2c} http2; listen {IP}:{proxied} proxy_protocol;
                location / {{ return 200 "hay needle hay\n"; }}
                location /moved {{ return 302 /; }}
            }}
        }}
        "#
    );
    std::fs::write(folder.join("nginx.conf"), config).unwrap();
    let program = Program::start(
        Command::new("nginx")
            .args(["-c", &format!("{root}/nginx.conf")])
            .args(["-p", &root.to_string()]),
    );
    (program, ports)
}

/// A python program that prints its port first.
pub(super) fn script(text: &str, argument: &Path) -> (Program, u16) {
    // Debian's own, for Debian's grpcio.
    let mut program = Program::start(
        Command::new("/usr/bin/python3")
            .args(["-u", "-c", text, IP])
            .arg(argument),
    );
    let line = program.wait_for_line("its port", |line| line.starts_with("port "));
    let port = line.trim_start_matches("port ").parse().expect("a port");
    (program, port)
}

/// gRPC's health service, of the real library, that serves while the file says so.
const GRPC: &str = r#"
import concurrent.futures, grpc, pathlib, sys
host, file = sys.argv[1], pathlib.Path(sys.argv[2])
def check(request, context):
    if request == b"\n\x01?":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return b"\x08" + (b"\x01" if file.read_text() == "serving" else b"\x02")
handler = grpc.unary_unary_rpc_method_handler(check)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
server.add_generic_rpc_handlers((service,))
print("port", server.add_insecure_port(host + ":0"))
server.start()
server.wait_for_termination()
"#;

/// An agent as HAProxy's manual has it: says what the file holds, and closes.
pub(super) const AGENT: &str = r#"
import pathlib, socketserver, sys
file = pathlib.Path(sys.argv[2])
class Agent(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(file.read_bytes())
server = socketserver.ThreadingTCPServer((sys.argv[1], 0), Agent)
print("port", server.server_address[1])
server.serve_forever()
"#;

#[test]
fn real_servers_pass_by_their_own_protocols_and_fail_by_them() {
    let folder = Folder::new("probed");
    let path = |name: &str| folder.path().join(name);
    let (nginx, [http, https, h2, h2c, proxied]) = nginx(folder.path());
    let (redis_port, prometheus_port, dns) = (free_port(), free_port(), free_port());
    let redis = Program::start(Command::new("redis-server").args([
        "--bind",
        IP,
        "--port",
        &redis_port.to_string(),
        "--save",
        "",
        "--dir",
        &folder.path().display().to_string(),
    ]));
    std::fs::write(path("prometheus.yml"), "global: {}\n").unwrap();
    let prometheus = Program::start(
        Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                path("prometheus.yml").display()
            ))
            .arg(format!("--storage.tsdb.path={}", path("tsdb").display()))
            .arg(format!("--web.listen-address={IP}:{prometheus_port}")),
    );
    std::fs::write(path("grpc"), "serving").unwrap();
    let (_grpc, grpc) = script(GRPC, &path("grpc"));
    std::fs::write(path("agent"), "up 50%\n").unwrap();
    let (_agent, agent) = script(AGENT, &path("agent"));

    let ca = path("cert.pem");
    let tls = format!("ca = \"{}\", server-name = \"app.test\"", ca.display());
    let packed = "headers = { Accept-Encoding = \"gzip\" }, search-string = \"needle\"";
    // A query for the addresses of example.test.
    let query = "hex:123401000001000000000000076578616d706c6504746573740000010001";
    let case = |name, port, check: String, seen| Case {
        name,
        target: address(port),
        check,
        seen,
    };
    let cases = [
        case(
            "http",
            http,
            format!("protocol = \"http\", {packed}"),
            "HTTP/1.1 200 OK",
        ),
        case(
            "moved",
            http,
            "path = \"/moved\", matcher = \"302\"".to_owned(),
            "HTTP/1.1 302 Moved",
        ),
        case(
            "https",
            https,
            format!("protocol = \"https\", {tls}, {packed}"),
            "HTTP/1.1 200 OK",
        ),
        case(
            "tls",
            https,
            format!("protocol = \"tls\", {tls}"),
            "TLSv1_3 with ",
        ),
        case(
            "h2",
            h2,
            format!("protocol = \"h2\", {tls}, {packed}"),
            "HTTP/2 200 OK",
        ),
        case(
            "h2c",
            h2c,
            format!("protocol = \"h2c\", {packed}"),
            "HTTP/2 200 OK",
        ),
        case(
            "redis",
            redis_port,
            r#"protocol = "tcp", send = "PING\r\n", receive = "+PONG""#.to_owned(),
            "answered: +PONG",
        ),
        case(
            "prometheus",
            prometheus_port,
            "path = \"/-/healthy\", search-string = \"Healthy\"".to_owned(),
            "HTTP/1.1 200 OK",
        ),
        case(
            "grpc",
            grpc,
            "protocol = \"grpc\"".to_owned(),
            "grpc-status 0 (OK), SERVING",
        ),
        case(
            "method",
            grpc,
            "protocol = \"grpc\", path = \"/AWS.ALB/healthcheck\", matcher = \"12\"".to_owned(),
            "grpc-status 12 (UNIMPLEMENTED): Method not found!",
        ),
        case("agent", agent, "protocol = \"agent\"".to_owned(), "up 50%"),
        case(
            "dns",
            dns,
            format!("protocol = \"udp\", send = \"{query}\", receive = \"hex:1234\""),
            "answered ",
        ),
    ];
    // nginx demands the header there, and refuses to talk without it.
    let proxied = [
        ("proxy-v1", "v1", "HTTP/1.1 200 OK"),
        ("proxy-v2", "v2", "HTTP/1.1 200 OK"),
    ]
    .map(|(name, version, seen)| {
        let check = format!("path = \"/\", proxy-protocol-out = \"{version}\"");
        case(name, proxied, check, seen)
    });
    let cases: Vec<_> = cases.into_iter().chain(proxied).collect();
    let groups: String = cases.iter().map(Case::config).collect();
    let pointsman = Pointsman::start(&format!(
        "{groups}\n[dns]\nbind = \"{IP}:{dns}\"\n[[zone]]\nname = \"example.test\"\n"
    ));
    for case in &cases {
        case.await_seen(&pointsman, "healthy", case.seen);
    }

    let named = |name: &str| cases.iter().find(|case| case.name == name).unwrap();
    std::fs::write(path("grpc"), "stopping").unwrap();
    named("grpc").await_seen(&pointsman, "unhealthy", "grpc-status 0 (OK), NOT_SERVING");
    named("method").await_seen(&pointsman, "healthy", "grpc-status 12");
    for (line, state) in [
        ("drain\n", "draining"),
        ("ready\n", "healthy"),
        ("down # disk\n", "unhealthy"),
    ] {
        std::fs::write(path("agent"), line).unwrap();
        named("agent").await_seen(&pointsman, state, line.trim());
    }
    for program in [nginx, redis, prometheus] {
        program.signal("KILL");
    }
    for name in [
        "http",
        "moved",
        "https",
        "tls",
        "h2",
        "h2c",
        "redis",
        "prometheus",
    ] {
        named(name).await_seen(&pointsman, "unhealthy", "connection refused");
    }
    named("dns").await_seen(&pointsman, "healthy", "answered ");
}
