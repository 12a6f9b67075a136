use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::TlsStream;
use crate::stream::Side;
use crate::tls::Scratch;

/// Longer than it takes when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both sides' configurations, of one certificate.
fn configurations() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["tls.test".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

/// Says `words` and that this is all, and closes only when the other side has said so too.
fn polite_client(address: SocketAddr, config: ClientConfig, words: &[u8]) -> Vec<u8> {
    let name = ServerName::try_from("tls.test").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = std::net::TcpStream::connect(address).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, socket);
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream.write_all(words).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// A peer that waits for our close_notify before it closes its socket was taken for one that has more
/// to say: the tunnel between two such peers stood still until it was idle for too long.
#[tokio::test]
async fn close_notify_is_the_end_though_the_socket_stays_open() {
    for words in [&b""[..], b"words"] {
        let (server, client) = configurations();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || polite_client(address, client, words));
        let (socket, _) = listener.accept().await.unwrap();
        let connection = ServerConnection::new(Arc::new(server)).unwrap();
        let mut stream = TlsStream::to_client(socket.into(), connection, Scratch::default());
        poll_fn(|cx| stream.poll_handshake(cx, b"")).await.unwrap();
        let (mut read, mut room) = (Vec::new(), [0; 64]);
        loop {
            let more = poll_fn(|cx| stream.poll_read(cx, &mut room));
            match timeout(PATIENCE, more).await.unwrap().unwrap() {
                0 => break,
                count => read.extend_from_slice(&room[..count]),
            }
        }
        assert_eq!(read, words);
        poll_fn(|cx| stream.poll_write(cx, b"answer", &[]))
            .await
            .unwrap();
        poll_fn(|cx| stream.poll_finish(cx)).await.unwrap();
        assert_eq!(peer.join().unwrap(), b"answer");
    }
}

/// A server's stream, and a client of it that has finished its handshake.
async fn connected() -> (TlsStream, ClientConnection, std::net::TcpStream) {
    let (server, client) = configurations();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shaking = std::thread::spawn(move || {
        let name = ServerName::try_from("tls.test").unwrap();
        let mut connection = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        connection.complete_io(&mut socket).unwrap();
        (connection, socket)
    });
    let (socket, _) = listener.accept().await.unwrap();
    let connection = ServerConnection::new(Arc::new(server)).unwrap();
    let mut stream = TlsStream::to_client(socket.into(), connection, Scratch::default());
    poll_fn(|cx| stream.poll_handshake(cx, b"")).await.unwrap();
    let (connection, socket) = shaking.join().unwrap();
    (stream, connection, socket)
}

/// What can be read before the end, and how that comes.
async fn read_all(stream: &mut TlsStream, step: usize) -> (Vec<u8>, std::io::Result<()>) {
    let (mut read, mut room) = (Vec::new(), vec![0; step]);
    loop {
        let more = poll_fn(|cx| stream.poll_read(cx, &mut room));
        match timeout(PATIENCE, more).await.unwrap() {
            Ok(0) => return (read, Ok(())),
            Ok(count) => read.extend_from_slice(&room[..count]),
            Err(error) => return (read, Err(error)),
        }
    }
}

/// Words that came in one read with an alert after them were thrown away.
#[tokio::test]
async fn what_came_before_a_fatal_alert_is_read_and_then_the_error() {
    for step in [1, 3, 64, 65_536] {
        let (mut stream, mut client, mut socket) = connected().await;
        client.writer().write_all(b"words").unwrap();
        client.writer().write_all(b" more").unwrap();
        // A record that the client cannot read makes it send an alert.
        let mut garbage = &b"\x17\x03\x03\0\x05abcde"[..];
        client.read_tls(&mut garbage).unwrap();
        client.process_new_packets().unwrap_err();
        let mut all = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut all).unwrap();
        }
        socket.write_all(&all).unwrap();
        let (read, end) = read_all(&mut stream, step).await;
        assert_eq!(read, b"words more");
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
        let again = poll_fn(|cx| stream.poll_read(cx, &mut [0; 64])).await;
        assert!(again.is_err(), "{again:?}");
    }
}

/// What a client had sent before it reset the connection was thrown away when our close_notify could
/// not be sent any more; and the reset, told to that write, made a clean end of the reads.
#[tokio::test]
async fn what_came_before_a_reset_is_read_though_writing_fails() {
    for step in [3, 64] {
        let (mut stream, mut client, mut socket) = connected().await;
        client.writer().write_all(b"words").unwrap();
        while client.wants_write() {
            client.write_tls(&mut socket).unwrap();
        }
        socket2::SockRef::from(&socket)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(socket);
        let finished = poll_fn(|cx| stream.poll_finish(cx));
        finished.await.unwrap_err();
        let (read, end) = read_all(&mut stream, step).await;
        assert_eq!(read, b"words");
        end.unwrap_err();
    }
}
