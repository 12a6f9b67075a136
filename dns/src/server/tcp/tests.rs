//! Connections over loopback: pipelining, limits, slow clients. Time is paused where it matters.

use hickory_proto::op::Message;
use tokio::io::AsyncReadExt;
use tokio::task::LocalSet;

use super::*;
use crate::testing::{Scene, query, text};

const ZONE: &str = "
@ 900 IN SOA ns1 hostmaster 7 3600 600 86400 60
@ 3600 NS ns1.example.net.
www 30 A 192.0.2.1
";
const IDLE: Duration = Duration::from_secs(10);

/// Runs `test` beside a worker with room for `max` connections.
async fn with_worker<F: Future<Output = ()>>(
    max: usize,
    test: impl FnOnce(SocketAddr, Arc<TcpLimits>) -> F,
) {
    let snapshot = Scene::of_zones(&[("example.test.", ZONE)]).snapshot();
    let (sender, commands) = mpsc::unbounded_channel();
    let limits = Arc::new(TcpLimits::new(max, IDLE));
    let worker = TcpWorker {
        notified: tokio::sync::mpsc::channel(1).0,
        orders: tokio::sync::mpsc::channel(1).0,
        forwards: tokio::sync::mpsc::channel(1).0,
        commands,
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        counters: Arc::new(Counters::new(Transport::Tcp)),
        limits: limits.clone(),
        tap: crate::tap::Tap::new(Arc::new(crate::tap::hub().0)),
    };
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = socket.into_std().unwrap();
    sender.send(TcpCommand::Serve(address, listener)).unwrap();
    let local = LocalSet::new();
    let worker = local.spawn_local(worker.run());
    local
        .run_until(async {
            test(address, limits).await;
            drop(sender);
            worker.await.unwrap();
        })
        .await;
}

fn framed(name: &str) -> Vec<u8> {
    let packet = query(name, "A");
    let length = packet.len() as u16;
    [&length.to_be_bytes()[..], &packet].concat()
}

async fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut response = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut response).await?;
    Ok(text(&Message::from_vec(&response).unwrap()))
}

/// True once the server has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
}

const WWW: &str = "NOERROR aa | www.example.test. 30 IN A 192.0.2.1";

#[tokio::test]
async fn pipelined_queries_are_answered_in_order() {
    with_worker(4, async |address, _| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let queries = [framed("www.example.test."), framed("example.org.")].concat();
        // Cut in the middle of the second query.
        let (first, second) = queries.split_at(queries.len() - 7);
        stream.write_all(first).await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap(), WWW);
        stream.write_all(second).await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap(), "REFUSED");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_query_ends_the_connection() {
    with_worker(4, async |address, _| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0, 3, 1, 2, 3]).await.unwrap();
        assert!(is_closed(&mut stream).await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn idle_and_dripping_connections_end() {
    with_worker(4, async |address, limits| {
        let mut idle = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        assert!(is_closed(&mut idle).await);
        assert!(began.elapsed() >= IDLE && began.elapsed() < 2 * IDLE);

        let mut dripping = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        for byte in framed("www.example.test.") {
            if dripping.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(IDLE / 4).await;
        }
        assert!(is_closed(&mut dripping).await);
        assert!(began.elapsed() < IDLE * 20);
        assert_eq!(limits.open.load(Ordering::Relaxed), 0);
    })
    .await;
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room() {
    with_worker(2, async |address, limits| {
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(&framed("www.example.test."))
                .await
                .unwrap();
            assert_eq!(read(&mut stream).await.unwrap(), WWW);
            streams.push(stream);
        }
        assert!(is_closed(&mut streams[0]).await);
        for stream in &mut streams[1..] {
            stream
                .write_all(&framed("www.example.test."))
                .await
                .unwrap();
            assert_eq!(read(stream).await.unwrap(), WWW);
        }
        assert_eq!(limits.open.load(Ordering::Relaxed), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_gone_after_the_idle_time() {
    with_worker(4, async |address, limits| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let queries = framed("www.example.test.").repeat(1000);
        // Until neither side's buffers take more.
        let write_all = async { while stream.write_all(&queries).await.is_ok() {} };
        timeout(20 * IDLE, write_all).await.unwrap();
        assert_eq!(limits.open.load(Ordering::Relaxed), 0);
    })
    .await;
}
