//! The way to a running process: finds its admin address and speaks HTTP/1.1 with it.
//!
//! Used by status, drain, undrain, weight and reload. Asks at `--admin`, else `$POINTSMAN_ADMIN`,
//! else the socket and then the address of the configuration file of this folder (or of
//! /etc/pointsman), else 127.0.0.1:9901. One connection per call; answers are bounded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::serve::locate;
use super::{Failure, Remote};

/// Where a process listens when nothing says otherwise.
const DEFAULT_ADMIN: &str = "127.0.0.1:9901";
/// A local connect is immediate or hopeless.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A drain answers after every worker obeyed; a reload may parse large zones.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// No answer of the API is near this size: 64 MiB.
const MAX_ANSWER: usize = 64 << 20;

/// Where a process answers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Endpoint {
    /// `host:port`.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

/// One running process.
#[derive(Debug)]
pub(super) struct Client {
    candidates: Vec<Endpoint>,
    runtime: tokio::runtime::Runtime,
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// JSON body.
    pub(super) body: Value,
}

impl Client {
    /// Finds out where to ask; connects only when asked something.
    pub(super) fn new(remote: &Remote) -> Result<Self, Failure> {
        let named = remote.admin.clone();
        let named = named.or_else(|| {
            std::env::var("POINTSMAN_ADMIN")
                .ok()
                .filter(|v| !v.is_empty())
        });
        let candidates = match named {
            Some(url) => vec![parse_endpoint(&url)?],
            None => usual_endpoints(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::from_error("cannot start", &error))?;
        Ok(Self {
            candidates,
            runtime,
        })
    }

    /// GET, and a 200 expected.
    pub(super) fn fetch(&self, path: &str) -> Result<Value, Failure> {
        let reply = self.runtime.block_on(self.call(Method::GET, path, None))?;
        reply.expect_ok()
    }

    /// GET of something that may not be there; `None` for a 404.
    pub(super) fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        let reply = self.runtime.block_on(self.call(Method::GET, path, None))?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => reply.expect_ok().map(Some),
        }
    }

    /// POST with a JSON body; whatever was answered.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.runtime
            .block_on(self.call(Method::POST, path, Some(body)))
    }

    /// DELETE with a JSON body; whatever was answered.
    pub(super) fn delete(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.runtime
            .block_on(self.call(Method::DELETE, path, Some(body)))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let mut tried = Vec::new();
        for endpoint in &self.candidates {
            let connected = match endpoint {
                Endpoint::Tcp(authority) => connect(TcpStream::connect(authority))
                    .await
                    .map(Stream::Tcp),
                Endpoint::Unix(path) => connect(UnixStream::connect(path)).await.map(Stream::Unix),
            };
            let host = match endpoint {
                Endpoint::Tcp(authority) => authority.as_str(),
                Endpoint::Unix(_) => "localhost",
            };
            let request = build_request(method.clone(), path, host, body)?;
            match connected {
                Ok(Stream::Tcp(stream)) => return exchange(stream, request).await,
                Ok(Stream::Unix(stream)) => return exchange(stream, request).await,
                Err(error) => tried.push(format!("{endpoint}: {error}")),
            }
        }
        Err(Failure::Failed(format!(
            "no running pointsman answers\n  tried {}\n  help: start one with `pointsman run`, or say where it is: --admin http://HOST:PORT",
            tried.join("\n  tried ")
        )))
    }
}

impl Reply {
    /// The body of a success; the server's own words otherwise.
    pub(super) fn expect_ok(self) -> Result<Value, Failure> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let said = |key: &str| self.body.get(key).and_then(Value::as_str);
        let error =
            said("error").map_or_else(|| format!("answered {}", self.status), str::to_owned);
        Err(Failure::Failed(match said("help") {
            Some(help) => format!("{error}\n  help: {help}"),
            None => error,
        }))
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(authority) => write!(f, "http://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

fn parse_endpoint(url: &str) -> Result<Endpoint, Failure> {
    if let Some(path) = url.strip_prefix("unix:") {
        return Ok(Endpoint::Unix(PathBuf::from(path.trim_start_matches("//"))));
    }
    let authority = url
        .strip_prefix("http://")
        .unwrap_or(url)
        .trim_end_matches('/');
    match authority.parse::<http::uri::Authority>() {
        Ok(parsed) if parsed.port_u16().is_some() && !url.contains("https://") => {
            Ok(Endpoint::Tcp(authority.to_owned()))
        }
        _ => Err(Failure::Usage(format!(
            "`{url}` is no admin address\n  help: http://HOST:PORT or unix:PATH"
        ))),
    }
}

/// Where a process of this folder's configuration answers, best first.
fn usual_endpoints() -> Vec<Endpoint> {
    let Ok(file) = locate(None) else {
        return vec![Endpoint::Tcp(DEFAULT_ADMIN.to_owned())];
    };
    let admin = conf::load(&file).config.admin;
    let socket = admin.socket;
    let tcp = Endpoint::Tcp(admin.bind.value.to_string());
    if Path::exists(&socket) {
        vec![Endpoint::Unix(socket), tcp]
    } else {
        vec![tcp]
    }
}

async fn connect<S>(
    connecting: impl Future<Output = std::io::Result<S>>,
) -> Result<S, std::io::Error> {
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

fn build_request(
    method: Method,
    path: &str,
    host: &str,
    body: Option<&Value>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host);
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    request
        .body(Full::new(bytes))
        .map_err(|error| Failure::from_error("cannot make the request", &error))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let talk = async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::pin!(connection);
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER)
                .collect()
                .await;
            Ok::<_, hyper::Error>((status, body.map(|body| body.to_bytes())))
        };
        tokio::pin!(answer);
        let mut connected = true;
        loop {
            tokio::select! {
                answered = &mut answer => return answered,
                ended = &mut connection, if connected => {
                    connected = false;
                    ended?;
                }
            }
        }
    };
    let doing = "the running pointsman did not answer";
    let (status, body) = timeout(ANSWER_TIMEOUT, talk)
        .await
        .map_err(|_| Failure::Failed(format!("{doing} within {} s", ANSWER_TIMEOUT.as_secs())))?
        .map_err(|error| Failure::from_error(doing, &error))?;
    let body = body.map_err(|error| Failure::Failed(format!("{doing}: {error}")))?;
    let body = serde_json::from_slice(&body).map_err(|error| {
        Failure::from_error(
            "the answer is not JSON; is it pointsman that answers?",
            &error,
        )
    })?;
    Ok(Reply { status, body })
}

/// One path segment, percent-encoded (RFC 3986 section 3.3, keeping `:` readable).
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_nonsense_is_a_usage_error() {
        let tcp = |text: &str| Endpoint::Tcp(text.to_owned());
        assert_eq!(parse_endpoint("http://[::1]:99/").unwrap(), tcp("[::1]:99"));
        assert_eq!(parse_endpoint("localhost:99").unwrap(), tcp("localhost:99"));
        assert_eq!(
            parse_endpoint("unix:///run/p.sock").unwrap(),
            Endpoint::Unix("/run/p.sock".into())
        );
        for bad in ["https://localhost:99", "localhost", "", "http://a b:1"] {
            assert!(
                matches!(parse_endpoint(bad), Err(Failure::Usage(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(segment("a/b?c"), "a%2Fb%3Fc");
        assert_eq!(segment("[::1]:80"), "%5B::1%5D:80");
    }
}
