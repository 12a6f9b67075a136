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
const PATIENCE: Duration = Duration::from_secs(20);

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
