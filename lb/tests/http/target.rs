//! Targets: an echo, and connections that follow a script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// One connection to a target.
pub struct Connection {
    pub stream: TcpStream,
    /// Which connection with a request on it, from 0.
    pub number: usize,
    ahead: Vec<u8>,
}

impl Connection {
    /// Everything up to and including `mark`; `None` when the balancer closed before.
    pub fn read_until(&mut self, mark: &str) -> Option<String> {
        loop {
            let found = self
                .ahead
                .windows(mark.len())
                .position(|w| w == mark.as_bytes());
            if let Some(at) = found {
                let rest = self.ahead.split_off(at + mark.len());
                let text = std::mem::replace(&mut self.ahead, rest);
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
            let mut some = [0; 65_536];
            match self.stream.read(&mut some) {
                Ok(count) if count > 0 => self.ahead.extend_from_slice(&some[..count]),
                _ => return None,
            }
        }
    }

    /// One request head.
    pub fn head(&mut self) -> Option<String> {
        self.read_until("\r\n\r\n")
    }

    /// One whole request: head and raw body.
    pub fn request(&mut self) -> Option<(String, String)> {
        let head = self.head()?;
        let lower = head.to_ascii_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            let end = if self.ahead.starts_with(b"0\r\n") {
                "\r\n\r\n"
            } else {
                "\r\n0\r\n"
            };
            let mut body = self.read_until(end)?;
            if end == "\r\n0\r\n" {
                while !body.ends_with("\r\n\r\n") {
                    body += &self.read_until("\r\n")?;
                }
            }
            return Some((head, body));
        }
        let length = lower
            .lines()
            .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
        let body = self.exact(length.unwrap_or(0))?;
        Some((head, body))
    }

    fn exact(&mut self, length: usize) -> Option<String> {
        while self.ahead.len() < length {
            let mut some = [0; 65_536];
            match self.stream.read(&mut some) {
                Ok(count) if count > 0 => self.ahead.extend_from_slice(&some[..count]),
                _ => return None,
            }
        }
        let rest = self.ahead.split_off(length);
        let bytes = std::mem::replace(&mut self.ahead, rest);
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What was read beyond what was asked for.
    pub fn take_ahead(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ahead)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The balancer may be gone; tests look at what the client got.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Answers 200 with `body`.
    pub fn answer(&mut self, body: &str) {
        self.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
}

/// A running target.
pub struct Target {
    pub address: SocketAddr,
    /// Every request an [`Target::echo`] saw, in order.
    pub seen: Receiver<String>,
    /// Connections on which at least one byte came.
    pub connections: Arc<AtomicUsize>,
}

impl Target {
    /// Runs `script` on every connection, each on a thread. Probes, which say nothing, are left
    /// out: a script begins with the first byte.
    pub fn scripted(script: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let (_, seen) = channel();
        Self::with(seen, script)
    }

    /// Answers every request with itself, as it came, and records it.
    pub fn echo() -> Self {
        let (sender, seen): (Sender<String>, _) = channel();
        Self::with(seen, move |mut connection| {
            while let Some((head, body)) = connection.request() {
                let whole = head.clone() + &body;
                // The test may have ended.
                let _ = sender.send(whole.clone());
                match head.starts_with("HEAD ") {
                    true => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"),
                    false => connection.answer(&whole),
                }
            }
        })
    }

    fn with(seen: Receiver<String>, script: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a target, not the balancer")]
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, script) = (connections.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (count, script) = (count.clone(), script.clone());
                std::thread::spawn(move || {
                    if matches!(stream.peek(&mut [0]), Ok(1..)) {
                        let number = count.fetch_add(1, Ordering::SeqCst);
                        // Tests of one-write answers must not wait for acknowledgements.
                        stream.set_nodelay(true).unwrap();
                        script(Connection {
                            stream,
                            number,
                            ahead: Vec::new(),
                        });
                    }
                });
            }
        });
        Self {
            address,
            seen,
            connections,
        }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An address nobody listens on.
pub fn nobody() -> SocketAddr {
    // Bound and not listening: connecting is refused, and nobody else gets the port.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}
