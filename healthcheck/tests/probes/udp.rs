//! UDP checks: unreachable ports, silence, answers.

use std::net::SocketAddr;

use healthcheck::TargetState::{Healthy, Unhealthy};
use tokio::net::UdpSocket;
use tokio::task::spawn_local;

use crate::harness::{assert_seen, locally, probed};

/// A socket that answers each datagram with itself between `<` and `>`, if it answers at all.
async fn socket(answers: bool) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn_local(async move {
        let mut datagram = [0; 2048];
        loop {
            let (length, peer) = socket.recv_from(&mut datagram).await.unwrap();
            if answers {
                let answer = [b"<", &datagram[..length], b">"].concat();
                // The probe may have gone.
                let _sent = socket.send_to(&answer, peer).await;
            }
        }
    });
    address
}

async fn unreachable() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap()
}

/// For sockets that answer, or cannot: longer than anything takes.
const UDP: &str = "protocol = \"udp\"\ntimeout = \"50s\"";
/// For those that are silent.
const BRIEF: &str = "protocol = \"udp\"\ntimeout = \"150ms\"";

#[tokio::test]
async fn an_unreachable_port_fails_and_silence_passes() {
    locally(async {
        for check in [UDP.to_owned(), format!("{UDP}\nsend = \"ping\"")] {
            let found = probed(&check, unreachable().await).await;
            assert_seen(&found, Unhealthy, "port unreachable");
            assert!(
                found.observations[0].took_ms < 40_000.0,
                "known before the timeout: {found:?}"
            );
        }
        let found = probed(BRIEF, socket(false).await).await;
        assert_seen(&found, Healthy, "not unreachable within 150ms");
        let found = probed(UDP, socket(true).await).await;
        assert_seen(&found, Healthy, "answered 2 bytes: <>");
    })
    .await;
}

#[tokio::test]
async fn whoever_is_asked_must_answer_as_expected() {
    let any = format!("{UDP}\nsend = \"ping\"");
    let right = format!("{UDP}\nsend = \"hex:70696e67\"\nreceive = \"<pin\"");
    let wrong = format!("{UDP}\nsend = \"ping\"\nreceive = \"pong\"");
    locally(async {
        let brief = any.replace(UDP, BRIEF);
        let found = probed(&brief, socket(false).await).await;
        assert_seen(&found, Unhealthy, "no answer within 150ms");
        assert_eq!(found.description, "Request timed out");
        for check in [any, right] {
            let found = probed(&check, socket(true).await).await;
            assert_seen(&found, Healthy, "answered 6 bytes: <ping>");
        }
        let found = probed(&wrong, socket(true).await).await;
        assert_seen(&found, Unhealthy, "another answer: <ping>");
    })
    .await;
}
