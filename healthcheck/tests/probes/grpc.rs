//! gRPC checks: the health service, ELB's unimplemented method, and what is not gRPC.

use std::net::SocketAddr;

use bytes::Bytes;
use healthcheck::TargetState::{Healthy, Unhealthy};
use http::{HeaderMap, HeaderValue, Response};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{assert_seen, locally, probed, service};

/// How a scripted gRPC service answers.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// A message, then the status in trailers.
    Message(&'static [u8], &'static str),
    /// The status in the head.
    Head(&'static str),
    /// A head of this HTTP status and nothing else.
    Http(u16),
    /// Trailers without a status.
    NoStatus,
    /// A head, and silence.
    Silence,
    /// The stream reset.
    Reset,
}

/// A service that answers every call; it asserts the path and the request's message.
fn grpc(answer: Answer, path: &'static str, request: &'static [u8]) -> SocketAddr {
    service(move |stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((call, mut respond))) = connection.accept().await {
            assert_eq!(call.uri().path(), path);
            assert_eq!(call.headers()["content-type"], "application/grpc");
            assert_eq!(call.headers()["te"], "trailers");
            let serve = async move {
                let mut body = call.into_body();
                let mut message = Vec::new();
                while let Some(Ok(part)) = body.data().await {
                    message.extend_from_slice(&part);
                }
                assert_eq!(message, request);
                let head = Response::builder().header("content-type", "application/grpc");
                match answer {
                    Answer::Message(message, status) => {
                        let mut send = respond
                            .send_response(head.body(()).unwrap(), false)
                            .unwrap();
                        send.send_data(Bytes::from_static(message), false).unwrap();
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", HeaderValue::from_static(status));
                        send.send_trailers(trailers).unwrap();
                    }
                    Answer::Head(status) => {
                        let head = head
                            .header("grpc-status", status)
                            .header("grpc-message", "no");
                        respond.send_response(head.body(()).unwrap(), true).unwrap();
                    }
                    Answer::Http(status) => {
                        let head = head.status(status).body(()).unwrap();
                        respond.send_response(head, true).unwrap();
                    }
                    Answer::NoStatus => {
                        respond.send_response(head.body(()).unwrap(), true).unwrap();
                    }
                    Answer::Silence => {
                        let _open = respond
                            .send_response(head.body(()).unwrap(), false)
                            .unwrap();
                        std::future::pending::<()>().await;
                    }
                    Answer::Reset => respond.send_reset(h2::Reason::INTERNAL_ERROR),
                }
            };
            tokio::task::spawn_local(serve);
        }
    })
}

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
const NOT_SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 2];
const EMPTY: &[u8] = &[0, 0, 0, 0, 0];

#[tokio::test]
async fn the_health_service_must_say_that_it_serves() {
    let check = "protocol = \"grpc\"";
    let cases = [
        (
            Answer::Message(SERVING, "0"),
            true,
            "grpc-status 0 (OK), SERVING",
        ),
        (
            Answer::Message(NOT_SERVING, "0"),
            false,
            "grpc-status 0 (OK), NOT_SERVING",
        ),
        (
            Answer::Message(EMPTY, "0"),
            false,
            "grpc-status 0 (OK), UNKNOWN",
        ),
        (
            Answer::Message(b"?", "0"),
            false,
            "grpc-status 0 (OK), UNKNOWN",
        ),
        (
            Answer::Head("12"),
            false,
            "grpc-status 12 (UNIMPLEMENTED): no",
        ),
        (Answer::Head("x"), false, "malformed grpc-status"),
        (
            Answer::Http(404),
            false,
            "HTTP status 404 Not Found, not gRPC",
        ),
        (Answer::NoStatus, false, "no grpc-status in the answer"),
        (Answer::Silence, false, "no gRPC status within 300ms"),
        (
            Answer::Reset,
            false,
            "HTTP/2: stream error received: unexpected internal error encountered",
        ),
    ];
    locally(async {
        for (answer, passes, seen) in cases {
            let brief = format!("{check}\ntimeout = \"300ms\"");
            let check = if seen.contains("300ms") {
                &brief
            } else {
                check
            };
            let found = probed(check, grpc(answer, HEALTH, EMPTY)).await;
            let state = if passes { Healthy } else { Unhealthy };
            assert_seen(&found, state, seen);
        }
        let named = format!("{check}\nservice = \"ab\"");
        let request = &[0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b'];
        let address = grpc(Answer::Message(SERVING, "0"), HEALTH, request);
        assert_eq!(probed(&named, address).await.state, Healthy);
    })
    .await;
}

#[tokio::test]
async fn other_methods_pass_by_their_status() {
    let check = "protocol = \"grpc\"\npath = \"/AWS.ALB/healthcheck\"";
    let unimplemented = Answer::Head("12");
    let seen = "grpc-status 12 (UNIMPLEMENTED): no";
    locally(async {
        let address = grpc(unimplemented, "/AWS.ALB/healthcheck", EMPTY);
        let found = probed(check, address).await;
        assert_seen(&found, Unhealthy, seen);
        assert_eq!(
            found.description,
            "Health checks failed with these codes: [12]"
        );
        for matcher in ["12", "0,12", "5-16"] {
            let check = format!("{check}\nmatcher = \"{matcher}\"");
            assert_seen(&probed(&check, address).await, Healthy, seen);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_http2_is_told() {
    let check = "protocol = \"grpc\"";
    locally(async {
        let address = service(|mut stream| async move {
            let response = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n";
            stream.write_all(response).await.unwrap();
            // Reads all of it: closing with bytes unread would reset the connection.
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
        });
        let found = probed(check, address).await;
        assert_eq!(found.state, Unhealthy);
        let seen = &found.observations[0].seen;
        assert!(seen.starts_with("HTTP/2: connection error"), "{seen}");
        let found = probed(check, service(|stream| async move { drop(stream) })).await;
        assert_eq!(found.state, Unhealthy);
    })
    .await;
}
