//! The closed loop: every connection sends, waits for the whole answer, sends again.
//!
//! Called by `main` with one conversation per connection. A connection that the server closes
//! between two requests is opened again and counted as a reconnect, not as a failure.
//!
//! Cost: per request one write, one epoll event, one read, one clock reading.
#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time; there is no worker clock here"
)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use benches::{Histogram, Poll};

use crate::conversation::Conversation;

/// Failures after which a run ends: the server is broken, more would only take time.
const FAILURE_LIMIT: u64 = 100;

/// What a run gave.
#[derive(Default)]
pub struct Outcome {
    pub latencies: Histogram,
    pub bytes: u64,
    pub reconnects: u64,
    pub lost: u64,
    pub failures: u64,
    pub first_failure: Option<String>,
    pub length: Duration,
}

impl Outcome {
    /// The JSON line the comparison reads.
    pub fn to_json(&self) -> serde_json::Value {
        let micros = |share| self.latencies.percentile(share).as_secs_f64() * 1e6;
        serde_json::json!({
            "requests": self.latencies.total(),
            "seconds": self.length.as_secs_f64(),
            "bytes": self.bytes,
            "p50_us": micros(0.5),
            "p99_us": micros(0.99),
            "reconnects": self.reconnects,
            "lost": self.lost,
            "failures": self.failures,
            "first_failure": self.first_failure,
        })
    }
}

struct Connection<C> {
    stream: TcpStream,
    conversation: C,
    sent: Instant,
}

/// The connections of a run.
pub struct Driver<C> {
    address: SocketAddr,
    poll: Poll,
    connections: Vec<Connection<C>>,
    buffer: Vec<u8>,
    outcome: Outcome,
}

impl<C: Conversation> Driver<C> {
    /// Opens `count` connections to `address`.
    pub fn open(
        address: SocketAddr,
        count: usize,
        conversation: impl Fn() -> C,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..count)
            .map(|token| {
                Ok(Connection {
                    stream: connect(&poll, address, token)?,
                    conversation: conversation(),
                    sent: Instant::now(),
                })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            address,
            poll,
            connections,
            buffer: vec![0; 64 * 1024],
            outcome: Outcome::default(),
        })
    }

    /// Runs the loop for `length`; answers that are under way at its end are not counted.
    pub fn run(mut self, length: Duration) -> io::Result<Outcome> {
        let start = Instant::now();
        for connection in &mut self.connections {
            connection.send()?;
        }
        let mut tokens = Vec::new();
        while start.elapsed() < length && self.outcome.failures < FAILURE_LIMIT {
            tokens.clear();
            let left = length.saturating_sub(start.elapsed());
            self.poll.wait(Some(left), &mut tokens)?;
            for &token in &tokens {
                self.turn(token)?;
            }
        }
        self.outcome.length = start.elapsed();
        Ok(self.outcome)
    }

    /// One read; with a whole answer the next request leaves.
    fn turn(&mut self, token: usize) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(token) else {
            return Ok(());
        };
        let bytes = match connection.stream.read(&mut self.buffer) {
            Ok(read) => self.buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return self.fail(token, error.to_string()),
        };
        if bytes.is_empty() {
            self.outcome.reconnects += 1;
            return self.reopen(token);
        }
        self.outcome.bytes += bytes.len() as u64;
        match connection.conversation.receive(bytes) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.outcome.latencies.record(connection.sent.elapsed());
                if connection.conversation.one_per_connection() {
                    return self.reopen(token);
                }
                match connection.send() {
                    Ok(()) => Ok(()),
                    Err(error) => self.fail(token, error.to_string()),
                }
            }
            Err(reason) => self.fail(token, reason),
        }
    }

    fn fail(&mut self, token: usize, reason: String) -> io::Result<()> {
        self.outcome.failures += 1;
        self.outcome.first_failure.get_or_insert(reason);
        self.reopen(token)
    }

    /// A new connection in the place of the old one, and a request on it.
    fn reopen(&mut self, token: usize) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(token) else {
            return Ok(());
        };
        // With one connection per request the time to connect is part of what the user waits for.
        connection.sent = Instant::now();
        connection.stream = connect(&self.poll, self.address, token)?;
        connection.conversation.restart();
        connection
            .stream
            .write_all(connection.conversation.request())
    }
}

impl<C: Conversation> Connection<C> {
    fn send(&mut self) -> io::Result<()> {
        self.sent = Instant::now();
        self.stream.write_all(self.conversation.request())
    }
}

/// On loopback a blocking connect returns at once unless the accept queue is full.
pub fn connect(poll: &Poll, address: SocketAddr, token: usize) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    poll.add_readable(&stream, token)?;
    Ok(stream)
}
