//! HTTP/2 checks: what they ask, over TLS and in clear text, and how they look into bodies.

use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use healthcheck::TargetState::{Healthy, Unhealthy};
use http::{Method, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::harness::{assert_seen, locally, probed, service};
use crate::tls::{Authority, acceptor};

const KEYS: &str = r#"
    path = "/up?deep=1"
    method = "POST"
    host = "app.test"
    headers = { X-Probe = "yes", User-Agent = "me" }
    search-string = "needle"
"#;

/// Answers each request with `body`, in two parts; asserts what was asked.
async fn answer<S>(stream: S, scheme: &'static str, coding: Option<&'static str>, body: Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.method(), Method::POST);
        let expected = format!("{scheme}://app.test/up?deep=1");
        assert_eq!(request.uri().to_string(), expected);
        let fields = request.headers();
        assert_eq!(
            (&fields["x-probe"], &fields["user-agent"]),
            (&"yes".parse().unwrap(), &"me".parse().unwrap())
        );
        assert_eq!(fields["accept"], "*/*");
        assert!(request.body().is_end_stream(), "probes have no body");
        let mut head = Response::builder().status(200);
        if let Some(coding) = coding {
            head = head.header("content-encoding", coding);
        }
        let mut send = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        let half = body.len() / 2;
        send.send_data(body.slice(..half), false).unwrap();
        send.send_data(body.slice(half..), true).unwrap();
    }
}

fn clear(coding: Option<&'static str>, body: impl Into<Bytes>) -> SocketAddr {
    let body = body.into();
    service(move |stream| answer(stream, "http", coding, body.clone()))
}

#[tokio::test]
async fn requests_are_asked_as_written_and_bodies_looked_into() {
    let check = format!("protocol = \"h2c\"{KEYS}");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"hay needle hay").unwrap();
    let packed = packed.finish().unwrap();
    let missing = "HTTP/2 200 OK, without the search string in the first 5120 bytes of the body";
    locally(async {
        let found = probed(&check, clear(None, "hay needle")).await;
        assert_seen(&found, Healthy, "HTTP/2 200 OK");
        assert!(found.observations[0].first_byte_ms.is_some());
        let found = probed(&check, clear(Some("gzip"), packed)).await;
        assert_seen(&found, Healthy, "HTTP/2 200 OK");
        let found = probed(&check, clear(None, "hay")).await;
        assert_seen(&found, Unhealthy, missing);
        let found = probed(&check, clear(Some("br"), "hay needle")).await;
        let seen = "the body's content coding is not known here";
        assert_seen(&found, Unhealthy, seen);
    })
    .await;
}

#[tokio::test]
async fn over_tls_http2_is_agreed_on_by_alpn() {
    let authority = Authority::new("ours");
    let check = format!("{}{KEYS}", authority.check("h2"));
    locally(async {
        let acceptor = acceptor(authority.sign(&["app.test"], |_| ()), "h2");
        let address = service(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let stream = acceptor.accept(stream).await.unwrap();
                answer(stream, "https", None, Bytes::from_static(b"needle")).await;
            }
        });
        let found = probed(&check, address).await;
        assert_seen(&found, Healthy, "HTTP/2 200 OK");
        assert!(found.observations[0].tls_ms.is_some());
    })
    .await;
}
