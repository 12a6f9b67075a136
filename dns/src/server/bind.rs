//! Binding: UDP and TCP on one address, one socket of each per thread, exclusively.
//!
//! Called when a configuration is prepared. The first socket is bound without SO_REUSEPORT, so
//! that another program (or a second process of this one) holding the address is found out and
//! named; only then is it opened to the sockets of our own threads. Port 0 gets one free port for
//! both protocols. Closing is dropping.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use conf::{Diagnostic, Spanned};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::receive_packet_info;
use super::holder;

/// How often a free port is looked for that both protocols can have.
const FREE_PORT_ATTEMPTS: usize = 16;
/// Connections the kernel may hold that were not accepted yet.
const BACKLOG: i32 = 1024;
/// Bytes of datagrams the kernel may hold for one socket; it may grant less.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The sockets of one configured address.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// The address with its real port.
    pub(crate) address: SocketAddr,
    /// One for each UDP thread.
    pub(crate) udp: Vec<UdpSocket>,
    /// One for each TCP worker.
    pub(crate) tcp: Vec<TcpListener>,
}

/// Binds `address` for so many threads of each kind.
///
/// # Errors
/// A diagnostic at the address's place in the file.
pub(crate) fn bind(
    address: &Spanned<SocketAddr>,
    udp: usize,
    tcp: usize,
) -> Result<Sockets, Box<Diagnostic>> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match bind_once(address.value, udp, tcp) {
            Ok(sockets) => return Ok(sockets),
            Err(failure)
                if address.port() == 0
                    && attempts < FREE_PORT_ATTEMPTS
                    && failure.error.kind() == io::ErrorKind::AddrInUse => {}
            Err(failure) => return Err(Box::new(failure.diagnostic(address))),
        }
    }
}

struct Failure {
    protocol: Protocol,
    error: io::Error,
}

impl Failure {
    fn diagnostic(self, address: &Spanned<SocketAddr>) -> Diagnostic {
        let (name, tcp) = match self.protocol {
            Protocol::TCP => ("TCP", true),
            _ => ("UDP", false),
        };
        let error = Diagnostic::error(
            "dns-bind-failed",
            address.span,
            format!("cannot bind {name} {}: {}", address.value, self.error),
        )
        .consequence("no DNS query to this address would be answered");
        match self.error.kind() {
            io::ErrorKind::AddrInUse => match holder::of(address.value, tcp) {
                Some(holder) => error.help(format!(
                    "it is held by {holder}; stop that or choose another port"
                )),
                None => error.help("another program holds it; stop that or choose another port"),
            },
            io::ErrorKind::PermissionDenied => {
                error.help("ports below 1024 need CAP_NET_BIND_SERVICE; or choose a higher port")
            }
            io::ErrorKind::AddrNotAvailable => {
                error.help("this machine does not have the address; give it one it has")
            }
            _ => error,
        }
    }
}

fn bind_once(address: SocketAddr, udp: usize, tcp: usize) -> Result<Sockets, Failure> {
    let failed = |protocol| move |error| Failure { protocol, error };
    let first = exclusive(address, Protocol::UDP).map_err(failed(Protocol::UDP))?;
    let real = bound_address(&first).map_err(failed(Protocol::UDP))?;
    let udp = shared(first, real, Protocol::UDP, udp).map_err(failed(Protocol::UDP))?;
    let first = exclusive(real, Protocol::TCP).map_err(failed(Protocol::TCP))?;
    let tcp = shared(first, real, Protocol::TCP, tcp).map_err(failed(Protocol::TCP))?;
    for socket in &tcp {
        let listen = socket
            .listen(BACKLOG)
            .and_then(|()| socket.set_nonblocking(true));
        listen.map_err(failed(Protocol::TCP))?;
    }
    Ok(Sockets {
        address: real,
        udp: udp.into_iter().map(UdpSocket::from).collect(),
        tcp: tcp.into_iter().map(TcpListener::from).collect(),
    })
}

/// The first socket of an address: fails when anybody else holds it.
fn exclusive(address: SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    let socket = open(address, protocol)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// `first` and as many more as make `count`. SO_REUSEPORT is set on the first only once it is
/// bound: whoever else asks for the address meanwhile is refused.
fn shared(
    first: Socket,
    address: SocketAddr,
    protocol: Protocol,
    count: usize,
) -> io::Result<Vec<Socket>> {
    first.set_reuse_port(true)?;
    let mut sockets = vec![first];
    for _ in 1..count {
        let socket = open(address, protocol)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn open(address: SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    let kind = match protocol {
        Protocol::TCP => Type::STREAM,
        _ => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if protocol == Protocol::TCP {
        // Connections of an earlier run in TIME_WAIT do not keep the address.
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
    } else {
        // More is better, less is no failure.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        if address.ip().is_unspecified() {
            receive_packet_info(&socket, address.is_ipv6())?;
        }
        never_trust_path_mtu(&socket, address.is_ipv6())?;
    }
    Ok(socket)
}

/// Keeps forged ICMP messages from making answers fragment: they are small enough as they are.
fn never_trust_path_mtu(socket: &Socket, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::OMIT)?;
    } else {
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::OMIT)?;
    }
    Ok(())
}

fn bound_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the socket has no IP address"))
}

#[cfg(test)]
mod tests;
