//! The HTTP probe: one GET on a connection of its own, reset once the response head was read.
//!
//! httparse reads the head from the raw bytes, so that details can show the status line as it
//! was sent and nothing is read beyond the head. Bounded: 16 KiB of head (Route 53's limit), 128
//! fields, interim responses included.

use std::io;

use conf::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::ProbePlan;
use super::connection::Stopwatch;
use crate::{Observation, Outcome};

/// Route 53: total response headers, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Header fields a head may have.
const MAX_FIELDS: usize = 128;
/// Heads below this are parsed at every read, so that what is not HTTP fails at once; longer
/// ones when their end has come, so that a slow trickle costs no more than its bytes.
const EAGER_HEAD: usize = 1024;
/// Characters of a status line that are kept.
const MAX_LINE: usize = 160;

/// A response head, as far as a probe looks.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    line: String,
}

/// Passes when the status matches within the limits.
pub(super) async fn probe(plan: &ProbePlan, request: &[u8], matcher: &Matcher) -> Observation {
    let mut watch = Stopwatch::start();
    let mut stream = match watch.connect(plan.address, plan.limits).await {
        Ok(stream) => stream,
        Err(observation) => return observation,
    };
    let due = watch.response_due(plan.limits);
    match timeout_at(due, exchange(&mut stream, request)).await {
        Ok(Ok(head)) if matcher.matches(head.status) => {
            watch.end_with_response(Outcome::Passed, &head.line)
        }
        Ok(Ok(head)) => watch.end_with_response(Outcome::CodeMismatch(head.status), &head.line),
        Ok(Err(error)) => watch.error(&error),
        Err(_) => watch.late("response", plan.limits.response.min(plan.limits.total)),
    }
}

/// The request's bytes.
pub(super) fn request(path: &str, host: &str) -> Box<[u8]> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Pointsman-HealthCheck/{}\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    )
    .into_bytes()
    .into()
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<Head> {
    stream.write_all(request).await?;
    let mut bytes = Vec::with_capacity(EAGER_HEAD);
    loop {
        if bytes.len() >= MAX_HEAD {
            return Err(malformed("response head over 16 KiB"));
        }
        let seen = bytes.len();
        let room = (MAX_HEAD - seen) as u64;
        if (&mut *stream).take(room).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if (bytes.len() <= EAGER_HEAD || ended_since(&bytes, seen))
            && let Some(head) = parse(&bytes)?
        {
            return Ok(head);
        }
    }
}

/// True when an empty line was completed by the bytes from `seen` on.
fn ended_since(bytes: &[u8], seen: usize) -> bool {
    let tail = bytes.get(seen.saturating_sub(3)..).unwrap_or_default();
    tail.windows(2).any(|w| w == b"\n\n") || tail.windows(3).any(|w| w == b"\n\r\n")
}

/// The first final response head in `bytes`, past interim ones (RFC 9110 section 15.2); `None`
/// when it is not complete yet.
fn parse(mut bytes: &[u8]) -> io::Result<Option<Head>> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(malformed(&format!("malformed response: {error}"))),
        };
        match response.code {
            // 101 is final here: the probe asked for no upgrade.
            Some(100 | 102..=199) => bytes = bytes.get(length..).unwrap_or_default(),
            Some(status) => {
                let line = first_line(bytes);
                return Ok(Some(Head { status, line }));
            }
            None => return Err(malformed("malformed response: no status")),
        }
    }
}

/// The status line as sent, made safe to show: no control characters, bounded.
fn first_line(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    String::from_utf8_lossy(line)
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_LINE)
        .collect()
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
