//! Batches over loopback sockets.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    let limit = Some(Duration::from_secs(10));
    socket.set_read_timeout(limit).unwrap();
    socket
}

fn answered(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..len].to_vec(), from)
}

#[test]
fn many_queries_go_through_in_order_with_their_own_answers() {
    let server = socket("127.0.0.1:0");
    let client = socket("127.0.0.1:0");
    let mut batch = Batch::new(false);
    let total = 3 * WIDTH + 5;
    for number in 0..total {
        let query = [b"query ", &[number as u8][..]].concat();
        client
            .send_to(&query, server.local_addr().unwrap())
            .unwrap();
    }
    let mut received = 0;
    while received < total {
        received += batch.receive(&server).unwrap();
        batch.each(|(_, query), sender, out, _| {
            assert_eq!(sender, client.local_addr().unwrap().ip());
            let odd = query[6] % 2 == 1;
            out[..query.len()].copy_from_slice(query);
            out[0] = b'Q';
            odd.then_some(query.len())
        });
        batch.send(&server);
    }
    for number in (1..total).step_by(2) {
        let (answer, from) = answered(&client);
        assert_eq!(answer, [b"Query ", &[number as u8][..]].concat());
        assert_eq!(from, server.local_addr().unwrap());
    }
}

#[test]
fn long_queries_are_left_out_and_long_answers_cut() {
    let server = socket("127.0.0.1:0");
    let client = socket("127.0.0.1:0");
    let mut batch = Batch::new(false);
    for len in [QUERY_LEN + 1, QUERY_LEN] {
        client
            .send_to(&vec![7; len], server.local_addr().unwrap())
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut received = 0;
    while received < 2 {
        received += batch.receive(&server).unwrap();
        batch.each(|(_, query), _, _, _| {
            seen.push(query.len());
            Some(usize::MAX)
        });
        batch.send(&server);
    }
    assert_eq!(seen, [QUERY_LEN]);
    assert_eq!(answered(&client).0.len(), ANSWER_LEN);
}

#[test]
fn a_wildcard_socket_answers_from_the_address_asked() {
    for (any, asked, client) in [
        ("0.0.0.0:0", "127.0.0.3", "127.0.0.4:0"),
        ("[::]:0", "::1", "[::1]:0"),
    ] {
        let Ok(server) = UdpSocket::bind(any) else {
            eprintln!("skipped: no {any} here");
            continue;
        };
        receive_packet_info(&server, any.starts_with('[')).unwrap();
        let limit = Some(Duration::from_secs(10));
        server.set_read_timeout(limit).unwrap();
        let port = server.local_addr().unwrap().port();
        let asked = SocketAddr::new(asked.parse().unwrap(), port);
        let client = socket(client);
        let mut batch = Batch::new(true);
        // Twice: the second answer uses headers the first one used.
        for _ in 0..2 {
            client.send_to(b"?", asked).unwrap();
            assert_eq!(batch.receive(&server).unwrap(), 1);
            batch.each(|_, _, out, _| {
                out[0] = b'!';
                Some(1)
            });
            assert_eq!(batch.send(&server), 1);
            assert_eq!(answered(&client), (b"!".to_vec(), asked));
        }
    }
}

#[test]
fn an_answer_the_kernel_refuses_does_not_hold_up_the_next() {
    let server = socket("127.0.0.1:0");
    let client = socket("127.0.0.1:0");
    let mut batch = Batch::new(false);
    for byte in [1, 2] {
        client
            .send_to(&[byte], server.local_addr().unwrap())
            .unwrap();
    }
    while batch.received < 2 {
        let before = batch.received;
        batch.receive(&server).unwrap();
        assert_eq!(before, 0, "both were sent before");
    }
    batch.each(|(_, query), _, out, _| {
        out[0] = query[0];
        Some(1)
    });
    // SAFETY: the first queued header is live; a family no socket has makes the kernel refuse it.
    unsafe {
        let peer = &raw mut (*batch.storage.as_ptr()).peers[0];
        (*peer).ss_family = 12_345;
    }
    assert_eq!(batch.send(&server), 1);
    assert_eq!(answered(&client).0, [2]);
}

#[test]
fn waiting_ends_with_the_timeout() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let limit = Some(Duration::from_millis(1));
    server.set_read_timeout(limit).unwrap();
    let error = Batch::new(false).receive(&server).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
