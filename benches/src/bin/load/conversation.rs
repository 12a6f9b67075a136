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
    jar: Option<Jar>,
}

/// The cookie that a client was given last, which its requests bring back.
struct Jar {
    cookie: Vec<u8>,
    /// Bytes of the request before its cookie.
    plain: usize,
}

impl Jar {
    /// Takes what `head` sets; true when that is another cookie than before. Attributes do not
    /// matter: a run is shorter than any cookie lives.
    fn take(&mut self, head: &[u8]) -> bool {
        let Some(set) = field(head, b"set-cookie:") else {
            return false;
        };
        let cookie = set.split(|&b| b == b';').next().unwrap_or_default();
        let is_new = cookie.trim_ascii() != self.cookie;
        if is_new {
            self.cookie.clear();
            self.cookie.extend_from_slice(cookie.trim_ascii());
        }
        is_new
    }
}

impl HttpExchange {
    /// Requests on a connection that is kept.
    pub fn kept(host: &str) -> Self {
        Self {
            request: format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            received: Vec::with_capacity(4096),
            closes: false,
            jar: None,
        }
    }

    /// Requests on a connection that is kept, by a client that keeps its cookie as browsers do.
    pub fn with_cookies(host: &str) -> Self {
        let exchange = Self::kept(host);
        let jar = Jar {
            cookie: Vec::new(),
            // Without the empty line.
            plain: exchange.request.len() - 2,
        };
        Self {
            jar: Some(jar),
            ..exchange
        }
    }

    /// One request per connection, announced by `Connection: close`.
    pub fn closing(host: &str) -> Self {
        Self {
            request: format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
                .into_bytes(),
            received: Vec::with_capacity(4096),
            closes: true,
            jar: None,
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
        if let Some(jar) = &mut self.jar
            && jar.take(head)
        {
            self.request.truncate(jar.plain);
            for part in [b"Cookie: ", &*jar.cookie, b"\r\n\r\n"] {
                self.request.extend_from_slice(part);
            }
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
    let value = field(head, b"content-length:")?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// What follows `name`, which ends with a colon, in its line.
fn field<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    head.split(|&b| b == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then_some(value)
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
    fn cookies_go_back_until_another_is_set() {
        let mut exchange = HttpExchange::with_cookies("a:1");
        let answer = |fields: &str| {
            let text = String::from_utf8(benches::http_answer()).unwrap();
            text.replacen("\r\n", &format!("\r\n{fields}"), 1)
                .into_bytes()
        };
        let plain = "GET / HTTP/1.1\r\nHost: a:1\r\n";
        for (fields, wanted) in [
            ("", ""),
            ("Set-Cookie: c=1; Path=/\r\n", "Cookie: c=1\r\n"),
            ("", "Cookie: c=1\r\n"),
            ("set-cookie:c=2\r\n", "Cookie: c=2\r\n"),
        ] {
            assert_eq!(exchange.receive(&answer(fields)), Ok(true));
            let request = std::str::from_utf8(exchange.request()).unwrap();
            assert_eq!(request, format!("{plain}{wanted}\r\n"));
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
