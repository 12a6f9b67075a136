//! Session tickets from the outside: openssl comes back to other workers, after a reload and after a
//! restart, and to where its ticket is worth nothing.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::harness::{Folder, Process, Service, get};
use crate::tls::{certificate, entry, group, listener, run};

/// Asks for `/who` with these arguments: whether a session went on.
fn ask(address: SocketAddr, version: &str, more: &[&str]) -> bool {
    let address = address.to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address, "-servername", "app.test"]);
    // Waits for the answer's end: tickets of TLS 1.3 come after the handshake.
    let command = command.args([version, "-ign_eof"]).args(more);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = command.stderr(Stdio::null()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    let request = b"GET /who HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";
    input.write_all(request).unwrap();
    drop(input);
    let said = client.wait_with_output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("HTTP/1.1 200"), "{said}");
    let reused = said.contains("\nReused, ");
    assert!(reused || said.contains("\nNew, "), "{said}");
    reused
}

#[test]
fn sessions_go_on_over_workers_reloads_and_restarts_but_not_elsewhere() {
    let (service, folder) = (Service::start("one"), Folder::new());
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    let rest = format!("certificates = [{}]", entry(&folder, "site"));
    let rest = rest.as_str();
    let configuration = |more: &str| {
        format!(
            "[runtime]\nworkers = 4\n{more}\n{}{}{}",
            listener("web", "https", "app", rest),
            listener("other", "https", "app", rest),
            group("app", "http", service.http)
        )
    };
    let mut process = Process::start(&configuration("grace = 1"));
    process.wait_for_state("app", service.http, "healthy");
    let kept = |version: &str| {
        let name = format!("session{version}.pem");
        folder.0.join(name).display().to_string()
    };
    let versions = ["-tls1_2", "-tls1_3"];
    // In the order of their names: `other`, `web`.
    for version in versions {
        let reused = ask(process.listener(1), version, &["-sess_out", &kept(version)]);
        assert!(!reused, "{version}: there was no session yet");
    }
    let comes_back = |process: &Process, when: &str, expected: bool| {
        for version in versions {
            // The kernel spreads them over the workers.
            for _ in 0..8 {
                let reused = ask(process.listener(1), version, &["-sess_in", &kept(version)]);
                assert_eq!(reused, expected, "{version} {when}");
            }
            let reused = ask(process.listener(0), version, &["-sess_in", &kept(version)]);
            assert!(!reused, "{version} at another listener {when}");
        }
    };
    comes_back(&process, "at once", true);
    process.write(&configuration("grace = 2"));
    process.succeed(&["reload"]);
    comes_back(&process, "after a reload", true);
    process.restart();
    process.wait_for_state("app", service.http, "healthy");
    comes_back(&process, "after a restart", true);
    // Another policy is another thing to have agreed on.
    let strict = "tls-policy = \"ELBSecurityPolicy-TLS13-1-2-2021-06\"\n".to_owned() + rest;
    let changed = configuration("").replace(rest, &strict);
    process.write(&changed);
    process.succeed(&["reload"]);
    comes_back(&process, "under another policy", false);
    let metrics = get(process.admin_tcp(), "/metrics").body;
    let line = "pointsman_tls_handshakes_total{listener=\"web\",protocol=\"TLSv1.3\",session=\"resumed\"} 8";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn processes_that_share_a_key_file_resume_each_others_sessions() {
    let (service, folder) = (Service::start("one"), Folder::new());
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    let keys = folder.0.join("tickets.key").display().to_string();
    let make = || run("openssl", &["rand", "-out", &keys, "80"]);
    assert!(make().status.success());
    let rest = format!("certificates = [{}]", entry(&folder, "site"));
    let configuration = format!(
        "[runtime]\nticket-key-file = \"{keys}\"\n{}{}",
        listener("web", "https", "app", &rest),
        group("app", "http", service.http)
    );
    let processes = [(); 2].map(|()| Process::start(&configuration));
    for process in &processes {
        process.wait_for_state("app", service.http, "healthy");
    }
    let [here, there] = processes;
    let kept = folder.0.join("session.pem").display().to_string();
    assert!(!ask(here.listener(0), "-tls1_3", &["-sess_out", &kept]));
    assert!(ask(there.listener(0), "-tls1_3", &["-sess_in", &kept]));
    let short = folder.write("short.key", "too short");
    // Moved there whole, so that nobody finds it empty.
    std::fs::rename(short, &keys).unwrap();
    here.wait_for_log("changed keys of session tickets refused");
    let reasons = here.status()["listeners"][0]["reasons"].to_string();
    assert!(reasons.contains("9 bytes"), "{reasons}");
    assert!(ask(here.listener(0), "-tls1_3", &["-sess_in", &kept]));
    assert!(make().status.success());
    here.wait_for_log("keys of session tickets read again");
    assert!(!ask(here.listener(0), "-tls1_3", &["-sess_in", &kept]));
}
