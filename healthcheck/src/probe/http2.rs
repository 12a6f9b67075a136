//! The HTTP/2 probe: one request on a connection of its own, over TLS agreed on by ALPN or in clear
//! text by prior knowledge (RFC 9113 section 3), reset once enough of the answer was read.
//!
//! The gRPC probe opens its connection here too. Bounded: 16 KiB of head; windows and the body as
//! `body` says; the connection is driven only as long as the exchange lasts.

use bytes::Bytes;
use conf::{Address, HttpCheck};
use h2::Reason;
use h2::client::SendRequest;
use http::{Method, Request, Response, Uri, Version};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use super::body::{Body, Coding, Framing, WINDOW};
use super::connection::Stopwatch;
use super::tls::TlsPlan;
use super::{Limits, ProbePlan, authority};
use crate::{Observation, Outcome};

/// Bytes of a head, and of a window.
pub(super) const MAX_BYTES: u32 = 16 * 1024;

/// What an HTTP/2 probe sends and expects.
#[derive(Debug, Clone)]
pub(crate) struct Http2Plan {
    check: HttpCheck,
    request: Request<()>,
    tls: Option<TlsPlan>,
}

impl PartialEq for Http2Plan {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
            && self.request.uri() == other.request.uri()
            && self.tls == other.tls
    }
}

impl Eq for Http2Plan {}

impl Http2Plan {
    /// The plan for `check` of the target at `address`.
    pub(super) fn new(check: &HttpCheck, address: Address) -> Self {
        let own = authority(address);
        let host = check.host.as_deref().unwrap_or(&own);
        let tls = check.tls.as_ref();
        Self {
            request: request(check, host),
            tls: tls.map(|tls| TlsPlan::new(tls, b"h2", address)),
            // What it says of TLS is in the plan for that, and long.
            check: HttpCheck {
                tls: None,
                ..check.clone()
            },
        }
    }
}

/// The request. Path, host and headers have been looked at when the configuration was read; one
/// they make no request of is asked at `/`, and fails with the answer to that.
fn request(check: &HttpCheck, host: &str) -> Request<()> {
    let scheme = check.tls.as_ref().map_or("http", |_| "https");
    let uri = format!("{scheme}://{host}{}", check.path);
    let has = |name: &str| {
        let mut names = check.headers.iter().map(|(own, _)| own);
        names.any(|own| own.eq_ignore_ascii_case(name))
    };
    let mut request = Request::builder()
        .method(Method::from_bytes(check.method.as_bytes()).unwrap_or_default())
        .version(Version::HTTP_2)
        .uri(Uri::try_from(uri).unwrap_or_default());
    if !has("user-agent") {
        let agent = concat!("Pointsman-HealthCheck/", env!("CARGO_PKG_VERSION"));
        request = request.header("user-agent", agent);
    }
    if !has("accept") {
        request = request.header("accept", "*/*");
    }
    for (name, value) in &check.headers {
        request = request.header(name, value);
    }
    request.body(()).unwrap_or_default()
}

/// Passes when the status matches within the limit, and the body holds what it must.
pub(super) async fn probe(plan: &ProbePlan, http: &Http2Plan) -> Observation {
    let mut watch = Stopwatch::start();
    let limits = &plan.limits;
    match &http.tls {
        None => match watch.connect(plan, limits).await {
            Ok(stream) => ask(stream, &mut watch, limits, http).await,
            Err(observation) => observation,
        },
        Some(tls) => match tls.connect(&mut watch, plan).await {
            Ok(stream) if stream.get_ref().1.alpn_protocol() != Some(b"h2") => {
                let seen = "TLS: the target did not agree on HTTP/2 (ALPN h2); \
                            let it offer h2, or use protocol `https`";
                watch.end(Outcome::Failed, seen)
            }
            Ok(stream) => ask(stream, &mut watch, limits, http).await,
            Err(observation) => observation,
        },
    }
}

async fn ask<S>(stream: S, watch: &mut Stopwatch, limits: &Limits, http: &Http2Plan) -> Observation
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let due = watch.response_due(limits);
    let mut line = None;
    let talk = async |client| exchange(client, watch, http, &mut line).await;
    let ended = timeout_at(due, open(stream, talk)).await;
    match (ended, line) {
        (Ok(Ok((outcome, seen))), _) => watch.end(outcome, &seen),
        (Ok(Err(fault)), _) => watch.end(Outcome::Failed, &fault),
        (Err(_), None) => watch.late("response", limits.response.min(limits.total)),
        (Err(_), Some(line)) => {
            let seen = format!("{line}, and no search string in time");
            watch.end(Outcome::TimedOut, &seen)
        }
    }
}

async fn exchange(
    client: SendRequest<Bytes>,
    watch: &mut Stopwatch,
    http: &Http2Plan,
    line: &mut Option<String>,
) -> Result<(Outcome, String), String> {
    let mut client = client.ready().await.map_err(words)?;
    let (response, _) = (client.send_request(http.request.clone(), true)).map_err(words)?;
    let response = response.await.map_err(words)?;
    watch.first_byte();
    watch.response();
    let status = response.status();
    let seen = &*line.insert(format!("HTTP/2 {status}"));
    if !http.check.matcher.matches(status.as_u16()) {
        return Ok((Outcome::CodeMismatch(status.as_u16()), seen.clone()));
    }
    let Some(search) = &http.check.search_string else {
        return Ok((Outcome::Passed, seen.clone()));
    };
    if look(response, search).await? {
        return Ok((Outcome::Passed, seen.clone()));
    }
    let seen = format!("{seen}, without the search string in the first {WINDOW} bytes of the body");
    Ok((Outcome::Failed, seen))
}

/// Reads the body until it holds `search`, or cannot any more.
async fn look(response: Response<h2::RecvStream>, search: &str) -> Result<bool, String> {
    let (head, mut stream) = response.into_parts();
    let fields = head.headers.get_all("content-encoding").iter();
    let Some(coding) = Coding::named(fields.map(|value| value.as_bytes())) else {
        return Err("the body's content coding is not known here".to_owned());
    };
    let finder = memmem::Finder::new(search);
    let mut body = Body::new(Framing::UntilClose, coding);
    while !body.is_over() {
        let Some(part) = stream.data().await else {
            break;
        };
        let part = part.map_err(words)?;
        body.feed(&part).map_err(|error| error.to_string())?;
        if finder.find(body.window()).is_some() {
            return Ok(true);
        }
        // Fails when the stream has ended, as its window has then.
        let _ended = stream.flow_control().release_capacity(part.len());
    }
    Ok(finder.find(body.window()).is_some())
}

/// Opens HTTP/2 and runs `talk`; the connection is driven meanwhile.
pub(super) async fn open<S, T>(
    stream: S,
    talk: impl AsyncFnOnce(SendRequest<Bytes>) -> Result<T, String>,
) -> Result<T, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let opening = h2::client::Builder::new()
        .max_header_list_size(MAX_BYTES)
        .initial_window_size(MAX_BYTES)
        .initial_connection_window_size(MAX_BYTES.max(65_535))
        .enable_push(false)
        .handshake::<_, Bytes>(stream);
    let (client, connection) = opening.await.map_err(words)?;
    tokio::select! {
        biased;
        answer = talk(client) => answer,
        ended = connection => Err(match ended {
            Ok(()) => super::connection::CUT_SHORT.to_owned(),
            Err(error) => words(error),
        }),
    }
}

/// The words for an HTTP/2 error.
pub(super) fn words(error: h2::Error) -> String {
    let undecoded = error.reason() == Some(Reason::COMPRESSION_ERROR) && !error.is_remote();
    match error.get_io() {
        Some(error) => super::connection::words(error),
        // h2 gives up the connection, as RFC 9113 section 4.3 demands of both.
        None if undecoded => "HTTP/2: a head over 16 KiB, or one that cannot be decoded".to_owned(),
        None => format!("HTTP/2: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use conf::{HttpVersion, Matcher};

    use super::*;

    #[test]
    fn every_path_and_host_that_a_file_may_have_makes_a_request() {
        let mut check = HttpCheck {
            method: "OPTIONS",
            path: String::new(),
            host: None,
            headers: vec![("X-Probe!#$%&'*+.^_`|~".to_owned(), "a b\tc".to_owned())],
            matcher: Matcher { ranges: Vec::new() },
            search_string: None,
            version: HttpVersion::Http2,
            tls: None,
        };
        let symbols = (b'!'..=b'~').filter(|byte| !b"\"#<>\\^`{|}".contains(byte));
        for symbol in symbols.map(char::from) {
            check.path = format!("/{symbol}?{symbol}");
            for host in ["127.0.0.1:80", "[::1]:8080", "a_b.test", "[::1]"] {
                let request = request(&check, host);
                let uri = request.uri();
                let path = uri.path_and_query().map(|path| path.as_str());
                assert_eq!(path, Some(check.path.as_str()));
                assert_eq!(uri.authority().map(|host| host.as_str()), Some(host));
                assert_eq!(request.method(), Method::OPTIONS);
                assert_eq!(request.headers().len(), 3);
            }
        }
    }
}
