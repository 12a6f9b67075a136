//! What one connection says and what it must hear: HTTP/1.1 exchanges, echoed messages.
//!
//! The driver owns the sockets; a conversation sees bytes only and decides when an answer is whole
//! and whether it is right.

use benches::BODY;

/// One request at a time and the answer it must get.
pub trait Conversation {
    /// The bytes of a request.
    fn request(&self) -> &[u8];
    /// Takes bytes that came: `Ok(true)` when the answer is whole and right.
    fn receive(&mut self, bytes: &[u8]) -> Result<bool, String>;
    /// Whether each request wants a connection of its own.
    fn one_per_connection(&self) -> bool {
        false
    }
    /// Forgets a half-received answer: the next request starts on a new connection.
    fn restart(&mut self);
}

/// An HTTP/1.1 GET that must be answered by 200 and [`BODY`].
pub struct HttpExchange {
    request: Vec<u8>,
    received: Vec<u8>,
    closes: bool,
}

impl HttpExchange {
    /// Requests on a connection that is kept.
    pub fn kept(host: &str) -> Self {
        Self {
            request: format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            received: Vec::with_capacity(4096),
            closes: false,
        }
    }

    /// One request per connection, announced by `Connection: close`.
    pub fn closing(host: &str) -> Self {
        Self {
            request: format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
                .into_bytes(),
            received: Vec::with_capacity(4096),
            closes: true,
        }
    }
}

impl Conversation for HttpExchange {
    fn request(&self) -> &[u8] {
        &self.request
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<bool, String> {
        self.received.extend_from_slice(bytes);
        let Some(head) = self.received.windows(4).position(|w| w == b"\r\n\r\n") else {
            return Ok(false);
        };
        let (head, rest) = self.received.split_at(head);
        let body = rest.get(4..).unwrap_or_default();
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(first_line(head));
        }
        if content_length(head) != Some(BODY.len()) {
            return Err("no Content-Length of 128".to_owned());
        }
        if body.len() < BODY.len() {
            return Ok(false);
        }
        if body != BODY {
            return Err("another body than the target's".to_owned());
        }
        self.received.clear();
        Ok(true)
    }

    fn one_per_connection(&self) -> bool {
        self.closes
    }

    fn restart(&mut self) {
        self.received.clear();
    }
}

fn first_line(head: &[u8]) -> String {
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    head.split(|&b| b == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        if !name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}

/// A message that must come back as it was sent.
pub struct Message {
    bytes: Vec<u8>,
    heard: usize,
}

impl Message {
    /// A message of `size` bytes.
    pub fn of(size: usize) -> Self {
        Self {
            bytes: (0..size).map(|i| (i % 251) as u8).collect(),
            heard: 0,
        }
    }
}

impl Conversation for Message {
    fn request(&self) -> &[u8] {
        &self.bytes
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let end = self.heard + bytes.len();
        if self.bytes.get(self.heard..end) != Some(bytes) {
            return Err("the echo differs from the message".to_owned());
        }
        self.heard = if end == self.bytes.len() { 0 } else { end };
        Ok(self.heard == 0)
    }

    fn restart(&mut self) {
        self.heard = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_at_its_last_byte() {
        let answer = benches::http_answer();
        for cut in 0..answer.len() {
            let mut exchange = HttpExchange::kept("a");
            let (first, second) = answer.split_at(cut);
            assert_eq!(exchange.receive(first), Ok(false), "cut at {cut}");
            assert_eq!(exchange.receive(second), Ok(true), "cut at {cut}");
        }
    }

    #[test]
    fn wrong_answers_are_told_apart() {
        let wrong = |bytes: &[u8]| HttpExchange::kept("a").receive(bytes).unwrap_err();
        assert_eq!(
            wrong(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            "HTTP/1.1 503 Service Unavailable"
        );
        assert_eq!(
            wrong(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
            "no Content-Length of 128"
        );
        let mut longer = benches::http_answer();
        longer.push(b'x');
        assert_eq!(wrong(&longer), "another body than the target's");
    }

    #[test]
    fn a_message_must_come_back_unchanged() {
        let mut message = Message::of(3);
        assert_eq!(message.receive(&[0]), Ok(false));
        assert_eq!(message.receive(&[1, 2]), Ok(true));
        assert!(message.receive(&[9]).is_err());
    }
}
