//! The targets of a comparison: HTTP that answers 128 bytes, a TCP echo, an endless TCP source, a
//! UDP echo.
//!
//! `benches/compare/run` starts one process for all targets of a round, on the CPU of the load
//! generator: `answer http=127.0.0.11:0 echo=127.0.0.13:0`. The bound addresses are printed in the
//! order of the arguments, one a line; then it serves until it is ended.
//!
//! Cost: per request one epoll event, one read, one write; no allocation.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;

use benches::{Poll, http_answer};
use clap::Parser;
use rustix::net::listen;
use rustix::net::sockopt::set_socket_recv_buffer_size;

/// Bytes of datagrams that may wait: seconds of what tests send. The system may give less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Connections that may wait to be accepted: the most Linux grants unless told otherwise.
const BACKLOG: i32 = 4096;

/// Targets for the comparison.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to serve where: http=, echo=, source= or datagrams=ADDRESS (port 0 chooses one)
    #[arg(required = true)]
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Echo,
    Source,
    Datagrams,
}

#[derive(Debug, Clone)]
struct Target {
    kind: Kind,
    address: SocketAddr,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, address) = text.split_once('=').ok_or("expected KIND=ADDRESS")?;
        let kind = match kind {
            "http" => Kind::Http,
            "echo" => Kind::Echo,
            "source" => Kind::Source,
            "datagrams" => Kind::Datagrams,
            _ => return Err(format!("'{kind}' is not http, echo, source or datagrams")),
        };
        let address = address.parse().map_err(|e| format!("{address}: {e}"))?;
        Ok(Self { kind, address })
    }
}

/// An accepted connection and how far its current request head has come.
struct Connection {
    stream: TcpStream,
    kind: Kind,
    /// How many bytes of the blank line that ends a head were seen.
    matched: usize,
}

/// Largest read; also what the source hands over per event.
const CHUNK: usize = 256 * 1024;
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

/// What a target waits on.
enum Door {
    Streams(TcpListener, Kind),
    Datagrams(UdpSocket),
}

struct Server {
    poll: Poll,
    doors: Vec<Door>,
    connections: HashMap<usize, Connection>,
    next_token: usize,
    buffer: Vec<u8>,
    zeros: Vec<u8>,
    answer: Vec<u8>,
}

impl Server {
    fn bind(targets: &[Target]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut doors = Vec::with_capacity(targets.len());
        for (token, target) in targets.iter().enumerate() {
            if target.kind == Kind::Datagrams {
                let socket = UdpSocket::bind(target.address)?;
                // What a busy machine lets wait must not look like what the balancer lost.
                set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
                socket.set_nonblocking(true)?;
                poll.add_readable(&socket, token)?;
                println!("{}", socket.local_addr()?);
                doors.push(Door::Datagrams(socket));
                continue;
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a target is another program's stand-in, outside the socket table"
            )]
            let listener = TcpListener::bind(target.address)?;
            // The standard library asks for 128, which one missed turn of a busy machine fills.
            listen(&listener, BACKLOG)?;
            listener.set_nonblocking(true)?;
            poll.add_readable(&listener, token)?;
            println!("{}", listener.local_addr()?);
            doors.push(Door::Streams(listener, target.kind));
        }
        Ok(Self {
            poll,
            next_token: doors.len(),
            doors,
            connections: HashMap::new(),
            buffer: vec![0; CHUNK],
            zeros: vec![0; CHUNK],
            answer: http_answer(),
        })
    }

    fn serve(mut self) -> io::Result<()> {
        let mut tokens = Vec::new();
        loop {
            tokens.clear();
            self.poll.wait(None, &mut tokens)?;
            for &token in &tokens {
                if token < self.doors.len() {
                    self.enter(token)?;
                } else if self.turn(token).is_err() {
                    self.connections.remove(&token);
                }
            }
        }
    }

    fn enter(&mut self, token: usize) -> io::Result<()> {
        match self.doors.get(token) {
            Some(Door::Datagrams(socket)) => {
                send_back(socket, &mut self.buffer);
                Ok(())
            }
            Some(Door::Streams(..)) => self.accept_all(token),
            None => Ok(()),
        }
    }

    fn accept_all(&mut self, token: usize) -> io::Result<()> {
        let Some(Door::Streams(listener, kind)) = self.doors.get(token) else {
            return Ok(());
        };
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = self.next_token;
            self.next_token += 1;
            match kind {
                Kind::Source => self.poll.add_writable(&stream, token)?,
                Kind::Http | Kind::Echo | Kind::Datagrams => {
                    self.poll.add_readable(&stream, token)?
                }
            }
            let connection = Connection {
                stream,
                kind: *kind,
                matched: 0,
            };
            self.connections.insert(token, connection);
        }
        Ok(())
    }

    /// One read and its answer; an error is the connection's end.
    fn turn(&mut self, token: usize) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&token) else {
            return Ok(());
        };
        let stream = &mut connection.stream;
        if connection.kind == Kind::Source {
            return pass_would_block(stream.write(&self.zeros)).map(drop);
        }
        let Some(read) = pass_would_block(stream.read(&mut self.buffer))? else {
            return Ok(());
        };
        let bytes = self.buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if connection.kind == Kind::Echo {
            return stream.write_all(bytes);
        }
        for _ in 0..count_heads(bytes, &mut connection.matched) {
            stream.write_all(&self.answer)?;
        }
        Ok(())
    }
}

/// Echoes every datagram that waits; one that cannot be sent is lost, as UDP may.
fn send_back(socket: &UdpSocket, buffer: &mut [u8]) {
    while let Ok((length, from)) = socket.recv_from(buffer) {
        if let Some(bytes) = buffer.get(..length) {
            let _ = socket.send_to(bytes, from);
        }
    }
}

fn pass_would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many request heads end in `bytes`; `matched` carries a blank line cut by a read. Requests
/// have no bodies here.
fn count_heads(bytes: &[u8], matched: &mut usize) -> usize {
    let mut heads = 0;
    for &byte in bytes {
        if HEAD_END.get(*matched) == Some(&byte) {
            *matched += 1;
        } else {
            *matched = usize::from(byte == b'\r');
        }
        if *matched == HEAD_END.len() {
            heads += 1;
            *matched = 0;
        }
    }
    heads
}

fn main() -> io::Result<()> {
    Server::bind(&Arguments::parse().targets)?.serve()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_counted_across_reads() {
        let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        for cut in 0..requests.len() {
            let mut matched = 0;
            let (first, second) = requests.split_at(cut);
            let heads = count_heads(first, &mut matched) + count_heads(second, &mut matched);
            assert_eq!((heads, matched), (2, 0), "cut at {cut}");
        }
    }
}
