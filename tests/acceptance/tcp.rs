//! What becomes of TCP connections through the real binary: how they end, and whose address targets
//! see.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::pointsman::{Pointsman, write};
use super::process::{Folder, PATIENCE, Program, eventually};

/// Client's end and target's end of a flow through the program.
struct Ends {
    pointsman: Pointsman,
    target: TcpListener,
}

impl Ends {
    fn start(ip: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a target of the test's own")]
        let target = TcpListener::bind((ip, 0)).unwrap();
        let address = target.local_addr().unwrap();
        let pointsman = Pointsman::start(&format!(
            "[[listener]]\nname = \"in\"\nbind = \"{ip}:0\"\nprotocol = \"tcp\"\nforward = \"app\"\nbacklog = 16\n\
             [[target-group]]\nname = \"app\"\nprotocol = \"tcp\"\ntargets = [\"{address}\"]\n\
             health-check = {{ interval = \"1h\", timeout = \"1s\" }}\n"
        ));
        Self { pointsman, target }
    }

    fn flow(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.pointsman.listener("in")).unwrap();
        // Probes come and go by a reset, and say nothing.
        let mut client = client;
        client.write_all(b"hello").unwrap();
        loop {
            let (mut server, _) = self.target.accept().unwrap();
            for end in [&client, &server] {
                end.set_read_timeout(Some(PATIENCE)).unwrap();
            }
            let mut heard = [0; 5];
            if server.read_exact(&mut heard).is_ok() {
                assert_eq!(&heard, b"hello");
                return (client, server);
            }
        }
    }
}

fn to_end(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Closes with a reset.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
}

#[test]
fn either_side_may_finish_first_and_the_other_goes_on() {
    let ends = Ends::start("127.0.8.11");
    let (mut client, mut server) = ends.flow();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut server).unwrap(), "");
    server.write_all(b"an answer after the end").unwrap();
    drop(server);
    assert_eq!(to_end(&mut client).unwrap(), "an answer after the end");
    let (mut client, mut server) = ends.flow();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client).unwrap(), "");
    client.write_all(b"a question after the end").unwrap();
    drop(client);
    assert_eq!(to_end(&mut server).unwrap(), "a question after the end");
}

#[test]
fn a_reset_goes_through_either_way() {
    let ends = Ends::start("127.0.8.12");
    let (client, mut server) = ends.flow();
    reset(client);
    let error = to_end(&mut server).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (mut client, server) = ends.flow();
    reset(server);
    let error = to_end(&mut client).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    eventually("resets are counted by side", || {
        ends.pointsman.metric("pointsman_flow_resets_total") == 2.0
    });
}

/// Three hosts in a row, client, balancer and target, each a network namespace. What comes from the
/// target's side is the balancer's own, whatever its destination: so answers to clients' addresses
/// find their sockets.
struct Hosts(String);

impl Hosts {
    fn new() -> Option<Self> {
        let hosts = Self(format!("pm-f-{}", std::process::id()));
        let name = &hosts.0;
        let made = format!("netns add {name}-b");
        if !ip(&made) {
            std::mem::forget(hosts);
            return None;
        }
        for words in [
            format!("netns add {name}-c"),
            format!("netns add {name}-t"),
            format!(
                "link add name client netns {name}-b type veth peer name balancer netns {name}-c"
            ),
            format!(
                "link add name target netns {name}-b type veth peer name balancer netns {name}-t"
            ),
            format!("-n {name}-c address add 198.51.100.7/24 dev balancer"),
            format!("-n {name}-b address add 198.51.100.1/24 dev client"),
            format!("-n {name}-b address add 192.0.2.1/24 dev target"),
            format!("-n {name}-t address add 192.0.2.2/24 dev balancer"),
            format!("-n {name}-c link set balancer up"),
            format!("-n {name}-t link set balancer up"),
            format!("-n {name}-b link set client up"),
            format!("-n {name}-b link set target up"),
            format!("-n {name}-b link set lo up"),
            format!("-n {name}-t route add default via 192.0.2.1"),
            format!("-n {name}-b rule add iif target lookup 100"),
            format!("-n {name}-b route add local default dev lo table 100"),
        ] {
            assert!(ip(&words), "ip {words}");
        }
        Some(hosts)
    }

    fn run(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{host}", self.0), program]);
        command
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in ["c", "b", "t"] {
            ip(&format!("netns delete {}-{host}", self.0));
        }
    }
}

fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    let status = command
        .args(words.split(' '))
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

const PRESERVING: &str = "[[listener]]\nname = \"web\"\nbind = \"198.51.100.1:80\"\nprotocol = \"http\"\nforward = \"web\"\n\
    [[target-group]]\nname = \"web\"\nprotocol = \"http\"\ntargets = [\"192.0.2.2:80\"]\npreserve-client-ip = true\n\
    [[listener]]\nname = \"raw\"\nbind = \"198.51.100.1:81\"\nprotocol = \"tcp\"\nforward = \"raw\"\n\
    [[target-group]]\nname = \"raw\"\nprotocol = \"tcp\"\ntargets = [\"192.0.2.2:80\"]\npreserve-client-ip = true\n";

#[test]
fn targets_see_clients_addresses_where_the_system_lets_them() {
    let Some(hosts) = Hosts::new() else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let folder = Folder::new("preserved");
    let root = folder.path().display();
    let config = format!(
        "daemon off; master_process off; pid {root}/nginx.pid; error_log stderr; events {{}}
        http {{
            access_log off; client_body_temp_path {root}/1; proxy_temp_path {root}/2;
            fastcgi_temp_path {root}/3; uwsgi_temp_path {root}/4; scgi_temp_path {root}/5;
            default_type text/plain;
            server {{ listen 80; location / {{ return 200 \"$remote_addr\\n\"; }} }}
        }}"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let _nginx = Program::start(
        hosts
            .run("t", "nginx")
            .args(["-c", &format!("{root}/nginx.conf")])
            .args(["-p", &root.to_string()]),
    );
    let home = Folder::new("acceptance");
    write(&home, PRESERVING);
    let command = hosts.run("b", env!("CARGO_BIN_EXE_pointsman"));
    let pointsman = Pointsman::start_by(command, home);
    for name in ["web", "raw"] {
        eventually("the target is healthy", || {
            pointsman.state(name, "192.0.2.2:80".parse().unwrap()) == "healthy"
        });
    }
    for port in [80, 81] {
        let url = format!("http://198.51.100.1:{port}/");
        let output = hosts
            .run("c", "curl")
            .args(["-sS", "-m", "30", &url])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(text, "198.51.100.7\n", "port {port}");
    }
}

#[test]
fn without_permission_it_says_so_at_start() {
    // Dropping capabilities takes a program that has them.
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let folder = Folder::new("acceptance");
    write(
        &folder,
        &PRESERVING
            .replace("198.51.100.1:80", "127.0.8.13:0")
            .replace("198.51.100.1:81", "127.0.8.13:0"),
    );
    let output = Command::new("setpriv")
        .args([
            "--bounding-set",
            "-net_admin,-net_raw",
            "--inh-caps",
            "-net_admin,-net_raw",
        ])
        .args([
            env!("CARGO_BIN_EXE_pointsman"),
            "run",
            "-c",
            "pointsman.toml",
        ])
        .current_dir(folder.path())
        .output()
        .expect("setpriv runs");
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("cannot come from clients' addresses"),
        "{said}"
    );
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
}
