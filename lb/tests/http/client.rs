//! A client that sends and reads raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any test takes when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A client connection.
pub struct Client {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends, and tells whether the balancer still took it.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// A second handle on the same connection, for reading.
    pub fn reader(&self) -> Self {
        Self {
            stream: self.stream.try_clone().unwrap(),
            ahead: Vec::new(),
        }
    }

    /// Says that no more will be sent.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Everything until the balancer closes. A reset is a failure.
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.ahead);
        self.stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Everything up to and including `mark`; what came beyond waits for the next call.
    pub fn read_until(&mut self, mark: &str) -> String {
        self.try_read_until(mark).unwrap_or_else(|| {
            let so_far = String::from_utf8_lossy(&self.ahead);
            panic!("closed before {mark:?}; so far {so_far:?}")
        })
    }

    /// The same; `None` when the balancer closed before.
    pub fn try_read_until(&mut self, mark: &str) -> Option<String> {
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
                Ok(count @ 1..) => self.ahead.extend_from_slice(&some[..count]),
                _ => return None,
            }
        }
    }

    /// One response head.
    pub fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n")
    }

    /// One response with Content-Length.
    pub fn read_response(&mut self) -> (String, String) {
        let head = self.read_head();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        (
            head,
            String::from_utf8_lossy(&self.read_exact(length)).into_owned(),
        )
    }

    pub fn read_exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.ahead);
        if bytes.len() > length {
            self.ahead = bytes.split_off(length);
            return bytes;
        }
        let had = bytes.len();
        bytes.resize(length, 0);
        self.stream.read_exact(&mut bytes[had..]).unwrap();
        bytes
    }

    /// Waits at most this long in later reads.
    pub fn patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
    }

    /// What came within the patience set, closed or not.
    pub fn read_some(&mut self) -> (String, bool) {
        let mut bytes = std::mem::take(&mut self.ahead);
        let mut some = [0; 65_536];
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => return (String::from_utf8_lossy(&bytes).into_owned(), true),
                Ok(count) => bytes.extend_from_slice(&some[..count]),
                Err(error) => {
                    let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    return (String::from_utf8_lossy(&bytes).into_owned(), !waits);
                }
            }
        }
    }
}
