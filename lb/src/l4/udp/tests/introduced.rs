//! Headers that tell targets of clients, and limits of targets.

use super::*;

/// What version 2 says of a client of `listener` that is at `client`, over UDP and IPv4.
fn header(client: SocketAddr, listener: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets(),
        std::net::IpAddr::V6(_) => panic!("not IPv4"),
    };
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c".to_vec();
    header.extend(octets(client));
    header.extend(octets(listener));
    header.extend(client.port().to_be_bytes());
    header.extend(listener.port().to_be_bytes());
    header
}

#[tokio::test]
async fn the_first_datagram_of_each_flow_begins_with_a_header() {
    let (target, address) = bound("127.0.0.1:0").await;
    let group = "proxy-protocol-out = \"v2\"";
    let rig = Rig::start(2, &config("127.0.0.1:0", &[address], "", group)).await;
    let listener = rig.address(0);
    for _ in 0..4 {
        let client = client(listener).await;
        let own = client.local_addr().unwrap();
        // All at once, so that some come in one batch.
        for word in [b"one".as_slice(), b"two", b"three"] {
            client.send(word).await.unwrap();
        }
        let (first, from) = receive(&target).await;
        assert_eq!(first, [&header(own, listener)[..], b"one"].concat());
        assert_eq!(receive(&target).await, (b"two".to_vec(), from));
        assert_eq!(receive(&target).await, (b"three".to_vec(), from));
        target.send_to(b"reply", from).await.unwrap();
        assert_eq!(receive(&client).await.0, b"reply");
        assert_eq!(exchange(&client, &target, b"again").await, from);
    }
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn held_datagrams_are_introduced_too() {
    let (target, address) = bound("127.0.0.1:0").await;
    let group = "proxy-protocol-out = \"v2\"\nhold = \"60s\"";
    let rig = Rig::start(1, &config("127.0.0.1:0", &[address], "", group)).await;
    rig.all("app", &[address], TargetState::Draining).await;
    let client = client(rig.address(0)).await;
    client.send(b"early").await.unwrap();
    rig.all("app", &[address], TargetState::Healthy).await;
    let (heard, _) = receive(&target).await;
    let own = client.local_addr().unwrap();
    assert_eq!(heard, [&header(own, rig.address(0))[..], b"early"].concat());
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn flows_beyond_the_limit_of_targets_wait_for_a_place() {
    let (one, first) = bound("127.0.0.1:0").await;
    let (two, second) = bound("127.0.0.1:0").await;
    let group = "max-in-flight = 1\nqueue-timeout = \"60s\"";
    let listener = "udp-responses = 1";
    let rig = Rig::start(4, &config("127.0.0.1:0", &[first, second], listener, group)).await;
    let mut clients = Vec::new();
    for word in [b"a".as_slice(), b"b", b"c"] {
        let client = client(rig.address(0)).await;
        client.send(word).await.unwrap();
        clients.push(client);
    }
    let (_, from) = receive(&one).await;
    receive(&two).await;
    assert_eq!(
        (rig.in_flight("app", first), rig.in_flight("app", second)),
        (1, 1)
    );
    // One answer ends the flow, and the third client gets its place.
    one.send_to(b"done", from).await.unwrap();
    receive(&one).await;
    assert_eq!(
        (rig.in_flight("app", first), rig.in_flight("app", second)),
        (1, 1)
    );
    assert_eq!(active(&rig), 2.0);
    rig.finish(Duration::ZERO).await;
}
