//! Targets that speak HTTP/2 and gRPC.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use healthcheck::TargetState;
use http::{HeaderMap, Request, Response};

use crate::balancer::{Balancer, Options};
use crate::http2::{fetch, get, read, with_client};

/// A target that answers every stream by `script`, and tells of each connection and request.
pub struct Target {
    pub address: SocketAddr,
    pub seen: Receiver<String>,
}

pub type Answer = SendResponse<Bytes>;

impl Target {
    fn new<F: Future<Output = ()> + 'static>(
        script: impl Fn(Request<RecvStream>, Answer, usize) -> F + Send + 'static,
    ) -> Self {
        Self::with(h2::server::Builder::new(), script)
    }

    /// One with settings of its own.
    pub fn with<F: Future<Output = ()> + 'static>(
        settings: h2::server::Builder,
        script: impl Fn(Request<RecvStream>, Answer, usize) -> F + Send + 'static,
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a target, not the balancer")]
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            let script = std::rc::Rc::new(script);
            local.block_on(&runtime, serve(listener, settings, sender, script));
        });
        Self { address, seen }
    }

    /// Says what came: method, path, and each field.
    pub fn echo() -> Self {
        Self::new(async |request, mut answer, _| {
            let text = format!("{:?}", request.into_parts().0);
            let mut send = answer.send_response(Response::new(()), false).unwrap();
            send.send_data(text.into(), true).unwrap();
        })
    }
}

async fn serve<F: Future<Output = ()> + 'static>(
    listener: std::net::TcpListener,
    settings: h2::server::Builder,
    seen: Sender<String>,
    script: std::rc::Rc<impl Fn(Request<RecvStream>, Answer, usize) -> F + 'static>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let mut number = 0;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (seen, script, settings) = (seen.clone(), script.clone(), settings.clone());
        let this = number;
        tokio::task::spawn_local(async move {
            // A probe connects and says nothing.
            let Ok(mut connection) = settings.handshake(stream).await else {
                return;
            };
            let _ = seen.send("connection".to_owned());
            while let Some(Ok((request, answer))) = connection.accept().await {
                let _ = seen.send(request.uri().path().to_owned());
                tokio::task::spawn_local(script(request, answer, this));
            }
        });
        // Only connections of requests count, and those begin with one byte.
        number += 1;
    }
}

pub fn balancer(targets: &[SocketAddr], protocol: &'static str) -> Balancer {
    let options = Options {
        protocol: Some(protocol),
        ..Options::default()
    };
    Balancer::start(targets, &options)
}

#[test]
fn requests_share_a_connection_to_their_target() {
    let target = Target::echo();
    let balancer = balancer(&[target.address], "h2c");
    with_client(&balancer, async |mut client| {
        let mut all = Vec::new();
        for n in 0..100 {
            client = client.ready().await.unwrap();
            all.push(client.send_request(get(&format!("/{n}")), true).unwrap().0);
        }
        for (n, response) in all.into_iter().enumerate() {
            let (text, _) = read(response.await.unwrap().into_body()).await.unwrap();
            assert!(
                text.contains(&format!("uri: http://a.example/{n}, ")),
                "{text}"
            );
            assert!(
                text.contains("\"x-forwarded-for\": \"127.0.0.1\""),
                "{text}"
            );
            assert!(
                !text.contains("\"host\"") && !text.contains("connection"),
                "{text}"
            );
        }
    });
    let seen: Vec<_> = target.seen.try_iter().collect();
    let connections = seen.iter().filter(|line| *line == "connection").count();
    assert_eq!((connections, seen.len()), (1, 101));
}

#[test]
fn who_speaks_another_version_is_told_464() {
    let target = Target::echo();
    for protocol in ["h2c", "grpc"] {
        let balancer = balancer(&[target.address], protocol);
        let text = balancer.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 464 "), "{text}");
        assert!(text.contains("protocol-version-mismatch"), "{text}");
        with_client(&balancer, async |mut client| {
            let (response, _) = fetch(&mut client, get("/")).await;
            let expected = if protocol == "grpc" { 464 } else { 200 };
            assert_eq!(response.status().as_u16(), expected);
        });
    }
    // A call to targets that speak HTTP/1.1.
    let target = crate::target::Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    with_client(&balancer, async |mut client| {
        let (response, _) = fetch(&mut client, call("/s/m")).await;
        assert_eq!(
            (response.status().as_u16(), status(response.headers())),
            (200, "2")
        );
    });
    assert_eq!(target.connections(), 0);
}

fn call(path: &str) -> Request<()> {
    let uri = format!("http://a.example{path}");
    let request = Request::post(uri).header("content-type", "application/grpc+proto");
    request.header("te", "trailers").body(()).unwrap()
}

fn status(fields: &HeaderMap) -> &str {
    fields["grpc-status"].to_str().unwrap()
}

#[test]
fn calls_stream_both_ways_and_end_in_trailers() {
    let target = Target::new(async |request, mut answer, _| {
        assert_eq!(request.headers()["te"], "trailers");
        let mut body = request.into_body();
        let response = Response::builder().header("content-type", "application/grpc");
        let mut send = answer
            .send_response(response.body(()).unwrap(), false)
            .unwrap();
        // Each message is answered before the next one comes.
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            send.send_data(data, false).unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("grpc-message", "%20done".parse().unwrap());
        send.send_trailers(trailers).unwrap();
    });
    let balancer = balancer(&[target.address], "grpc");
    with_client(&balancer, async |mut client| {
        let (response, mut send) = client.send_request(call("/s/m"), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        for message in ["one", "two", "three"] {
            send.send_data(message.into(), false).unwrap();
            let data = body.data().await.unwrap().unwrap();
            assert_eq!(data, message);
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        send.send_data(Bytes::new(), true).unwrap();
        let (rest, trailers) = read(body).await.unwrap();
        let trailers = trailers.unwrap();
        assert_eq!((&*rest, status(&trailers)), ("", "0"));
        assert_eq!(trailers["grpc-message"], "%20done");
    });
}

#[test]
fn an_answer_of_trailers_only_stays_one() {
    let target = Target::new(async |_, mut answer, _| {
        let response = Response::builder().header("grpc-status", "12");
        answer
            .send_response(response.body(()).unwrap(), true)
            .unwrap();
    });
    let balancer = balancer(&[target.address], "grpc");
    with_client(&balancer, async |mut client| {
        let (response, _) = client.send_request(call("/s/m"), true).unwrap();
        let response = response.await.unwrap();
        assert!(response.body().is_end_stream());
        assert_eq!(status(response.headers()), "12");
    });
}

#[test]
fn a_call_that_no_target_takes_gets_a_grpc_status() {
    let options = Options {
        protocol: Some("grpc"),
        group: "hold = \"0s\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[crate::target::nobody()], &options);
    with_client(&balancer, async |mut client| {
        let (response, _) = client.send_request(call("/s/m"), true).unwrap();
        let response = response.await.unwrap();
        assert!(response.body().is_end_stream());
        assert_eq!(
            (response.status().as_u16(), status(response.headers())),
            (200, "14")
        );
        assert_eq!(response.headers()["content-type"], "application/grpc");
    });
}

#[test]
fn what_a_target_refuses_another_gets_even_if_it_is_not_idempotent() {
    let refusing = Target::new(async |_, mut answer, _| answer.send_reset(Reason::REFUSED_STREAM));
    let target = Target::echo();
    let balancer = balancer(&[refusing.address, target.address], "h2c");
    balancer.wait_for(2, TargetState::Healthy);
    with_client(&balancer, async |mut client| {
        for _ in 0..4 {
            let request = Request::post("http://a.example/").body(()).unwrap();
            let (response, text) = fetch(&mut client, request).await;
            assert_eq!(response.status(), 200, "{text}");
        }
    });
    assert!(refusing.seen.try_iter().count() > 0);
    // One that was begun is not sent again.
    let breaking = Target::new(async |_, mut answer, _| answer.send_reset(Reason::INTERNAL_ERROR));
    let balancer = self::balancer(&[breaking.address], "h2c");
    with_client(&balancer, async |mut client| {
        let request = Request::post("http://a.example/").body(()).unwrap();
        let (response, _) = fetch(&mut client, request).await;
        assert_eq!(response.status(), 502);
    });
    let requests = breaking.seen.try_iter().filter(|line| line == "/").count();
    assert_eq!(requests, 1);
}

#[test]
fn statuses_of_calls_count_for_passive_health() {
    let failing = Target::new(async |_, mut answer, _| {
        let response = Response::builder().header("grpc-status", "14");
        answer
            .send_response(response.body(()).unwrap(), true)
            .unwrap();
    });
    let fine = Target::new(async |_, mut answer, _| {
        let response = Response::builder().header("grpc-status", "5");
        answer
            .send_response(response.body(()).unwrap(), true)
            .unwrap();
    });
    let options = Options {
        protocol: Some("grpc"),
        group: "passive-health = { consecutive-failures = 3 }",
        ..Options::default()
    };
    let balancer = Balancer::start(&[failing.address, fine.address], &options);
    balancer.wait_for(2, TargetState::Healthy);
    with_client(&balancer, async |mut client| {
        let mut in_a_row = 0;
        // Ejected: everything goes to the one that answers.
        while in_a_row < 20 {
            let (response, _) = client.send_request(call("/s/m"), true).unwrap();
            let response = response.await.unwrap();
            in_a_row = match status(response.headers()) {
                "5" => in_a_row + 1,
                _ => 0,
            };
            client = client.ready().await.unwrap();
        }
    });
}
