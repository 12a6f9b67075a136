//! TLS to the targets of a group: whom it believes, and the handshake.
//!
//! Made when a group is compiled and kept across reloads while its settings stay what they are, so
//! that sessions are resumed: a new connection to a target that was connected before needs no new
//! signature. Certificates are verified unless the file says otherwise.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conf::{GroupProtocol, TlsCheck};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::net::TcpStream;

use super::{Scratch, TlsStream};
use crate::target::Target;

/// Seconds between warnings about one group's handshakes: each request may fail.
const TOLD_EVERY: u64 = 10;

/// A group's TLS.
#[derive(Debug)]
pub struct TargetTls {
    check: TlsCheck,
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    /// Requests and answers go over it: an end without close_notify may be a cut.
    is_http: bool,
    /// They go over HTTP/2, which is to be agreed on.
    is_http2: bool,
    /// When a failure was last told, in seconds since 1970.
    told: AtomicU64,
}

impl PartialEq for TargetTls {
    fn eq(&self, other: &Self) -> bool {
        let kinds = (self.is_http, self.is_http2) == (other.is_http, other.is_http2);
        self.check == other.check && kinds
    }
}

impl Eq for TargetTls {}

impl TargetTls {
    /// What `check` says; `before` when that is the same.
    pub(crate) fn new(
        check: &TlsCheck,
        protocol: GroupProtocol,
        before: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let (is_http, is_http2) = (protocol.is_http(), protocol.is_http2());
        if let Some(before) = before
            && before.check == *check
            && (before.is_http, before.is_http2) == (is_http, is_http2)
        {
            return before.clone();
        }
        let alpn: &[u8] = match (is_http, is_http2) {
            (_, true) => b"h2",
            (true, false) => b"http/1.1",
            (false, false) => b"",
        };
        let sent = check.sni != conf::Sni::NotSent;
        // Names have been looked at when the configuration was read.
        let name = check.server_name.clone();
        Arc::new(Self {
            config: Arc::new(healthcheck::tls_client(&check.trust, alpn, sent)),
            name: name.and_then(|name| ServerName::try_from(name).ok()),
            check: check.clone(),
            is_http,
            is_http2,
            told: AtomicU64::new(0),
        })
    }

    /// Agrees on TLS with `target` over a connection to it, in the time there is.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        socket: TcpStream,
        target: &Target,
        scratch: Scratch,
        timeout: Duration,
    ) -> io::Result<TlsStream> {
        let name = self.name.clone();
        let name = name.unwrap_or_else(|| healthcheck::tls_name(target.address()));
        let connection = ClientConnection::new(self.config.clone(), name);
        let connection = connection.map_err(io::Error::other)?;
        let mut stream = TlsStream::to_target(socket.into(), connection, scratch, self.clone());
        let handshake = std::future::poll_fn(|cx| stream.poll_handshake(cx, b""));
        let done = tokio::time::timeout(timeout, handshake).await;
        let error = match done {
            Ok(Ok(())) if self.is_http2 && !stream.agreed_on(b"h2") => {
                io::Error::other("the target does not agree on HTTP/2 (ALPN h2)")
            }
            Ok(Ok(())) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_elapsed) => io::ErrorKind::TimedOut.into(),
        };
        self.tell(target, &error);
        Err(error)
    }

    /// True when the end of the socket is no end of the stream.
    pub(super) fn is_strict(&self) -> bool {
        self.is_http
    }

    fn tell(&self, target: &Target, error: &io::Error) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = now.as_secs();
        let told = self.told.load(Ordering::Relaxed);
        let swap = |told| {
            let (new, relaxed) = (now, Ordering::Relaxed);
            self.told.compare_exchange(told, new, relaxed, relaxed)
        };
        if now >= told + TOLD_EVERY && swap(told).is_ok() {
            let (group, name) = (&**target.group(), &**target.name());
            let error = match error.kind() {
                io::ErrorKind::TimedOut => "TLS: the handshake took too long".to_owned(),
                _ => healthcheck::tls_fault(error),
            };
            tracing::warn!(group, target = name, error, "no TLS with target");
        }
    }
}
