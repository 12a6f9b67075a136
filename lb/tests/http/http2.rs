//! Clients that speak HTTP/2, before targets that speak HTTP/1.1.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request, Response};

use crate::balancer::{Balancer, Options};
use crate::client::PATIENCE;
use crate::target::Target;

/// Runs `test` with a connection to `balancer`.
pub fn with_client<F: Future<Output = ()>>(
    balancer: &Balancer,
    test: impl FnOnce(SendRequest<Bytes>) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let address = balancer.address;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let driving = tokio::task::spawn_local(connection);
        let client = client.ready().await.unwrap();
        tokio::time::timeout(2 * PATIENCE, test(client))
            .await
            .unwrap();
        driving.abort();
    });
}

pub fn get(path: &str) -> Request<()> {
    let uri = format!("http://a.example{path}");
    Request::get(uri).body(()).unwrap()
}

pub async fn fetch(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
) -> (Response<()>, String) {
    let (response, _) = client.send_request(request, true).unwrap();
    let (head, body) = response.await.unwrap().into_parts();
    let (text, _) = read(body).await.unwrap();
    (Response::from_parts(head, ()), text)
}

pub async fn read(mut body: RecvStream) -> Result<(String, Option<HeaderMap>), h2::Error> {
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        text.extend(data);
    }
    let trailers = body.trailers().await?;
    Ok((String::from_utf8(text).unwrap(), trailers))
}

#[test]
fn requests_come_as_http1_and_go_back_as_http2() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    with_client(&balancer, async |mut client| {
        let request = Request::get("http://a.example:81/p?q")
            .header("cookie", "a=1")
            .header("x-one", "1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, text) = fetch(&mut client, request).await;
        assert_eq!(response.status(), 200);
        assert!(
            text.starts_with("GET /p?q HTTP/1.1\r\nhost: a.example:81\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\ncookie: a=1; b=2\r\n"), "{text}");
        assert!(
            text.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"),
            "{text}"
        );
        assert!(!text.contains("transfer-encoding"), "{text}");
        // Many at once, on the same connection.
        let mut all = Vec::new();
        for n in 0..100 {
            client = client.ready().await.unwrap();
            all.push(client.send_request(get(&format!("/{n}")), true).unwrap().0);
        }
        for (n, response) in all.into_iter().enumerate() {
            let (text, _) = read(response.await.unwrap().into_body()).await.unwrap();
            assert!(
                text.starts_with(&format!("GET /{n} HTTP/1.1\r\n")),
                "{text}"
            );
        }
        let (response, text) = fetch(
            &mut client,
            Request::head("http://a.example/").body(()).unwrap(),
        )
        .await;
        assert_eq!(
            (response.headers()["content-length"].len(), &*text),
            (1, "")
        );
    });
    balancer.expect_metric("pointsman_connections_total", "", 1.0);
    balancer.expect_metric("pointsman_requests_total", "2xx", 102.0);
    balancer.expect_metric("pointsman_http2_streams_total", "", 102.0);
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let target = Target::scripted(|mut connection| {
        let (head, body) = connection.request().unwrap();
        let chunked = head.contains("transfer-encoding: chunked\r\n");
        assert!(chunked && head.contains("TE: trailers\r\n"), "{head}");
        assert!(body.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{body}");
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
        connection.send("5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n");
        // The connection can be used again.
        connection.request().unwrap();
        connection.send("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    with_client(&balancer, async |mut client| {
        let mut request = get("/");
        *request.method_mut() = Method::POST;
        request
            .headers_mut()
            .insert("te", "trailers".parse().unwrap());
        let (mut response, mut send) = client.send_request(request, false).unwrap();
        send.send_data("some body".into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        send.send_trailers(trailers).unwrap();
        let early = poll_fn(|cx| response.poll_informational(cx)).await;
        assert_eq!(early.unwrap().unwrap().status(), 103);
        let (text, trailers) = read(response.await.unwrap().into_body()).await.unwrap();
        assert_eq!(
            (&*text, &trailers.unwrap()["x-sum"]),
            ("helloabc", &"9".parse().unwrap())
        );
        let (_, text) = fetch(&mut client, get("/")).await;
        assert_eq!(text, "until the end");
    });
}

#[test]
fn a_slow_reader_holds_the_target_up() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let (wrote, written) = std::sync::mpsc::channel();
    let target = Target::scripted(move |mut connection| {
        connection.head().unwrap();
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
        ));
        for _ in 0..LENGTH / 65_536 {
            connection.send([b'x'; 65_536]);
            let _ = wrote.send(());
        }
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    with_client(&balancer, async |mut client| {
        let (response, _) = client.send_request(get("/"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let first = body.data().await.unwrap().unwrap();
        // What the kernel's buffers and the balancer's hold; far from all.
        let mut blocks = 0;
        while written.recv_timeout(Duration::from_millis(500)).is_ok() {
            blocks += 1;
        }
        assert!(
            blocks * 65_536 < LENGTH / 2,
            "{blocks} blocks went out unread"
        );
        let mut length = first.len();
        body.flow_control().release_capacity(first.len()).unwrap();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            length += data.len();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        assert_eq!(length, LENGTH);
    });
}

#[test]
fn ends_that_are_none_become_resets() {
    let target = Target::scripted(|mut connection| {
        connection.request().unwrap();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    with_client(&balancer, async |mut client| {
        let (response, _) = client.send_request(get("/"), true).unwrap();
        // The head is lost to the client when the reset comes with it.
        let error = match response.await {
            Ok(response) => read(response.into_body()).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    });
}

#[test]
fn a_reset_by_the_client_ends_the_exchange() {
    let (saw_end, ended) = std::sync::mpsc::channel();
    let target = Target::scripted(move |mut connection| {
        connection.head().unwrap();
        saw_end.send("began").unwrap();
        assert!(connection.head().is_none());
        // The test may be over.
        let _ = saw_end.send("ended");
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    with_client(&balancer, async |mut client| {
        let (response, mut send) = client.send_request(get("/"), true).unwrap();
        let began = tokio::task::spawn_blocking(move || (ended.recv(), ended));
        let (began, ended) = began.await.unwrap();
        assert_eq!(began, Ok("began"));
        drop(response);
        send.send_reset(Reason::CANCEL);
        let ended = tokio::task::spawn_blocking(move || ended.recv());
        assert_eq!(ended.await.unwrap(), Ok("ended"));
    });
    balancer.expect_metric("pointsman_requests_total", "none", 1.0);
}

#[test]
fn connections_end_when_they_are_old_or_idle() {
    let target = Target::echo();
    for listener in ["client-keep-alive = \"1s\"", "idle-timeout = \"300ms\""] {
        let options = Options {
            listener,
            ..Options::default()
        };
        let balancer = Balancer::start(&[target.address], &options);
        with_client(&balancer, async |mut client| {
            fetch(&mut client, get("/")).await;
            // Told by GOAWAY: no more requests can be sent.
            while poll_fn(|cx| client.poll_ready(cx)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
}

#[test]
fn a_much_used_connection_ends_with_its_answers_given() {
    let target = Target::echo();
    let options = Options {
        listener: "max-requests = 5",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    with_client(&balancer, async |mut client| {
        let mut answers = 0;
        while poll_fn(|cx| client.poll_ready(cx)).await.is_ok() {
            let Ok((response, _)) = client.send_request(get("/"), true) else {
                break;
            };
            // What crossed the GOAWAY was not begun.
            if response.await.is_err() {
                break;
            }
            answers += 1;
        }
        assert_eq!(answers, 5);
    });
    let mut client = balancer.connect();
    for count in 1..=5 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (head, _) = client.read_response();
        assert_eq!(head.contains("Connection: close\r\n"), count == 5, "{head}");
    }
    client.read_to_end();
}

#[test]
fn an_old_http1_connection_ends_with_its_next_answer() {
    let target = Target::echo();
    let options = Options {
        listener: "client-keep-alive = \"1s\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let answers = || {
        let mut client = balancer.connect();
        let mut answers = 0;
        loop {
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let head = client.read_until("\r\n\r\n");
            answers += 1;
            if head.contains("Connection: close\r\n") {
                break;
            }
            client.read_until("X-Forwarded-Port: ");
            client.read_until("\r\n\r\n");
        }
        client.read_to_end();
        answers
    };
    // One that is old at its first answer tells of a machine that stalled.
    assert!((0..20).any(|_| answers() > 1));
}

#[test]
fn websockets_pass_as_extended_connects() {
    let target = Target::scripted(|mut connection| {
        let head = connection.head().unwrap();
        assert!(head.starts_with("GET /chat HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nConnection: Upgrade\r\n"), "{head}");
        assert!(head.contains("\r\nsec-websocket-key: "), "{head}");
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: p\r\n\r\nfirst",
        );
        let ahead = connection.read_until("ping").unwrap();
        connection.send(format!("{ahead}-pong"));
        // The client's end comes through, and ours after it.
        assert!(connection.read_until("more").is_none());
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    with_client(&balancer, async |mut client| {
        // The settings that allow it come first.
        while !client.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let request = Request::connect("http://a.example/chat")
            .extension(h2::ext::Protocol::from_static("websocket"));
        let request = request
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        let (response, mut send) = client.send_request(request, false).unwrap();
        send.send_data("ping".into(), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let fields = response.headers();
        assert_eq!(fields["sec-websocket-protocol"], "p");
        assert!(!fields.contains_key("sec-websocket-accept") && !fields.contains_key("upgrade"));
        let mut body = response.into_body();
        let mut text = Vec::new();
        while text != b"firstping-pong" {
            text.extend(body.data().await.unwrap().unwrap());
        }
        send.send_data(Bytes::new(), true).unwrap();
        assert!(
            body.data()
                .await
                .is_none_or(|data| data.unwrap().is_empty())
        );
    });
}
