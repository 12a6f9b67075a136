//! A byte stream to a client or a target, whatever carries it: the seam between accepting and
//! connecting on one side and the data paths on the other.
//!
//! At accept the order is: limits, PROXY header, TLS, protocol. What comes out is an [`Accepted`];
//! the data paths never ask how it came to be. Never buffers clear-text bytes.
//!
//! Cost: one branch per call over that of the socket itself.

mod side;
mod tcp_info;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::l7::{Http2ClientStream, Http2TargetStream};
use crate::proxy::Tlvs;
use crate::tls::{Session, TargetTls, TlsStream};
pub(crate) use side::Side;
pub(crate) use tcp_info::shortest_round_trip;

/// A client's connection, ready for its listener's protocol.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Its bytes.
    pub(crate) stream: Stream,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The address that the client used.
    pub(crate) local: SocketAddr,
    /// What came with its PROXY header beside addresses.
    pub(crate) tlvs: Option<Tlvs>,
    /// Its number at this worker.
    pub(crate) number: u64,
}

/// A connected byte stream.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Clear text over TCP.
    Tcp(TcpStream),
    /// TLS that ends here. Boxed: most streams should not carry the room for it.
    Tls(Box<TlsStream>),
    /// A stream of a client's HTTP/2 connection, in the form of HTTP/1.1.
    Http2Client(Box<Http2ClientStream>),
    /// A stream of an HTTP/2 connection to a target, in the form of HTTP/1.1.
    Http2Target(Box<Http2TargetStream>),
}

impl Stream {
    /// The socket, when its bytes are the stream's own: such streams can be spliced.
    pub(crate) fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Tls(_) | Self::Http2Client(_) | Self::Http2Target(_) => None,
        }
    }

    /// True for a stream of a client's HTTP/2 connection.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2Client(_))
    }

    /// True when a client's HTTP/2 stream asks for a tunnel.
    pub(crate) fn tunnels(&self) -> bool {
        matches!(self, Self::Http2Client(stream) if stream.tunnels())
    }

    /// True when a client's request is a gRPC call.
    pub(crate) fn is_grpc(&self) -> bool {
        matches!(self, Self::Http2Client(stream) if stream.is_grpc())
    }

    /// Ends what is written where only its writer knows the end. Elsewhere closing does.
    pub(crate) fn end(&mut self) {
        if let Self::Http2Client(stream) = self {
            stream.finish();
        }
    }

    /// What was agreed on in its handshake; `None` in clear text.
    pub(crate) fn session(&self) -> Option<&Rc<Session>> {
        match self {
            Self::Tcp(_) | Self::Http2Target(_) => None,
            Self::Tls(stream) => stream.session(),
            Self::Http2Client(stream) => stream.session(),
        }
    }

    /// True when it is over the TLS of `tls`, or in clear text when that is `None`.
    pub(crate) fn is_over(&self, tls: Option<&Arc<TargetTls>>) -> bool {
        match (self, tls) {
            (Self::Tls(stream), Some(tls)) => stream.is_of(tls),
            (Self::Tls(_), None) | (Self::Http2Client(_) | Self::Http2Target(_), _) => false,
            (_, tls) => tls.is_none(),
        }
    }

    /// Writes `parts` with one call where the stream can do that, the first of them at least.
    pub(crate) fn poll_write_parts(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(_) | Self::Http2Client(_) | Self::Http2Target(_) => {
                let part = |place: usize| parts.get(place).map_or(&[][..], |part| part);
                self.poll_write(cx, part(0), part(1))
            }
        }
    }

    /// TCP segments received and sent, if the kernel tells.
    pub(crate) fn segments(&self) -> Option<(u64, u64)> {
        match self {
            Self::Tcp(stream) => tcp_info::segments(stream.as_fd()),
            Self::Tls(stream) => stream.segments(),
            Self::Http2Client(_) | Self::Http2Target(_) => None,
        }
    }

    /// What a socket's other end has not received yet, in segments and in bytes, if the kernel tells.
    pub(crate) fn undelivered(&self) -> (u32, u32) {
        match self {
            Self::Tcp(stream) => tcp_info::undelivered(stream.as_fd()),
            Self::Tls(stream) => stream.undelivered(),
            Self::Http2Client(_) | Self::Http2Target(_) => (0, 0),
        }
    }

    /// Makes it close with a reset, so that the other end does not take the end for a whole one.
    pub(crate) fn reset(&mut self) {
        match self {
            // Fails only on sockets that are gone already.
            Self::Tcp(stream) => drop(stream.set_zero_linger()),
            Self::Tls(stream) => stream.reset(),
            Self::Http2Client(stream) => stream.reset(),
            Self::Http2Target(stream) => stream.reset(),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl Side for Stream {
    fn is_writing(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Http2Client(_) | Self::Http2Target(_) => false,
            Self::Tls(stream) => stream.is_writing(),
        }
    }

    fn is_untouched(&self) -> bool {
        matches!(self, Self::Http2Target(stream) if stream.is_untouched())
    }

    fn tells_end(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => stream.poll_read(cx, room),
            Self::Tls(stream) => stream.poll_read(cx, room),
            Self::Http2Client(stream) => stream.poll_read(cx, room),
            Self::Http2Target(stream) => stream.poll_read(cx, room),
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(stream) => stream.poll_readable(cx),
            Self::Tls(stream) => stream.poll_readable(cx),
            Self::Http2Client(stream) => stream.poll_readable(cx),
            Self::Http2Target(stream) => stream.poll_readable(cx),
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Side::poll_write(stream, cx, first, second),
            Self::Tls(stream) => stream.poll_write(cx, first, second),
            Self::Http2Client(stream) => stream.poll_write(cx, first, second),
            Self::Http2Target(stream) => stream.poll_write(cx, first, second),
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_finish(cx),
            Self::Tls(stream) => stream.poll_finish(cx),
            Self::Http2Client(stream) => stream.poll_finish(cx),
            Self::Http2Target(stream) => stream.poll_finish(cx),
        }
    }
}
