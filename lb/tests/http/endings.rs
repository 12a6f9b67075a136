//! What a connection's end says: a response that was cut never looks whole, and one that is whole is
//! never cut by how its connection ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::balancer::{Balancer, Options};
use crate::frames::{DATA, END_STREAM, Frame, GET, PING, SETTINGS, WINDOW_UPDATE};
use crate::target::{Connection, Target};

/// Longer than any test takes when all is well.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than a client with [`narrow`]'s buffer takes at once, less than the balancer's kernel holds.
const LENGTH: usize = 400_000;

/// Closes with a reset.
fn cut(connection: Connection) {
    let socket = socket2::SockRef::from(&connection.stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// A connection whose kernel takes little before it is read.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A response whose end only the end of the connection tells was given a clean end when the target's
/// connection was reset: a client could not know that half of it was missing.
#[test]
fn a_response_until_the_end_that_was_cut_ends_with_a_reset() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\n\r\nhalf");
        cut(connection);
    });
    let chunks = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        cut(connection);
    });
    for (target, version) in [(&target, "1.1"), (&target, "1.0"), (&chunks, "1.0")] {
        let balancer = Balancer::start(&[target.address], &Options::default());
        let mut client = TcpStream::connect(balancer.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let end = client.read_to_end(&mut Vec::new());
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

/// The client had pipelined a request before it saw that the answer to the first ends the connection; the
/// kernel answered it with a reset, and the client lost the end of the first answer.
#[test]
fn a_request_behind_a_closing_response_does_not_cut_it() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        connection.send([b'x'; LENGTH]);
    });
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = narrow(balancer.address);
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    client.write_all(request).unwrap();
    // The whole answer is with the kernel.
    balancer.expect_metric("pointsman_requests_total", "2xx", 1.0);
    client.write_all(request).unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert!(all.len() > LENGTH, "{}", all.len());
}

/// A client of HTTP/2 has something to say whenever it has read something. When the balancer had closed
/// meanwhile, having told it to open no more streams, that cut the last response.
#[test]
fn frames_that_come_after_the_last_response_do_not_cut_it() {
    let target = Target::scripted(|mut connection| {
        connection.head();
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
        ));
        connection.send([b'x'; LENGTH]);
        connection.head();
    });
    let options = Options {
        listener: "max-requests = 1",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let mut client = narrow(balancer.address);
    let window = 10_000_000_u32.to_be_bytes();
    let settings = [&[0, 4][..], &window].concat();
    let mut start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    start.extend(Frame::new(SETTINGS, 0, 0, settings).bytes());
    start.extend(Frame::new(WINDOW_UPDATE, 0, 0, window).bytes());
    start.extend(Frame::request(1, &GET).bytes());
    client.write_all(&start).unwrap();
    let (mut received, mut ended) = (0, false);
    while !ended {
        let frame = frame(&mut client);
        let answers = match frame.kind {
            SETTINGS | PING if frame.flags & 1 == 0 => {
                vec![Frame::new(
                    frame.kind,
                    1,
                    0,
                    if frame.kind == PING {
                        frame.payload
                    } else {
                        Vec::new()
                    },
                )]
            }
            DATA => {
                received += frame.payload.len();
                ended = frame.flags & END_STREAM != 0;
                let read = u32::try_from(frame.payload.len()).unwrap().max(1);
                vec![Frame::new(WINDOW_UPDATE, 0, 0, read.to_be_bytes())]
            }
            _ => Vec::new(),
        };
        for answer in answers {
            client.write_all(&answer.bytes()).unwrap();
        }
    }
    assert_eq!(received, LENGTH);
    // Then comes the end, and not before all was read.
    client.read_to_end(&mut Vec::new()).unwrap();
}

fn frame(client: &mut TcpStream) -> Frame {
    let mut header = [0; 9];
    client.read_exact(&mut header).unwrap();
    let [a, b, c, kind, flags, stream @ ..] = header;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    client.read_exact(&mut payload).unwrap();
    Frame::new(kind, flags, u32::from_be_bytes(stream), payload)
}
