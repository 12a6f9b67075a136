//! A probe's connection: opened with a zero linger, so that dropping it sends RST; timed; its
//! errors told in words.
//!
//! Used by the tcp and http probes only. Errors that are this process's own fault become void
//! observations: a process out of descriptors must not find every target unhealthy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use super::Limits;
use crate::{Observation, Outcome};

/// Measures one probe's phases and makes its observation.
#[derive(Debug)]
pub(super) struct Stopwatch {
    started: Instant,
    connected: Option<Instant>,
}

impl Stopwatch {
    /// Begins now.
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            connected: None,
        }
    }

    /// Connects within the limits; the observation when that failed.
    pub(super) async fn connect(
        &mut self,
        address: SocketAddr,
        limits: Limits,
    ) -> Result<TcpStream, Observation> {
        let limit = limits.connect.min(limits.total);
        match timeout_at(self.started + limit, open(address)).await {
            Ok(Ok(stream)) => {
                self.connected = Some(Instant::now());
                Ok(stream)
            }
            Ok(Err(error)) => Err(self.error(&error)),
            Err(_) => Err(self.late("connection", limit)),
        }
    }

    /// When the response is due, given that the connection stands.
    pub(super) fn response_due(&self, limits: Limits) -> Instant {
        let connected = self.connected.unwrap_or(self.started);
        (connected + limits.response).min(self.started + limits.total)
    }

    /// The probe ended now; `seen` is what was seen of the target.
    pub(super) fn end(&self, outcome: Outcome, seen: &str) -> Observation {
        let ended = Instant::now();
        Observation {
            outcome,
            seen: seen.into(),
            connect: self.connected.map(|connected| connected - self.started),
            response: None,
            started: self.started,
            ended,
        }
    }

    /// As [`Stopwatch::end`], when a response was read.
    pub(super) fn end_with_response(&self, outcome: Outcome, seen: &str) -> Observation {
        let mut observation = self.end(outcome, seen);
        observation.response = self.connected.map(|at| observation.ended - at);
        observation
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

/// Connects; dropping the stream resets the connection.
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
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
fn words(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to target",
        io::ErrorKind::UnexpectedEof => "connection closed before the response head ended",
        _ => return error.to_string(),
    };
    words.to_owned()
}
