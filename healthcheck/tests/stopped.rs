//! A process that was stopped (SIGSTOP, a suspended machine) blames nobody: probes that ran out of
//! time while it did not run are void.
//!
//! The test starts itself once more as the process to be stopped, and is the service it probes.
#![expect(
    clippy::unwrap_used,
    reason = "a test: what is not as it must be ends it"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use healthcheck::{BoardSettings, TargetState};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

/// Set for the process that is stopped: the address it probes.
const TARGET: &str = "POINTSMAN_TEST_STOPPED_TARGET";
/// A probe's timeout, and longer. No other stall of the machine is as long.
const STOPPED: Duration = Duration::from_millis(4500);

#[tokio::test]
async fn a_stopped_process_blames_nobody() {
    match std::env::var(TARGET) {
        Ok(target) => {
            LocalSet::new()
                .run_until(probe(target.parse().unwrap()))
                .await
        }
        Err(_) => stop_and_watch().await,
    }
}

/// Probes until a void probe was followed by a passed one, and says whether the target was ever
/// unhealthy.
async fn probe(target: SocketAddr) {
    let text = format!(
        r#"
        [[listener]]
        name = "web"
        bind = "127.0.0.1:8080"
        protocol = "http"
        forward = "app"
        [[target-group]]
        name = "app"
        protocol = "http"
        targets = ["{target}"]
        [target-group.health-check]
        path = "/"
        interval = "4100ms"
        timeout = "4s"
        unhealthy-threshold = 1
        "#
    );
    let loaded = conf::load_text(Path::new("stopped.toml"), &text);
    let (board, handle) = healthcheck::start(BoardSettings::default());
    let _board = spawn_local(board.run());
    let prepared = handle.prepare(&Arc::new(loaded.config), 1).await;
    let slot = prepared.slots().target("app", target).unwrap().0;
    handle.commit(prepared).await;
    let mut states = Vec::new();
    loop {
        sleep(Duration::from_millis(20)).await;
        let state = handle.table().target(slot).unwrap().state;
        if states.last() != Some(&state) {
            states.push(state);
        }
        let details = handle.details("app", target).await.unwrap();
        let results: Vec<_> = details
            .observations
            .iter()
            .map(|seen| seen.result)
            .collect();
        if let ["passed", "void", ..] | [_, "passed", "void", ..] = results[..] {
            assert_eq!(states.last(), Some(&TargetState::Healthy));
            let ever = states.contains(&TargetState::Unhealthy);
            return println!("{}", if ever { "blamed" } else { "spared" });
        }
        assert_ne!(state, TargetState::Unhealthy, "{details:?}");
    }
}

async fn stop_and_watch() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(8).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "a_stopped_process_blames_nobody"])
        .env(TARGET, listener.local_addr().unwrap().to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let serve = async {
        for probe in 1.. {
            let stream = request(&listener).await;
            // The second probe waits for its answer while its process is stopped.
            if probe == 2 {
                kill_process(pid, Signal::STOP).unwrap();
                sleep(STOPPED).await;
                kill_process(pid, Signal::CONT).unwrap();
            }
            answer(stream).await;
        }
    };
    let verdict = async {
        loop {
            match lines.next_line().await.unwrap() {
                // On one CPU the test's name stands before it on the line.
                Some(line) if line.ends_with("spared") => return "spared",
                Some(line) if line.ends_with("blamed") => return "blamed",
                Some(_) => {}
                None => panic!("the process ended early"),
            }
        }
    };
    tokio::select! {
        () = serve => {}
        verdict = verdict => assert_eq!(verdict, "spared"),
    }
    assert!(child.wait().await.unwrap().success());
}

async fn request(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            break;
        }
    }
    stream
}

async fn answer(mut stream: TcpStream) {
    // The probe may have given up.
    let _written = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let _gone = stream.read(&mut [0; 16]).await;
}
