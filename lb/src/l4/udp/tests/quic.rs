//! QUIC: real handshakes, rebindings and migrations by quinn, and synthetic datagrams of Google's
//! versions.

#![expect(
    clippy::disallowed_methods,
    reason = "servers and NATs of a test are other programs' stand-ins"
)]

use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::time::Duration;

use conf::Config;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quinn::{ClientConfig, Connection, ConnectionId, ConnectionIdGenerator, Endpoint};
use quinn::{EndpointConfig, ServerConfig, TokioRuntime};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{DEADLINE, bound, metric, receive, until};
use crate::testing::{Rig, load};

/// Issues IDs in the layout of AWS: a zero byte, the server ID, seven random bytes.
struct AwsIds([u8; 8]);

impl ConnectionIdGenerator for AwsIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; 16];
        id[1..9].copy_from_slice(&self.0);
        id[9..].copy_from_slice(&rand::random::<[u8; 7]>());
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        16
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Certificate and key of every server here.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["quic.test".to_owned()]).unwrap();
        Self {
            certificate: made.cert.der().clone(),
            key: made.signing_key.serialize_der(),
        }
    }

    /// A server that answers each stream with its name and what was said.
    fn serve(&self, name: u8, server_id: Option<[u8; 8]>) -> SocketAddr {
        let key = PrivateKeyDer::Pkcs8(self.key.clone().into());
        let config = ServerConfig::with_single_cert(vec![self.certificate.clone()], key).unwrap();
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut endpoint = EndpointConfig::default();
        if let Some(id) = server_id {
            endpoint.cid_generator(move || Box::new(AwsIds(id)));
        }
        let runtime = Arc::new(TokioRuntime);
        let endpoint = Endpoint::new(endpoint, Some(config), socket, runtime).unwrap();
        tokio::task::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                tokio::task::spawn(async move {
                    let connection = incoming.await.unwrap();
                    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                        let said = receive.read_to_end(64).await.unwrap();
                        send.write_all(&[&[name], &said[..]].concat())
                            .await
                            .unwrap();
                        send.finish().unwrap();
                    }
                });
            }
        });
        address
    }

    fn client(&self) -> Endpoint {
        let mut roots = quinn::rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(
            ClientConfig::with_root_certificates(Arc::new(roots)).unwrap(),
        );
        endpoint
    }
}

async fn connect(client: &Endpoint, to: SocketAddr) -> Connection {
    let connecting = client.connect(to, "quic.test").unwrap();
    timeout(DEADLINE, connecting).await.unwrap().unwrap()
}

/// Says a word on a stream of its own: who answered.
async fn ask(connection: &Connection, word: &[u8]) -> u8 {
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(word).await.unwrap();
        send.finish().unwrap();
        receive.read_to_end(64).await.unwrap()
    };
    let answer = timeout(DEADLINE, exchange).await.expect("an answer");
    assert_eq!(&answer[1..], word);
    answer[0]
}

fn config(targets: &str, connection_id: &str) -> Arc<Config> {
    config_of("quic", targets, connection_id)
}

fn config_of(protocol: &str, targets: &str, connection_id: &str) -> Arc<Config> {
    load(&format!(
        "[logs]\naccess = \"off\"\n\
         [[listener]]\nname = \"quic\"\nbind = \"127.0.0.1:0\"\nprotocol = \"{protocol}\"\n\
         forward = \"app\"\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"{protocol}\"\ntargets = [{targets}]\n\
         connection-id = {connection_id}\n"
    ))
}

/// A NAT in front of a client: what it sends to `address` goes out from another port after each
/// `rebind`.
struct Nat {
    address: SocketAddr,
    rebind: tokio::sync::mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Nat {
    async fn new(to: SocketAddr) -> Self {
        let (inner, address) = bound("127.0.0.1:0").await;
        let (rebind, mut rebinds) = tokio::sync::mpsc::channel(1);
        let task = tokio::task::spawn(async move {
            let mut outer = outer_socket(to).await;
            let mut client = None;
            let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
            loop {
                tokio::select! {
                    Ok((len, from)) = inner.recv_from(&mut from_client) => {
                        client = Some(from);
                        let _ = outer.send(&from_client[..len]).await;
                    }
                    Ok(len) = outer.recv(&mut from_server) => {
                        let _ = inner.send_to(&from_server[..len], client.unwrap()).await;
                    }
                    Some(()) = rebinds.recv() => outer = outer_socket(to).await,
                }
            }
        });
        Self {
            address,
            rebind,
            task,
        }
    }
}

async fn outer_socket(to: SocketAddr) -> UdpSocket {
    let (socket, _) = bound("127.0.0.1:0").await;
    socket.connect(to).await.unwrap();
    socket
}

#[tokio::test]
async fn learned_ids_keep_their_target_through_fifty_rebindings() {
    let identity = Identity::new();
    let targets: Vec<_> = (0..3).map(|name| identity.serve(name, None)).collect();
    let listed: Vec<_> = targets
        .iter()
        .map(|target| format!("\"{target}\""))
        .collect();
    let rig = Rig::start(4, &config(&listed.join(", "), "{ mode = \"learned\" }")).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let client = identity.client();
        let nat = Nat::new(rig.address(0)).await;
        let connection = connect(&client, nat.address).await;
        let name = ask(&connection, b"hello").await;
        clients.push((client, nat, connection, name));
    }
    let names: Vec<_> = clients.iter().map(|(.., name)| *name).collect();
    assert_eq!(names, [0, 1, 2]);
    for round in 0..50u8 {
        for (_, nat, connection, name) in &clients {
            nat.rebind.send(()).await.unwrap();
            assert_eq!(ask(connection, &[round]).await, *name, "round {round}");
        }
    }
    assert_eq!(metric(&rig, "pointsman_rejected_total", &[]), 0.0);
    for (client, nat, ..) in &clients {
        nat.task.abort();
        client.close(0u32.into(), b"");
    }
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn server_ids_keep_their_target_through_fifty_migrations() {
    let identity = Identity::new();
    let mut listed = Vec::new();
    for name in 0..3u8 {
        let target = identity.serve(name, Some([name + 1; 8]));
        let id = format!("{:02x}", name + 1).repeat(8);
        listed.push(format!(
            "{{ address = \"{target}\", server-id = \"0x{id}\" }}"
        ));
    }
    let rig = Rig::start(4, &config(&listed.join(", "), "{ mode = \"server-id\" }")).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let client = identity.client();
        let connection = connect(&client, rig.address(0)).await;
        let name = ask(&connection, b"hello").await;
        clients.push((client, connection, name));
    }
    for round in 0..50u8 {
        for (client, connection, name) in &clients {
            client
                .rebind(StdSocket::bind("127.0.0.1:0").unwrap())
                .unwrap();
            assert_eq!(ask(connection, &[round]).await, *name, "round {round}");
        }
    }
    let mut names: Vec<_> = clients.iter().map(|(_, _, name)| *name).collect();
    names.sort_unstable();
    assert_eq!(names, [0, 1, 2]);
    for (client, ..) in &clients {
        client.close(0u32.into(), b"");
    }
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn unknown_server_ids_are_dropped_and_counted() {
    let (target, address) = bound("127.0.0.1:0").await;
    let (second, other) = bound("127.0.0.1:0").await;
    let listed = format!(
        "{{ address = \"{address}\", server-id = \"0x0102030405060708\" }},\
         {{ address = \"{other}\", server-id = \"0x0908070605040302\" }}"
    );
    let rig = Rig::start(2, &config(&listed, "{ mode = \"server-id\" }")).await;
    let (client, _) = bound("127.0.0.1:0").await;
    client.connect(rig.address(0)).await.unwrap();
    let short = |id: [u8; 8]| [&[0x40, 0], &id[..], &[9; 7], b"rest"].concat();
    client.send(&short([8; 8])).await.unwrap();
    let unknown = "unknown-connection-id";
    until(|| metric(&rig, "pointsman_rejected_total", &[unknown]) == 1.0).await;
    client.send(&short([1, 2, 3, 4, 5, 6, 7, 8])).await.unwrap();
    assert_eq!(receive(&target).await.0, short([1, 2, 3, 4, 5, 6, 7, 8]));
    // One client address can have connections to several targets.
    for _ in 0..2 {
        client.send(&short([9, 8, 7, 6, 5, 4, 3, 2])).await.unwrap();
        let (heard, from) = receive(&second).await;
        assert_eq!(heard, short([9, 8, 7, 6, 5, 4, 3, 2]));
        second.send_to(b"answer", from).await.unwrap();
        assert_eq!(receive(&client).await.0, b"answer");
    }
    client.send(&[0xc0, 0, 0]).await.unwrap();
    until(|| metric(&rig, "pointsman_rejected_total", &["bad-datagram"]) == 1.0).await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn hashed_ids_keep_their_target_whatever_address_they_come_from() {
    let mut targets = Vec::new();
    for _ in 0..4 {
        targets.push(bound("127.0.0.1:0").await);
    }
    let listed: Vec<_> = targets
        .iter()
        .map(|(_, address)| format!("\"{address}\""))
        .collect();
    let mode = "{ mode = \"hash\", length = 8 }";
    let rig = Rig::start(4, &config(&listed.join(", "), mode)).await;
    let mut used = [0; 4];
    for number in 0..64u64 {
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let q043 = [&[0x09][..], &id, b"Q043", b"hello"].concat();
        let q046 = [&[0xc3][..], b"Q046", &[0x50], &id, b"hello"].concat();
        let q050 = [&[0xc3][..], b"Q050", &[8], &id, &[0], b"hello"].concat();
        let short = [&[0x43][..], &id, b"hello"].concat();
        let mut seen = None;
        for datagram in [q043, q046, q050, short] {
            // Each from another address.
            let (client, _) = bound("127.0.0.1:0").await;
            client.send_to(&datagram, rig.address(0)).await.unwrap();
            let heard = first_to_hear(&targets, &datagram).await;
            assert_eq!(*seen.get_or_insert(heard), heard, "{number}");
            used[heard] += 1;
        }
    }
    assert!(used.iter().all(|count| *count > 0), "{used:?}");
    rig.finish(Duration::ZERO).await;
}

/// Which of the targets gets the datagram.
async fn first_to_hear(targets: &[(UdpSocket, SocketAddr)], datagram: &[u8]) -> usize {
    let [one, two, three, four] = targets else {
        panic!("four targets");
    };
    let (who, heard) = tokio::select! {
        heard = receive(&one.0) => (0, heard),
        heard = receive(&two.0) => (1, heard),
        heard = receive(&three.0) => (2, heard),
        heard = receive(&four.0) => (3, heard),
    };
    assert_eq!(heard.0, datagram);
    who
}

#[tokio::test]
async fn one_port_takes_quic_and_tcp() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let identity = Identity::new();
    // A port that is free for datagrams may be taken for streams.
    let (target, service) = loop {
        let target = identity.serve(7, Some([1; 8]));
        match tokio::net::TcpListener::bind(target).await {
            Ok(service) => break (target, service),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse),
        }
    };
    tokio::task::spawn(async move {
        let (mut stream, _) = service.accept().await.unwrap();
        stream.write_all(b"by TCP").await.unwrap();
    });
    let targets = format!("{{ address = \"{target}\", server-id = \"0x0101010101010101\" }}");
    let mode = "{ mode = \"server-id\" }";
    let rig = Rig::start(2, &config_of("tcp-quic", &targets, mode)).await;
    let client = identity.client();
    let connection = connect(&client, rig.address(0)).await;
    for round in 0..5 {
        client
            .rebind(StdSocket::bind("127.0.0.1:0").unwrap())
            .unwrap();
        assert_eq!(ask(&connection, &[round]).await, 7);
    }
    let stream = tokio::net::TcpStream::connect(rig.address(0)).await;
    let mut said = String::new();
    let reading = async { stream.unwrap().read_to_string(&mut said).await };
    timeout(DEADLINE, reading).await.unwrap().unwrap();
    assert_eq!(said, "by TCP");
    client.close(0u32.into(), b"");
    rig.finish(Duration::ZERO).await;
}
