//! PostgreSQL through a tcp listener, and a session that outlives a reload.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::pointsman::Pointsman;
use super::ports::free_port;
use super::process::{Folder, Program, eventually, output_of};

/// A database cluster of the test's own on 127.25.0.1.
struct Database {
    _program: Program,
    _folder: Folder,
    address: SocketAddr,
}

const IP: &str = "127.25.0.1";

impl Database {
    fn start() -> Self {
        let folder = Folder::new("postgresql");
        let programs = newest_programs();
        let data = folder.path().join("data");
        let (user, group) = unprivileged();
        std::os::unix::fs::chown(folder.path(), user, group).expect("give the folder away");
        let initdb = Command::new(programs.join("initdb"))
            .args(["-A", "trust", "-U", "tester", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(folder.path())
            .uid(user.unwrap_or_else(own_user))
            .output()
            .expect("initdb runs");
        assert!(
            initdb.status.success(),
            "{}",
            String::from_utf8_lossy(&initdb.stderr)
        );
        let port = free_port(IP);
        let mut program = Program::start(
            Command::new(programs.join("postgres"))
                .arg("-D")
                .arg(&data)
                .args(["-h", IP, "-p", &port.to_string(), "-c", "fsync=off", "-k"])
                .arg(folder.path())
                .current_dir(folder.path())
                .uid(user.unwrap_or_else(own_user)),
        );
        program.wait_for_line("readiness", |l| l.contains("ready to accept connections"));
        let address = SocketAddr::new(IP.parse().unwrap(), port);
        Self {
            _program: program,
            _folder: folder,
            address,
        }
    }
}

/// The newest installed version's programs (Debian keeps them off the path).
fn newest_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed");
    let newest = versions
        .filter_map(|v| Some(v.ok()?.path().join("bin")))
        .max();
    newest.expect("a version of postgresql")
}

/// PostgreSQL refuses to run as root: then it runs as Debian's `postgres`.
fn unprivileged() -> (Option<u32>, Option<u32>) {
    let id = |flag: &str| output_of("id", &[flag, "postgres"]).trim().parse().ok();
    if own_user() == 0 {
        (id("-u"), id("-g"))
    } else {
        (None, None)
    }
}

fn own_user() -> u32 {
    output_of("id", &["-u"]).trim().parse().expect("a user id")
}

fn config(database: SocketAddr, other: &str) -> String {
    format!(
        r#"
        [[listener]]
        name = "db"
        bind = "127.0.0.1:0"
        protocol = "tcp"
        forward = "postgres"

        [[target-group]]
        name = "postgres"
        protocol = "tcp"
        targets = ["{database}"]
        health-check = {{ protocol = "tcp", interval = "1s", timeout = "500ms" }}

        [[listener]]
        name = "{other}"
        bind = "127.0.0.1:0"
        protocol = "tcp"
        forward = "postgres"
        "#
    )
}

#[test]
fn sessions_run_and_outlive_a_reload_that_edits_another_listener() {
    let database = Database::start();
    let pointsman = Pointsman::start(&config(database.address, "other"));
    let address = pointsman.listener("db");
    let port = address.port().to_string();
    let common = ["-h", "127.0.0.1", "-p", &port, "-U", "tester"];
    let run = |program: &str, arguments: &[&str]| {
        output_of(program, &[&common[..], arguments, &["postgres"]].concat())
    };

    run("pgbench", &["-i", "-q"]);
    let result = run("pgbench", &["-c", "10", "-t", "50"]);
    assert!(
        result.contains("number of failed transactions: 0"),
        "{result}"
    );
    assert!(result.contains("actually processed: 500/500"), "{result}");

    let mut session = Command::new("psql")
        .args(common)
        .args(["-At", "postgres"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let mut input = session.stdin.take().unwrap();
    writeln!(input, "create temp table kept (word text);").unwrap();
    eventually("the session is open", || {
        pointsman.get("/api/v1/listeners/db")["connections"].as_u64() == Some(1)
    });

    pointsman.write_config(&config(database.address, "renamed"));
    pointsman.program.signal("HUP");
    eventually("the file is applied", || {
        pointsman.request("GET", "/api/v1/listeners/renamed", "").0 == 200
    });
    assert_eq!(
        pointsman.listener("db"),
        address,
        "the untouched listener keeps its port"
    );

    // A temporary table lives as long as its session: it answers only if the session was kept.
    writeln!(
        input,
        "insert into kept values ('still here'); select word from kept;"
    )
    .unwrap();
    drop(input);
    let output = session.wait_with_output().expect("psql ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("still here"), "{text}");
}
