//! A board with one target, and scripted services for it to probe.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use healthcheck::{BoardHandle, BoardSettings, CheckDetails, SlotMap, TargetDetails, TargetState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// Longer than anything here takes, but for what must time out. On a machine that is busy beyond measure one probe
/// after the other is void.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the board finds of a target with `check` as its health check, once the first probe has
/// decided: one passed or one failed probe does.
pub(crate) async fn probed(check: &str, target: SocketAddr) -> TargetDetails {
    let (board, handle, slots) = serve(&configuration(check, target)).await;
    let slot = slots.target("app", target).unwrap().0;
    let mut tables = handle.subscribe();
    let decided = tables.wait_for(|table| {
        let state = table.target(slot).map(|health| health.state);
        !matches!(state, None | Some(TargetState::Initial))
    });
    drop(
        tokio::time::timeout(PATIENCE, decided)
            .await
            .unwrap()
            .unwrap(),
    );
    let details = handle.details("app", target).await.unwrap();
    handle.shutdown().await;
    board.join().unwrap();
    details
}

/// What the board finds of a standalone check, once its first probe has ended, and its metrics.
pub(crate) async fn checked(check: &str, address: SocketAddr) -> (CheckDetails, Vec<String>) {
    let check = format!("address = \"{address}\"\n{check}");
    checked_until(&check, |seen| seen != "no data yet").await
}

/// What the board finds of a standalone check, once it has seen what is waited for.
pub(crate) async fn checked_until(
    check: &str,
    wanted: impl Fn(&str) -> bool,
) -> (CheckDetails, Vec<String>) {
    let text = format!(
        r#"
        [[zone]]
        name = "example.test"
        [[health-check]]
        name = "up"
        failure-threshold = 1
        {check}
        "#
    );
    let (board, handle, slots) = serve(&text).await;
    let id = slots.check("up").unwrap();
    let mut tables = handle.subscribe();
    let ended = tables.wait_for(|table| wanted(&table.check(id).unwrap().description));
    drop(
        tokio::time::timeout(PATIENCE, ended)
            .await
            .unwrap()
            .unwrap(),
    );
    let details = handle.check_details("up").await.unwrap();
    let families = handle.collect().into_iter();
    let names = families.map(|family| family.name().to_owned()).collect();
    handle.shutdown().await;
    board.join().unwrap();
    (details, names)
}

/// Runs a board with a configuration, on a thread of its own: what services do must not make it late,
/// which would make its probes void.
async fn serve(text: &str) -> (std::thread::JoinHandle<()>, BoardHandle, Arc<SlotMap>) {
    let loaded = conf::load_text(Path::new("probes.toml"), text);
    let shown = conf::render_human(&loaded.diagnostics, &loaded.sources, false);
    assert!(!loaded.has_errors(), "{shown}");
    let (board, handle) = healthcheck::start(BoardSettings::default());
    let board = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, board.run());
    });
    let prepared = handle.prepare(&Arc::new(loaded.config), 1).await;
    let slots = prepared.slots().clone();
    handle.commit(prepared).await;
    (board, handle, slots)
}

/// The check again and again with longer timeouts in the place of its `250ms`, until it finds what
/// is there once `seen` has that timeout, too: a busy machine may not even come as far as to the
/// silence within the shortest one. What was found last.
pub(crate) async fn probed_late(
    check: &str,
    seen: &str,
    target: impl AsyncFn() -> SocketAddr,
) -> (TargetDetails, String) {
    for limit in ["250ms", "2s"] {
        let (check, seen) = (check.replace("250ms", limit), seen.replace("250ms", limit));
        let found = probed(&check, target().await).await;
        if found.observations[0].seen.starts_with(&seen) {
            return (found, seen);
        }
    }
    let (check, seen) = (check.replace("250ms", "15s"), seen.replace("250ms", "15s"));
    (probed(&check, target().await).await, seen)
}

/// A file with one group whose check is `check`, which has all the time there is unless it says
/// otherwise. A probe that is void, because this process ran late, is soon followed by another.
fn configuration(check: &str, target: SocketAddr) -> String {
    let patient = match check.contains("timeout") {
        true => "",
        false => "timeout = \"50s\"",
    };
    format!(
        r#"
        [[listener]]
        name = "web"
        bind = "127.0.0.1:8080"
        protocol = "tcp"
        forward = "app"
        [[target-group]]
        name = "app"
        protocol = "tcp"
        targets = ["{target}"]
        [target-group.health-check]
        unhealthy-threshold = 1
        interval = "1m"
        fast-interval = "1s"
        {patient}
        {check}
        "#
    )
}

/// Asserts that the one probe ended so, and that it saw this.
pub(crate) fn assert_seen(found: &TargetDetails, state: TargetState, seen: &str) {
    let last = &found.observations[0];
    assert_eq!(
        (found.state, last.seen.as_str()),
        (state, seen),
        "{found:?}"
    );
}

/// Runs a test that needs local tasks.
pub(crate) async fn locally<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

/// A listening socket.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(64).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A service: `script` is run with each connection. Ends with the test.
pub(crate) fn service<F>(script: impl Fn(TcpStream) -> F + 'static) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
{
    let (listener, address) = listener();
    let _running: JoinHandle<()> = spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            spawn_local(script(stream));
        }
    });
    address
}

/// Reads a request's head.
pub(crate) async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// Answers one request with `response`, then waits for the peer to go: a probe must not need the
/// connection's end unless the response says so.
pub(crate) async fn answer<S>(mut stream: S, response: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    request(&mut stream).await;
    // The probe may have gone at any byte.
    let _written = stream.write_all(response).await;
    let _flushed = stream.flush().await;
    let _gone = stream.read(&mut [0; 16]).await;
}

/// A service that answers every request with `response`.
pub(crate) fn answering(response: impl Into<Vec<u8>>) -> SocketAddr {
    let response = Arc::new(response.into());
    service(move |stream| {
        let response = response.clone();
        async move { answer(stream, &response).await }
    })
}

/// Writes a file; its path.
pub(crate) fn file(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
