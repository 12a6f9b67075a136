//! What the board logs. A process of its own: tracing decides once per process, by the thread
//! that comes first, whether a line is wanted, so that tests side by side lose each other's lines.
#![expect(
    clippy::unwrap_used,
    reason = "a test: what is not as it must be ends it"
)]

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

#[expect(
    clippy::disallowed_types,
    reason = "the subscriber and the test share the text"
)]
use std::sync::Mutex;

use healthcheck::{BoardHandle, BoardSettings, TargetState};
use tokio::net::TcpSocket;
use tokio::task::{LocalSet, spawn_local};
use tracing_subscriber::fmt::MakeWriter;

/// The lines logged so far.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::disallowed_types,
    reason = "the subscriber and the test share the text"
)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A bound socket: its port is refused until it listens.
fn bound() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn serve(handle: &BoardHandle, address: SocketAddr) -> healthcheck::SlotId {
    let text = format!(
        r#"
        [[listener]]
        name = "web"
        bind = "127.0.0.1:8080"
        protocol = "tcp"
        forward = "app"
        [[target-group]]
        name = "app"
        protocol = "tcp"
        targets = ["{address}"]
        health-check = {{ protocol = "tcp", interval = "200ms", timeout = "150ms" }}
        "#
    );
    let loaded = conf::load_text(Path::new("test.toml"), &text);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let prepared = handle.prepare(&Arc::new(loaded.config), 1).await;
    let slot = prepared.slots().target("app", address).unwrap().0;
    handle.commit(prepared).await;
    slot
}

#[tokio::test]
async fn transitions_and_fail_open_are_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (board, handle) = healthcheck::start(BoardSettings::default());
    let local = LocalSet::new();
    let (socket, address) = bound();
    let play = async {
        let board = spawn_local(board.run());
        let slot = serve(&handle, address).await;
        let mut tables = handle.subscribe();
        let down = tables.wait_for(|t| t.target(slot).unwrap().state == TargetState::Unhealthy);
        drop(down.await.unwrap());
        let _listener = socket.listen(8).unwrap();
        let up = tables.wait_for(|t| t.target(slot).unwrap().state == TargetState::Healthy);
        drop(up.await.unwrap());
        handle.shutdown().await;
        board.await.unwrap();
    };
    local.run_until(play).await;
    let text = log.text();
    let changed = format!("INFO health: target changed group=\"app\" target={address}");
    for line in [
        "WARN health: group app: fail-open: 0 of 1 registered targets healthy, \
         unhealthy-state-routing needs 1"
            .to_owned(),
        "INFO health: group app: fail-open ended: 1 of 1 registered targets healthy".to_owned(),
        format!(
            "{changed} from=\"initial\" to=\"unhealthy\" reason=\"Target.FailedHealthChecks\" \
             source=\"probe\" description=\"Health checks failed: connection refused\" \
             last=\"connection refused\" passes=0 failures=2"
        ),
        format!(
            "{changed} from=\"unhealthy\" to=\"healthy\" source=\"probe\" \
             description=\"connected\" last=\"connected\" passes=2 failures=0"
        ),
    ] {
        assert!(text.contains(&line), "{line}\nis not in\n{text}");
    }
}
