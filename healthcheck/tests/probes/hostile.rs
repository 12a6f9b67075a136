//! Services that do all they can to keep a probe busy: none of them holds it longer than its
//! timeout, and each is told apart.

use healthcheck::TargetState::Unhealthy;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

use crate::harness::{answering, assert_seen, locally, probed, probed_late, request, service};

const SEARCH: &str = "protocol = \"http\"\nsearch-string = \"ok\"\ntimeout = \"250ms\"";

/// Sends `head`, then `piece` for ever.
async fn endless(mut stream: TcpStream, head: &[u8], piece: &[u8], pause: Duration) {
    request(&mut stream).await;
    let mut sent = stream.write_all(head).await;
    while sent.is_ok() {
        sleep(pause).await;
        sent = stream.write_all(piece).await;
    }
}

#[tokio::test]
async fn slow_answers_are_late_however_they_end() {
    let slow = |stream| async {
        let head = b"HTTP/1.1 200 OK\r\nX: ";
        endless(stream, head, b"x", Duration::from_millis(10)).await;
    };
    let body = |stream| async {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        endless(stream, head, b"x", Duration::from_millis(10)).await;
    };
    let chunks = |stream| async {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        endless(stream, head, b"1\r\nx\r\n", Duration::from_millis(10)).await;
    };
    let late = "HTTP/1.1 200 OK, and no search string in time";
    locally(async {
        let silent = "no response within 250ms";
        let (found, silent) = probed_late(SEARCH, silent, async || service(slow)).await;
        assert_seen(&found, Unhealthy, &silent);
        assert_eq!(found.description, "Request timed out");
        let (found, _) = probed_late(SEARCH, late, async || service(body)).await;
        assert_seen(&found, Unhealthy, late);
        let (found, _) = probed_late(SEARCH, late, async || service(chunks)).await;
        assert_seen(&found, Unhealthy, late);
        let took = found.observations[0].took_ms;
        assert!(took >= 250.0, "{took}");
    })
    .await;
}

#[tokio::test]
async fn endless_answers_end_with_what_is_looked_at() {
    let full = Duration::ZERO;
    let body = move |stream| async move {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        endless(stream, head, &[b'x'; 4096], full).await;
    };
    let fields = move |stream| async move {
        let head = b"HTTP/1.1 200 OK\r\n";
        let field = [&b"X-Long: "[..], &[b'x'; 1000], b"\r\n"].concat();
        endless(stream, head, &field, full).await;
    };
    let interim = move |stream| async move {
        endless(stream, b"", b"HTTP/1.1 100 Continue\r\n\r\n", full).await;
    };
    let long = SEARCH.replace("250ms", "50s");
    locally(async {
        let found = probed(&long, service(body)).await;
        let seen = "HTTP/1.1 200 OK, without the search string in the first 5120 bytes of the body";
        assert_seen(&found, Unhealthy, seen);
        for endless in [
            probed(&long, service(fields)).await,
            probed(&long, service(interim)).await,
        ] {
            assert_seen(&endless, Unhealthy, "response head over 16 KiB");
        }
        let mut million = b"HTTP/1.1 200 OK\r\n".to_vec();
        million.extend(b"X: y\r\n".repeat(1 << 18));
        let found = probed(&long, answering(million)).await;
        assert_seen(&found, Unhealthy, "malformed response: too many headers");
    })
    .await;
}
