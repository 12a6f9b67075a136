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

/// What was sent as one comes as one, and goes on as the datagrams it was made of.
#[test]
fn segments_travel_as_one() {
    for (bind, apart) in [
        ("127.0.0.1:0", false),
        ("127.0.0.1:0", true),
        ("[::1]:0", false),
    ] {
        let (flow, inlet) = bound(bind);
        receive_segments(&flow).unwrap();
        let (target, address) = bound(bind);
        flow.connect(address).unwrap();
        target.connect(inlet).unwrap();
        let segment: libc::c_int = 1200;
        set_segment(&target, segment);
        let sent: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
        target.send(&sent).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive_connected(flow.as_fd(), WIDTH).unwrap(), 1);
        let lengths: Vec<_> = batch.datagrams(0).map(<[u8]>::len).collect();
        assert_eq!(lengths, [1200, 1200, 1200, 1200, 200]);
        let (client, to) = bound(bind);
        let wildcard = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let (listener, _) = bound(wildcard);
        let own = match to.ip() {
            std::net::IpAddr::V4(ip) => OwnAddress::v4(ip),
            std::net::IpAddr::V6(ip) => OwnAddress::v6(ip, 0),
        };
        let arrival = Arrival {
            client: to,
            own: Some(own),
        };
        batch.address_to(0, &arrival);
        if apart {
            assert_eq!(batch.send_apart(listener.as_fd(), 0), 5);
        } else {
            assert_eq!(batch.send(listener.as_fd(), 0, 1).unwrap(), 1);
        }
        let mut heard = Vec::new();
        for length in lengths {
            let mut buffer = [0; 2000];
            let (len, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((len, from.ip()), (length, to.ip()));
            heard.extend_from_slice(&buffer[..len]);
        }
        assert_eq!(heard, sent);
    }
}

/// Has the kernel cut what `socket` sends.
fn set_segment(socket: &UdpSocket, segment: libc::c_int) {
    // SAFETY: the option takes an int, of which the length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const segment).cast::<c_void>(),
            size_of::<libc::c_int>() as socklen_t,
        )
    };
    assert_eq!(result, 0);
}
