//! Exec checks: exit codes, the first line, and timeouts that leave nothing behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use healthcheck::TargetState::{Healthy, Unhealthy};

use crate::harness::{assert_seen, file, listener, locally, probed};

/// A check that runs a shell script of this test.
fn script(name: &str, text: &str) -> String {
    let path = file(name, &format!("#!/bin/sh\n{text}\n"));
    let runnable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, runnable).unwrap();
    format!("protocol = \"exec\"\ncommand = [\"{path}\", \"$HOME\", \"a b\"]\ntimeout = \"50s\"")
}

#[tokio::test]
async fn programs_pass_by_their_exit_code() {
    let (_listener, address) = listener();
    let good = script("good", "echo \"$POINTSMAN_TARGET $1 $2\"; echo more");
    let bad = script("bad", "echo 'disk full'; exit 3");
    let killed = script("killed", "kill -9 $$");
    let chatty = script("chatty", "head -c 1000000 /dev/zero | tr '\\0' x");
    let orphan = script("orphan", "sleep 60 & echo started");
    locally(async {
        let found = probed(&good, address).await;
        let seen = format!("exit status: 0: {address} $HOME a b");
        assert_seen(&found, Healthy, &seen);
        assert_seen(
            &probed(&bad, address).await,
            Unhealthy,
            "exit status: 3: disk full",
        );
        let found = probed(&killed, address).await;
        assert_seen(&found, Unhealthy, "signal: 9 (SIGKILL)");
        let found = probed(&chatty, address).await;
        assert!(
            found.observations[0]
                .seen
                .starts_with("exit status: 0: xxx")
        );
        let found = probed(&orphan, address).await;
        // It was not waited for: that would have taken longer than the timeout.
        assert_seen(&found, Healthy, "exit status: 0: started");
    })
    .await;
}

#[tokio::test]
async fn a_timeout_kills_the_children_too() {
    let (_listener, address) = listener();
    let pids = file("pids", "");
    let text = format!("sleep 60 & echo $! $$ > {pids}; wait");
    let check = script("stuck", &text);
    locally(async {
        let mut limits = ["500ms", "3s", "20s"].into_iter();
        let pids = loop {
            let limit = limits
                .next()
                .expect("the script never came to its second line");
            let found = probed(&check.replace("50s", limit), address).await;
            assert_seen(&found, Unhealthy, &format!("no exit within {limit}"));
            let said = std::fs::read_to_string(&pids).unwrap();
            if said.ends_with('\n') {
                break said;
            }
        };
        let running = |pid: &str| {
            let status = Path::new("/proc").join(pid).join("stat");
            let stat = std::fs::read_to_string(status).unwrap_or_default();
            // A zombie has ended, and waits for whoever adopted it.
            !stat.is_empty() && !stat.contains(") Z ")
        };
        assert_eq!(pids.split_whitespace().count(), 2, "{pids}");
        while pids.split_whitespace().any(running) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_program_that_vanished_is_told() {
    let (_listener, address) = listener();
    let check = script("vanishing", "exit 0");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vanishing");
    let broken = format!("#!{}/no-such-shell\n", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(path, broken).unwrap();
    locally(async {
        let found = probed(&check, address).await;
        let seen = "No such file or directory (os error 2)";
        assert_seen(&found, Unhealthy, seen);
    })
    .await;
}
