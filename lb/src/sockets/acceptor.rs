//! What a worker accepts on: a TCP socket of its own, or its copy of a Unix socket.
//!
//! All workers have copies of one listening Unix socket (there is no SO_REUSEPORT for them): a new
//! connection wakes every worker that is idle, and the first one takes it. What comes out is a
//! `TcpStream` either way (`healthcheck::stream_of` says why), and an address: clients of a Unix
//! socket have none, see [`nowhere`].
//!
//! Cost: one accept per connection; over a Unix socket one more that finds nothing, per wake.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use healthcheck::stream_of;
use rustix::net::{SocketFlags, accept_with};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpStream};

use crate::l4::watch;

/// A listening socket of one worker.
#[derive(Debug)]
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(AsyncFd<OwnedFd>, Cell<u16>),
}

/// The same before a worker has it.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(StdTcpListener),
    Unix(OwnedFd),
}

/// The address of a client that has none: the unspecified one, which no client over IP has. The number
/// in place of its port tells connections apart, so that each is a flow of its own.
pub(crate) fn nowhere(number: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), number)
}

/// True for an address that stands for none.
pub(crate) fn is_nowhere(address: SocketAddr) -> bool {
    address.ip().is_unspecified()
}

impl Acceptor {
    /// For the runtime of this thread.
    ///
    /// # Errors
    /// When the runtime cannot watch it.
    pub(crate) fn new(listening: Listening) -> io::Result<Self> {
        Ok(match listening {
            Listening::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listening::Unix(listener) => Self::Unix(watch(listener)?, Cell::new(0)),
        })
    }

    /// The next connection.
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx),
            Self::Unix(listener, number) => loop {
                let mut guard = ready!(listener.poll_read_ready(cx))?;
                if let Ok(accepted) = guard.try_io(|listener| accept(listener.get_ref())) {
                    return Poll::Ready(accepted.and_then(|socket| client(socket, number)));
                }
            },
        }
    }

    /// Closes it: what still waits on it.
    pub(crate) fn rest(self) -> Vec<(TcpStream, SocketAddr)> {
        let mut rest = Vec::new();
        match self {
            // Straight from the kernel: the runtime may not have heard of the last ones yet.
            Self::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else {
                    return rest;
                };
                while let Ok((stream, peer)) = listener.accept() {
                    let stream = stream
                        .set_nonblocking(true)
                        .and_then(|()| TcpStream::from_std(stream));
                    rest.extend(stream.map(|stream| (stream, peer)));
                }
            }
            Self::Unix(listener, number) => {
                let listener = listener.into_inner();
                while let Ok(socket) = accept(&listener) {
                    rest.extend(client(socket, &number));
                }
            }
        }
        rest
    }
}

fn accept(listener: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(accept_with(listener, flags)?)
}

fn client(socket: OwnedFd, number: &Cell<u16>) -> io::Result<(TcpStream, SocketAddr)> {
    number.set(number.get().wrapping_add(1));
    Ok((stream_of(socket)?, nowhere(number.get())))
}
