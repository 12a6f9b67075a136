//! Connecting to a target, and telling health when that fails.
//!
//! Called by the TCP and HTTP data paths through [`WorkerContext::connect`]. A failure that is the
//! target's marks it suspect for all workers and makes the board probe it at once; a local one
//! (no port, no descriptor) says nothing about the target.
//!
//! Cost: socket, setsockopt x2 (none for a Unix socket), connect, one write for a PROXY header if there is one, and one timer only while the connect is pending.

use std::net::{IpAddr, SocketAddr};

use conf::{Address, TrafficFailure};
use healthcheck::{PassiveEvent, PassiveFailure, TrafficOutcome, connect_unix};
use rustix::io::Errno;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::context::{Choice, WorkerContext};
use crate::metrics::RetryReason;
use crate::proxy::Introduced;
use crate::sockets::is_nowhere;
use crate::stream::Stream;

/// Ports the kernel picks from when a connection does not name its own (the default
/// `ip_local_port_range` begins here): only there can a socket connect to itself.
const FIRST_EPHEMERAL_PORT: u16 = 32_768;

/// Why a target could not be connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The target's doing; it has been marked suspect.
    #[error("{}", .0.as_str())]
    Target(PassiveFailure),
    /// The connection stands, but no TLS could be agreed on.
    #[error("no TLS could be agreed on: {0}")]
    Tls(#[source] std::io::Error),
    /// This machine's doing.
    #[error("cannot connect: {0}")]
    Local(#[source] std::io::Error),
}

impl ConnectError {
    /// The reason to count when another target is tried.
    pub fn retry_reason(&self) -> RetryReason {
        match self {
            Self::Target(PassiveFailure::Refused) => RetryReason::Refused,
            Self::Target(PassiveFailure::Unreachable) => RetryReason::Unreachable,
            Self::Target(PassiveFailure::ConnectTimeout) => RetryReason::ConnectTimeout,
            Self::Tls(_) => RetryReason::TlsHandshake,
            Self::Local(_) => RetryReason::Local,
        }
    }
}

impl WorkerContext {
    /// A stream to the chosen target: connected, told of `client` what its group says, and over TLS
    /// where its group says so.
    ///
    /// # Errors
    /// [`ConnectError`]; the failure has already been reported to health when it is the target's.
    pub(crate) async fn reach(
        &self,
        choice: &Choice,
        client: &Introduced<'_>,
    ) -> Result<Stream, ConnectError> {
        let (target, timeout) = (&choice.target, choice.connect_timeout);
        let socket = self.connect(choice, client).await?;
        let Some(tls) = &choice.tls else {
            return Ok(socket.into());
        };
        let scratch = self.ciphertext().clone();
        // Boxed: those that need none should not carry the room for it.
        match Box::pin(tls.connect(socket, target, scratch, timeout)).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => {
                self.observe(target, TrafficOutcome::Failure(TrafficFailure::Connect));
                Err(ConnectError::Tls(error))
            }
        }
    }

    /// A connection to the chosen target, with `TCP_NODELAY` and keep-alive set, within its timeout,
    /// which tells of `client` what the group says.
    ///
    /// # Errors
    /// [`ConnectError`]; the failure has already been reported to health when it is the target's.
    pub(crate) async fn connect(
        &self,
        choice: &Choice,
        client: &Introduced<'_>,
    ) -> Result<TcpStream, ConnectError> {
        let target = &choice.target;
        let introduction = self.introduction(choice.proxy_out, client);
        let source =
            (choice.preserve_client_ip && !is_nowhere(client.client)).then_some(client.client.ip());
        let timeout = choice.connect_timeout;
        let attempt = open(target.address(), source, &introduction);
        let error = match tokio::time::timeout(timeout, attempt).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => classify(error),
            Err(_elapsed) => ConnectError::Target(PassiveFailure::ConnectTimeout),
        };
        if let ConnectError::Target(failure) = error {
            let event = PassiveEvent {
                slot: target.slot(),
                failure,
                at: Instant::now(),
            };
            // A burst of failures counts once: the mark is answer enough to it, and the first
            // passed probe is to bring a target back that was but restarted.
            if self.reporter().report(target.signal(), event) {
                self.observe(target, TrafficOutcome::Failure(TrafficFailure::Connect));
            }
        }
        Err(error)
    }
}

impl ConnectError {
    /// True when no local port was left for the connection.
    pub(crate) fn is_port_exhaustion(&self) -> bool {
        match self {
            Self::Local(error) => matches!(
                Errno::from_io_error(error),
                Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE)
            ),
            Self::Target(_) | Self::Tls(_) => false,
        }
    }
}

async fn open(
    address: Address,
    source: Option<IpAddr>,
    introduction: &[u8],
) -> std::io::Result<TcpStream> {
    let mut stream = match address {
        Address::Ip(address) => open_tcp(address, source).await?,
        Address::Unix(name) => connect_unix(name).await?,
    };
    if !introduction.is_empty() {
        stream.write_all(introduction).await?;
    }
    Ok(stream)
}

async fn open_tcp(address: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    if let Some(source) = source {
        come_from(&socket, source.to_canonical(), address)?;
    }
    let stream = socket.connect(address).await?;
    if address.port() >= FIRST_EPHEMERAL_PORT && stream.local_addr()? == address {
        // Nobody listens there and the kernel chose that very port for us: a socket that talks
        // to itself, and that would keep the target from ever coming back.
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(stream)
}

/// Makes the connection come from an address that is not this machine's. One of the other family
/// cannot be kept.
fn come_from(socket: &TcpSocket, source: IpAddr, target: SocketAddr) -> std::io::Result<()> {
    match (source, target) {
        (IpAddr::V4(_), SocketAddr::V4(_)) => SockRef::from(socket).set_ip_transparent_v4(true)?,
        (IpAddr::V6(_), SocketAddr::V6(_)) => SockRef::from(socket).set_ip_transparent_v6(true)?,
        _ => return Ok(()),
    }
    socket.bind(SocketAddr::new(source, 0))
}

/// Whether the system lets connections come from clients' addresses.
///
/// # Errors
/// The system's.
pub(crate) fn may_come_from_clients() -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    SockRef::from(&socket).set_ip_transparent_v4(true)
}

fn classify(error: std::io::Error) -> ConnectError {
    match Errno::from_io_error(&error) {
        // No file: the service that makes the socket has not started.
        Some(Errno::CONNREFUSED | Errno::CONNRESET | Errno::PIPE | Errno::NOENT) => {
            ConnectError::Target(PassiveFailure::Refused)
        }
        // A Unix socket that this user may not write to is as good as not there.
        Some(
            Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::ACCESS,
        ) => ConnectError::Target(PassiveFailure::Unreachable),
        Some(Errno::TIMEDOUT) => ConnectError::Target(PassiveFailure::ConnectTimeout),
        _ => ConnectError::Local(error),
    }
}
