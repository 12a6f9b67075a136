//! WebSockets over HTTP/2 on both sides (RFC 8441).

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};

use crate::http2::{fetch, get, read, with_client};
use crate::http2_targets::{Answer, Target, balancer};

/// A target that takes WebSockets.
fn tunnelling<F: Future<Output = ()> + 'static>(
    script: impl Fn(Request<RecvStream>, Answer, usize) -> F + Send + 'static,
) -> Target {
    let mut settings = h2::server::Builder::new();
    settings.enable_connect_protocol();
    Target::with(settings, script)
}

/// Asks for one, once the settings that allow it have come.
async fn open(client: &mut SendRequest<Bytes>) -> (ResponseFuture, SendStream<Bytes>) {
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let request = Request::connect("http://a.example/chat?x=1")
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "p, q")
        .body(())
        .unwrap();
    client.send_request(request, false).unwrap()
}

async fn more(body: &mut RecvStream) -> Option<Bytes> {
    let data = body.data().await?.unwrap();
    body.flow_control().release_capacity(data.len()).unwrap();
    Some(data)
}

#[test]
fn a_tunnel_goes_to_a_target_that_takes_them() {
    let target = tunnelling(async |request, mut answer, _| {
        let (parts, mut body) = request.into_parts();
        let protocol = parts.extensions.get::<Protocol>().unwrap();
        assert_eq!(
            (&parts.method, protocol.as_str()),
            (&Method::CONNECT, "websocket")
        );
        assert_eq!(parts.uri, "http://a.example/chat?x=1");
        assert_eq!(parts.headers["sec-websocket-version"], "13");
        assert_eq!(parts.headers["x-forwarded-for"], "127.0.0.1");
        for name in ["sec-websocket-key", "upgrade", "connection", "host"] {
            assert!(!parts.headers.contains_key(name), "{name}");
        }
        let response = Response::builder().header("sec-websocket-protocol", "q");
        let response = response.body(()).unwrap();
        let mut send = answer.send_response(response, false).unwrap();
        send.send_data("first".into(), false).unwrap();
        while let Some(data) = more(&mut body).await {
            send.send_data(data, false).unwrap();
        }
        // The client's end came through, and ours goes back.
        send.send_data("last".into(), true).unwrap();
    });
    let balancer = balancer(&[target.address], "h2c");
    with_client(&balancer, async |mut client| {
        let (response, mut send) = open(&mut client).await;
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["sec-websocket-protocol"], "q");
        for name in ["sec-websocket-accept", "upgrade", "connection"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        let mut body = response.into_body();
        assert_eq!(more(&mut body).await.unwrap(), "first");
        for word in ["one", "two"] {
            send.send_data(word.into(), false).unwrap();
            assert_eq!(more(&mut body).await.unwrap(), word);
        }
        send.send_data(Bytes::new(), true).unwrap();
        let mut end = Vec::new();
        while let Some(data) = more(&mut body).await {
            end.extend(data);
        }
        assert_eq!(end, b"last");
    });
}

#[test]
fn a_target_may_refuse_one() {
    let target = tunnelling(async |_, mut answer, _| {
        let response = Response::builder().status(403).body(()).unwrap();
        let mut send = answer.send_response(response, false).unwrap();
        send.send_data("no".into(), true).unwrap();
    });
    let balancer = balancer(&[target.address], "h2c");
    with_client(&balancer, async |mut client| {
        let (response, _send) = open(&mut client).await;
        let response = response.await.unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(read(response.into_body()).await.unwrap().0, "no");
    });
}

#[test]
fn when_either_side_resets_the_other_is_reset() {
    let target = tunnelling(async |request, mut answer, _| {
        let mut send = answer.send_response(Response::new(()), false).unwrap();
        let mut body = request.into_body();
        match body.data().await {
            Some(Ok(word)) if word == "reset" => send.send_reset(h2::Reason::CANCEL),
            Some(Ok(_)) => {
                send.send_data("await".into(), false).unwrap();
                assert!(body.data().await.unwrap().is_err());
                std::future::poll_fn(|cx| send.poll_reset(cx))
                    .await
                    .unwrap();
            }
            other => panic!("{other:?}"),
        }
    });
    let balancer = balancer(&[target.address], "h2c");
    with_client(&balancer, async |mut client| {
        let (response, mut send) = open(&mut client).await;
        let mut body = response.await.unwrap().into_body();
        send.send_data("reset".into(), false).unwrap();
        assert!(body.data().await.unwrap().is_err());
        let (response, mut send) = open(&mut client).await;
        let mut body = response.await.unwrap().into_body();
        send.send_data("wait".into(), false).unwrap();
        assert_eq!(more(&mut body).await.unwrap(), "await");
        send.send_reset(h2::Reason::CANCEL);
        drop(body);
        // The connection to the target goes on.
        let (response, mut send) = open(&mut client).await;
        let mut body = response.await.unwrap().into_body();
        send.send_data("again".into(), false).unwrap();
        assert_eq!(more(&mut body).await.unwrap(), "await");
    });
    let seen: Vec<_> = target.seen.try_iter().collect();
    assert_eq!(seen.iter().filter(|line| *line == "connection").count(), 1);
}

#[test]
fn a_target_that_takes_none_is_not_asked() {
    let target = Target::echo();
    let balancer = balancer(&[target.address], "h2c");
    with_client(&balancer, async |mut client| {
        let (response, _send) = open(&mut client).await;
        let response = response.await.unwrap();
        assert_eq!(response.status().as_u16(), 464);
        let (text, _) = read(response.into_body()).await.unwrap();
        assert!(text.contains("target-takes-no-tunnels"), "{text}");
        let (response, _) = fetch(&mut client, get("/")).await;
        assert_eq!(response.status(), 200);
    });
    let seen: Vec<_> = target.seen.try_iter().collect();
    assert_eq!(seen, ["connection", "/"]);
}

/// When the target had ended its side, what the client still sent was taken for its end.
#[test]
fn the_client_goes_on_when_the_target_has_ended_its_side() {
    let (tell, told) = std::sync::mpsc::channel();
    let target = tunnelling(move |request, mut answer, _| {
        let tell = tell.clone();
        async move {
            let mut send = answer.send_response(Response::new(()), false).unwrap();
            send.send_data("all".into(), true).unwrap();
            let mut body = request.into_body();
            let mut heard = Vec::new();
            while let Some(data) = more(&mut body).await {
                heard.extend(data);
            }
            tell.send(heard).unwrap();
        }
    });
    let balancer = balancer(&[target.address], "h2c");
    with_client(&balancer, async |mut client| {
        let (response, mut send) = open(&mut client).await;
        let mut body = response.await.unwrap().into_body();
        let mut all = Vec::new();
        while let Some(data) = more(&mut body).await {
            all.extend(data);
        }
        assert_eq!(all, b"all");
        send.send_data("one".into(), false).unwrap();
        send.send_data("two".into(), true).unwrap();
        let heard = loop {
            match told.try_recv() {
                Ok(heard) => break heard,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(heard, b"onetwo");
    });
}
