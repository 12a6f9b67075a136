//! The kernel's batch calls over real sockets.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use super::*;

fn bound(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// What `ask` sent arrives, is answered from where it was sent to, and comes back whole.
fn echoes(bind: &str, target: &str, len: usize) {
    let (server, address) = bound(bind);
    receive_own_address(&server, address.is_ipv6()).unwrap();
    let target = SocketAddr::new(target.parse().unwrap(), address.port());
    let unspecified = if target.is_ipv6() {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let (client, _) = bound(unspecified);
    client.connect(target).unwrap();
    let sent: Vec<u8> = (0..len).map(|n| n as u8).collect();
    client.send(&sent).unwrap();
    let mut batch = Batch::new();
    assert_eq!(batch.receive(server.as_fd(), WIDTH).unwrap(), 1);
    assert_eq!(batch.payload(0), sent);
    let arrival = batch.arrival(0).unwrap();
    assert_eq!(arrival.client.port(), client.local_addr().unwrap().port());
    assert_eq!(arrival.own.unwrap().ip(), target.ip());
    batch.address_to(0, &arrival);
    assert_eq!(batch.send(server.as_fd(), 0, 1).unwrap(), 1);
    // The client is connected: it gets the answer only when it comes from where it asked.
    let mut heard = vec![0; DATAGRAM_LEN];
    let heard_len = client.recv(&mut heard).unwrap();
    assert_eq!(heard[..heard_len], sent);
}

#[test]
fn answers_leave_from_the_address_the_client_used() {
    echoes("0.0.0.0:0", "127.0.0.1", 5);
    echoes("0.0.0.0:0", "127.9.9.9", 5);
    echoes("[::]:0", "::1", 5);
}

#[test]
fn the_largest_and_the_smallest_datagrams_pass_whole() {
    echoes("0.0.0.0:0", "127.0.0.1", 65_507);
    echoes("[::]:0", "::1", 65_527);
    echoes("0.0.0.0:0", "127.0.0.1", 0);
}

#[test]
fn batches_keep_order_and_connected_sockets_tell_refusals() {
    let (target, address) = bound("127.0.0.1:0");
    let (flow, _) = bound("127.0.0.1:0");
    flow.connect(address).unwrap();
    flow.set_nonblocking(true).unwrap();
    let (sender, inlet) = bound("127.0.0.1:0");
    for n in 0..40u8 {
        sender.send_to(&[n], flow.local_addr().unwrap()).unwrap();
        target.send_to(&[n], flow.local_addr().unwrap()).unwrap();
    }
    let mut batch = Batch::new();
    // Only what the connected peer sent.
    assert_eq!(batch.receive_connected(flow.as_fd(), 16).unwrap(), 16);
    assert_eq!(batch.receive_connected(flow.as_fd(), WIDTH).unwrap(), 16);
    assert_eq!((batch.len(), batch.room()), (32, 0));
    assert!((0..32).all(|n| batch.payload(n) == [n as u8]));
    batch.address_connected(0, 32);
    sender.connect(address).unwrap();
    assert_eq!(batch.send(sender.as_fd(), 0, 32).unwrap(), 32);
    let mut heard = [0; 4];
    for n in 0..32u8 {
        let (len, from) = target.recv_from(&mut heard).unwrap();
        assert_eq!((&heard[..len], from), (&[n][..], inlet));
    }
    drop(target);
    batch.clear();
    assert_eq!(batch.receive(flow.as_fd(), WIDTH).unwrap(), 8);
    flow.send(b"into the void").unwrap();
    batch.clear();
    let error = batch.receive(flow.as_fd(), WIDTH).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let error = batch.receive(flow.as_fd(), WIDTH).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
