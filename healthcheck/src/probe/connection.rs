//! A probe's connection: opened with a zero linger, so that dropping it sends RST; timed; its
//! errors told in words.
//!
//! Used by every probe over TCP. Errors that are this process's own fault become void
//! observations: a process out of descriptors must not find every target unhealthy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use conf::Address;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::fault::sentence;
use super::tls::TlsPlan;
use super::{Limits, ProbePlan};
use crate::{Observation, Outcome, Phases, connect_unix};

/// Why there is no TLS.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The probe's observation, unless it tries again.
    pub(super) observation: Observation,
    /// The server ended the handshake, not this side or the clock.
    pub(super) by_server: bool,
}

/// What is seen of a peer that closes too early.
pub(super) const CUT_SHORT: &str = "connection closed before the answer was complete";

/// Measures one probe's phases and makes its observation.
#[derive(Debug)]
pub(super) struct Stopwatch {
    started: Instant,
    /// When the connection stood, and TLS on it if there is any.
    ready: Option<Instant>,
    phases: Phases,
}

impl Stopwatch {
    /// Begins now.
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            ready: None,
            phases: Phases::default(),
        }
    }

    /// Connects within the limits; the observation when that failed.
    pub(super) async fn connect(
        &mut self,
        plan: &ProbePlan,
        limits: &Limits,
    ) -> Result<TcpStream, Observation> {
        let limit = limits.connect.min(limits.total);
        match timeout_at(self.started + limit, open(plan)).await {
            Ok(Ok(stream)) => {
                let now = Instant::now();
                self.phases.connect = Some(now - self.started);
                self.ready = Some(now);
                Ok(stream)
            }
            Ok(Err(error)) => Err(self.error(&error)),
            Err(_) => Err(self.late("connection", limit)),
        }
    }

    /// Agrees on TLS, within the limit of connecting; the observation when that failed.
    pub(super) async fn agree(
        &mut self,
        stream: TcpStream,
        plan: &TlsPlan,
        limits: &Limits,
    ) -> Result<Box<TlsStream<TcpStream>>, Refusal> {
        let limit = limits.connect.min(limits.total);
        let connected = Instant::now();
        match timeout_at(self.started + limit, plan.agree(stream)).await {
            Ok(Ok(stream)) => {
                let now = Instant::now();
                self.phases.tls = Some(now - connected);
                self.ready = Some(now);
                Ok(Box::new(stream))
            }
            Ok(Err(error)) => {
                let mut observation = self.error(&error);
                observation.seen = sentence(&error).into();
                Err(Refusal {
                    observation,
                    by_server: is_alert(&error) || error.kind() == io::ErrorKind::UnexpectedEof,
                })
            }
            Err(_) => Err(Refusal {
                observation: self.late("TLS", limit),
                by_server: false,
            }),
        }
    }

    /// When the probe began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// When the response is due, given that the connection stands.
    pub(super) fn response_due(&self, limits: &Limits) -> Instant {
        let ready = self.ready.unwrap_or(self.started);
        (ready + limits.response).min(self.started + limits.total)
    }

    /// The first byte of the response came now.
    pub(super) fn first_byte(&mut self) {
        let ready = self.ready.unwrap_or(self.started);
        let elapsed = Instant::now() - ready;
        self.phases.first_byte.get_or_insert(elapsed);
    }

    /// The response head was complete now, or the whole answer of what has no head.
    pub(super) fn response(&mut self) {
        self.phases.response = Some(Instant::now() - self.ready.unwrap_or(self.started));
    }

    /// The probe ended now; `seen` is what was seen of the target.
    pub(super) fn end(&self, outcome: Outcome, seen: &str) -> Observation {
        Observation {
            outcome,
            seen: seen.into(),
            phases: self.phases,
            agent: None,
            started: self.started,
            ended: Instant::now(),
        }
    }

    /// Nothing came in time.
    pub(super) fn late(&self, what: &str, limit: Duration) -> Observation {
        self.end(Outcome::TimedOut, &format!("no {what} within {limit:?}"))
    }

    /// An I/O error ended the probe.
    pub(super) fn error(&self, error: &io::Error) -> Observation {
        let outcome = match error.raw_os_error() {
            Some(
                libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL,
            ) => Outcome::Void,
            Some(libc::ETIMEDOUT) => Outcome::TimedOut,
            _ => Outcome::Failed,
        };
        self.end(outcome, &words(error))
    }
}

/// True when the server sent an alert.
fn is_alert(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::AlertReceived(_)))
}

/// Connects, and writes what connections begin with; dropping the stream resets the connection.
async fn open(plan: &ProbePlan) -> io::Result<TcpStream> {
    let mut stream = match plan.address {
        Address::Ip(address) => open_tcp(address).await?,
        Address::Unix(name) => connect_unix(name).await.map_err(of_socket)?,
    };
    if !plan.preface.is_empty() {
        stream.write_all(&plan.preface).await?;
    }
    Ok(stream)
}

/// What the system calls a file is a socket here.
fn of_socket(error: io::Error) -> io::Error {
    let words = match error.kind() {
        io::ErrorKind::NotFound => "no such socket",
        io::ErrorKind::PermissionDenied => "no permission to write to the socket",
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}

async fn open_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_zero_linger()?;
    let stream = socket.connect(address).await?;
    // On loopback a connect to a closed port of the ephemeral range now and then gets that very
    // port as its own and reaches itself (TCP simultaneous open): nobody listens there.
    if stream.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// The words for logs and descriptions.
pub(super) fn words(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to target",
        io::ErrorKind::UnexpectedEof => CUT_SHORT,
        _ => return error.to_string(),
    };
    words.to_owned()
}
