//! The HTTP probe: one request on a connection of its own, in clear text or over TLS, reset once
//! enough of the answer was read.
//!
//! httparse reads the head from the raw bytes, so that details can show the status line as it
//! was sent, and the body is read only where a search string is looked for. Bounded: 16 KiB of
//! head (Route 53's limit), 128 fields, interim responses included; the body as `body` says.

use std::io;

use conf::Matcher;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout_at;

use super::body::{Body, Coding, Framing, WINDOW};
use super::connection::Stopwatch;
use super::tls::TlsPlan;
use super::{Limits, ProbePlan, malformed, shown_line};
use crate::{Observation, Outcome};

/// Route 53: total response headers, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Header fields a head may have.
const MAX_FIELDS: usize = 128;
/// Heads below this are parsed at every read, so that what is not HTTP fails at once; longer
/// ones when their end has come, so that a slow trickle costs no more than its bytes.
const EAGER_HEAD: usize = 1024;

/// What an HTTP probe sends and expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpPlan {
    /// The request's bytes.
    pub(super) request: Box<[u8]>,
    /// Statuses that pass.
    pub(super) matcher: Matcher,
    /// What the body must hold.
    pub(super) search: Option<Box<str>>,
    /// `None` = clear text.
    pub(super) tls: Option<TlsPlan>,
}

/// A response head, as far as a probe looks.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) line: String,
    /// Bytes of it, interim heads included.
    pub(super) length: usize,
    pub(super) framing: Framing,
    /// `None` for codings that are not undone here.
    pub(super) coding: Option<Coding>,
}

/// Passes when the status matches within the limits, and the body holds what it must.
pub(super) async fn probe(plan: &ProbePlan, http: &HttpPlan) -> Observation {
    let mut watch = Stopwatch::start();
    let limits = &plan.limits;
    match &http.tls {
        None => match watch.connect(plan, limits).await {
            Ok(stream) => ask(stream, &mut watch, limits, http).await,
            Err(observation) => observation,
        },
        Some(tls) => match tls.connect(&mut watch, plan).await {
            Ok(stream) => ask(stream, &mut watch, limits, http).await,
            Err(observation) => observation,
        },
    }
}

/// The request's bytes.
pub(super) fn request(
    method: &str,
    path: &str,
    host: &str,
    headers: &[(String, String)],
) -> Box<[u8]> {
    let has = |name: &str| {
        headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
    };
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if !has("User-Agent") {
        let version = env!("CARGO_PKG_VERSION");
        text += &format!("User-Agent: Pointsman-HealthCheck/{version}\r\n");
    }
    if !has("Accept") {
        text += "Accept: */*\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if method == "POST" {
        text += "Content-Length: 0\r\n";
    }
    text += "Connection: close\r\n\r\n";
    text.into_bytes().into()
}

async fn ask<S>(
    mut stream: S,
    watch: &mut Stopwatch,
    limits: &Limits,
    http: &HttpPlan,
) -> Observation
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let due = watch.response_due(limits);
    let asked = timeout_at(due, exchange(&mut stream, &http.request, watch)).await;
    let (head, rest) = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return watch.error(&error),
        Err(_) => return watch.late("response", limits.response.min(limits.total)),
    };
    watch.response();
    if !http.matcher.matches(head.status) {
        return watch.end(Outcome::CodeMismatch(head.status), &head.line);
    }
    let Some(search) = &http.search else {
        return watch.end(Outcome::Passed, &head.line);
    };
    let due = (due + limits.body).min(watch.started() + limits.total);
    match timeout_at(due, look(&mut stream, &head, &rest, search)).await {
        Ok(Ok(true)) => watch.end(Outcome::Passed, &head.line),
        Ok(Ok(false)) => {
            let seen = format!(
                "{}, without the search string in the first {WINDOW} bytes of the body",
                head.line
            );
            watch.end(Outcome::Failed, &seen)
        }
        Ok(Err(error)) => watch.error(&error),
        Err(_) => {
            let seen = format!("{}, and no search string in time", head.line);
            watch.end(Outcome::TimedOut, &seen)
        }
    }
}

/// Sends the request and reads the response's head; the bytes read beyond it too.
pub(super) async fn exchange<S>(
    stream: &mut S,
    request: &[u8],
    watch: &mut Stopwatch,
) -> io::Result<(Head, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request).await?;
    stream.flush().await?;
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
        watch.first_byte();
        if (bytes.len() <= EAGER_HEAD || ended_since(&bytes, seen))
            && let Some(head) = parse(&bytes)?
        {
            let rest = bytes.split_off(head.length.min(bytes.len()));
            return Ok((head, rest));
        }
    }
}

/// Reads the body until it holds `search`, or cannot any more.
async fn look<S>(stream: &mut S, head: &Head, rest: &[u8], search: &str) -> io::Result<bool>
where
    S: AsyncRead + Unpin,
{
    let Some(coding) = head.coding else {
        return Err(malformed("the body's content coding is not known here"));
    };
    let finder = memmem::Finder::new(search);
    let mut body = Body::new(head.framing, coding);
    body.feed(rest)?;
    let mut buffer = Vec::with_capacity(EAGER_HEAD);
    loop {
        if finder.find(body.window()).is_some() {
            return Ok(true);
        }
        if body.is_over() {
            return Ok(false);
        }
        buffer.clear();
        match stream.read_buf(&mut buffer).await {
            Ok(0) if body.ends_with_connection() => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => body.feed(&buffer)?,
            Err(error) => return Err(error),
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
pub(super) fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut start = 0;
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(rest) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(malformed(&format!("malformed response: {error}"))),
        };
        start += length;
        match response.code {
            // 101 is final here: the probe asked for no upgrade.
            Some(100 | 102..=199) => {}
            Some(status) => {
                return Ok(Some(Head {
                    status,
                    line: shown_line(rest),
                    length: start,
                    framing: framing(status, response.headers)?,
                    coding: Coding::named(values(response.headers, "content-encoding")),
                }));
            }
            None => return Err(malformed("malformed response: no status")),
        }
    }
}

/// Where the body ends (RFC 9112 section 6.3).
fn framing(status: u16, fields: &[httparse::Header<'_>]) -> io::Result<Framing> {
    if matches!(status, 101 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(coding) = values(fields, "transfer-encoding").last() {
        let last = coding.rsplit(|&byte| byte == b',').next();
        let last = last.unwrap_or_default().trim_ascii();
        return match last.eq_ignore_ascii_case(b"chunked") {
            true => Ok(Framing::Chunked),
            false => Ok(Framing::UntilClose),
        };
    }
    let mut lengths = values(fields, "content-length");
    let Some(first) = lengths.next() else {
        return Ok(Framing::UntilClose);
    };
    let digits = std::str::from_utf8(first).ok();
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|text| text.parse().ok()) {
        Some(length) if lengths.all(|other| other == first) => Ok(Framing::Length(length)),
        _ => Err(malformed("malformed response: content-length")),
    }
}

fn values<'f>(
    fields: &'f [httparse::Header<'_>],
    name: &'static str,
) -> impl Iterator<Item = &'f [u8]> {
    let named = move |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
    fields
        .iter()
        .filter(named)
        .map(|field| field.value.trim_ascii())
}
