//! Opening one address: a check that nobody else holds it, then one SO_REUSEPORT socket per worker.
//!
//! Called by `prepare`. TCP sockets are bound here and listen only from [`Opened::listen`] on, so a
//! prepared configuration that is dropped has accepted nothing; UDP sockets receive from here on,
//! and what they received is lost with them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use conf::{Address, Diagnostic, UnixName};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::acceptor::Listening;
use super::holder::{Holder, holder_of};
use super::owner;
use super::unix::{self, Fault};
use super::{Bind, SocketFile, SocketKey, Transport};
use crate::l4::receive_own_address;

/// Bytes of datagrams that may wait for a worker: some 5,000 small ones, by what the kernel counts
/// for each.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Bytes of answers that may wait for the network.
const SEND_BUFFER: usize = 4 << 20;

/// One address opened for every worker, not listening yet.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) key: SocketKey,
    /// The address with its real port.
    pub(crate) bound: Address,
    /// One per worker; of a Unix socket one for all.
    sockets: Vec<Socket>,
    /// Of a Unix socket that has one.
    file: Option<SocketFile>,
    workers: usize,
    /// Connections the kernel keeps ready for one worker to accept; its own limit
    /// (`net.core.somaxconn`, 4096 by default) applies too.
    backlog: i32,
}

/// A socket for one worker, non-blocking.
#[derive(Debug)]
pub(crate) enum Ready {
    /// It listens.
    Streams(Listening),
    /// It receives.
    Datagrams(UdpSocket),
}

impl Opened {
    /// Makes every stream socket listen: one for each worker, and the file of a Unix socket, which is
    /// where clients look for it from then on.
    ///
    /// # Errors
    /// When the kernel refuses, which takes another process that grabbed the address meanwhile.
    pub(crate) fn listen(self) -> io::Result<(Vec<Ready>, Option<SocketFile>)> {
        if let Address::Unix(name) = self.key.address {
            return self.listen_unix(name);
        }
        let (transport, backlog) = (self.key.transport, self.backlog);
        let listen = |socket: Socket| match transport {
            Transport::Tcp => {
                socket.listen(backlog)?;
                Ok(Ready::Streams(Listening::Tcp(socket.into())))
            }
            Transport::Udp => Ok(Ready::Datagrams(socket.into())),
        };
        let sockets: io::Result<_> = self.sockets.into_iter().map(listen).collect();
        Ok((sockets?, None))
    }

    fn listen_unix(mut self, name: UnixName) -> io::Result<(Vec<Ready>, Option<SocketFile>)> {
        let mut ready = Vec::with_capacity(self.workers);
        for socket in &self.sockets {
            socket.listen(self.backlog)?;
            for _ in 0..self.workers {
                let copy = OwnedFd::from(socket.try_clone()?);
                ready.push(Ready::Streams(Listening::Unix(copy)));
            }
        }
        if let (Some(file), Some(path)) = (&mut self.file, name.path()) {
            file.publish(path)?;
        }
        Ok((ready, self.file))
    }
}

/// Opens one address for `workers` workers. `port`: the one to take where the file says 0.
///
/// # Errors
/// A diagnostic at the bind that says who holds the address, when that can be found out.
pub(super) fn open(
    bind: &Bind<'_>,
    port: Option<u16>,
    workers: usize,
) -> Result<Opened, Box<Diagnostic>> {
    let (bound, sockets, file) = match bind.key.address {
        Address::Ip(address) => {
            let opened = open_sockets(bind.key.transport, address, port, workers);
            let (bound, sockets) = opened.map_err(|error| explain(bind, address, &error))?;
            (bound.into(), sockets, None)
        }
        Address::Unix(name) => {
            let opened = unix::bind(name, &bind.listener.unix);
            let (socket, file) = opened.map_err(|fault| explain_unix(bind, &fault))?;
            (bind.key.address, vec![socket], file)
        }
    };
    Ok(Opened {
        key: bind.key.clone(),
        bound,
        sockets,
        file,
        workers,
        backlog: i32::try_from(bind.listener.backlog).unwrap_or(i32::MAX),
    })
}

/// A socket for each worker, and the address with its real port.
fn open_sockets(
    transport: Transport,
    mut bound: SocketAddr,
    port: Option<u16>,
    workers: usize,
) -> io::Result<(SocketAddr, Vec<Socket>)> {
    if bound.port() == 0 {
        bound.set_port(port.unwrap_or(0));
    }
    if bound.port() != 0 {
        // With SO_REUSEPORT a second process of the same user would share the address silently.
        bind_one(transport, bound, false)?;
    }
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = bind_one(transport, bound, true)?;
        if let Some(address) = socket.local_addr()?.as_socket() {
            bound = address;
        }
        sockets.push(socket);
    }
    Ok((bound, sockets))
}

fn bind_one(transport: Transport, address: SocketAddr, shared: bool) -> io::Result<Socket> {
    match transport {
        Transport::Tcp => bind_tcp(address, shared),
        Transport::Udp => bind_udp(address, shared),
    }
}

/// A bound socket for datagrams; on a wildcard address it tells where each was sent to.
fn bind_udp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // No SO_REUSEADDR: for UDP it would let anybody else in.
    socket.set_reuse_port(shared)?;
    // Bursts of many clients at once fit; the kernel grants what `net.core.rmem_max` allows.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    if address.ip().is_unspecified() {
        receive_own_address(&socket, address.is_ipv6())?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A bound socket. What is set here is inherited by the connections it accepts: no syscall per
/// connection is needed for it.
fn bind_tcp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Without it connections in TIME_WAIT would keep a restarted process from its own address.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// What is wrong with the owner of a socket that is open already.
pub(super) fn misowned(bind: &Bind<'_>) -> Option<Diagnostic> {
    bind.key.address.unix()?;
    let who = owner::ids(&bind.listener.unix.owner).err()?;
    Some(explain_unix(bind, &Fault::NoOwner(who)))
}

fn explain_unix(bind: &Bind<'_>, fault: &Fault) -> Diagnostic {
    let (address, name) = (bind.key.address, &bind.listener.name);
    let cannot = format!("cannot listen on {address} for listener `{name}`");
    let (code, why, help) = match fault {
        Fault::Taken(Some(Holder { pid, name })) => (
            "address-in-use",
            format!("{name} (pid {pid}) listens there already"),
            format!("end it (kill {pid}), or choose another path"),
        ),
        Fault::Taken(None) => (
            "address-in-use",
            "another process listens there already".to_owned(),
            "find it with `ss -xlp`, or choose another path".to_owned(),
        ),
        Fault::NoSocket => (
            "address-in-use",
            "something else than a socket is there".to_owned(),
            "choose another path, or remove it".to_owned(),
        ),
        Fault::NoFolder(folder) => (
            "address-not-available",
            format!("there is no folder {}", folder.display()),
            format!("make it: `mkdir -p {}`", folder.display()),
        ),
        Fault::NoOwner(who) => (
            "unknown-owner",
            who.clone(),
            "name one that is there in `unix-owner`, or write its number".to_owned(),
        ),
        Fault::NotGiven(error) => (
            "owner-not-permitted",
            format!("its file cannot be given to `unix-owner`: {error}"),
            "give the program CAP_CHOWN, or name a group that it is in".to_owned(),
        ),
        Fault::System(error) if error.kind() == io::ErrorKind::PermissionDenied => (
            "address-not-permitted",
            "the system does not permit it".to_owned(),
            "choose a folder that the user this runs as may write to".to_owned(),
        ),
        Fault::System(error) => (
            "address-not-bound",
            error.to_string(),
            "choose another path".to_owned(),
        ),
    };
    Diagnostic::error(code, bind.span, format!("{cannot}: {why}"))
        .help(help)
        .consequence("clients of this listener would find nobody, or somebody else")
}

fn explain(bind: &Bind<'_>, address: SocketAddr, error: &io::Error) -> Diagnostic {
    let name = &bind.listener.name;
    let cannot = format!("cannot listen on {address} for listener `{name}`");
    let span = bind.span;
    let (flag, udp) = match bind.key.transport {
        Transport::Tcp => ("t", ""),
        Transport::Udp => ("u", " over UDP"),
    };
    let cannot = format!("{cannot}{udp}");
    let diagnostic = match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => {
            let (who, help) = match holder_of(bind.key.transport, address) {
                Some(Holder { pid, name }) => (
                    format!("{name} (pid {pid}) listens there already"),
                    format!("end it (kill {pid}), or choose another port"),
                ),
                None => (
                    "another process listens there already".to_owned(),
                    format!(
                        "find it with `ss -l{flag}np 'sport = :{}'`, or choose another port",
                        address.port()
                    ),
                ),
            };
            Diagnostic::error("address-in-use", span, format!("{cannot}: {who}")).help(help)
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            let message = format!("{cannot}: the system does not permit it");
            let help = "choose a port above 1023, or give the program CAP_NET_BIND_SERVICE";
            Diagnostic::error("address-not-permitted", span, message).help(help)
        }
        Some(Errno::ADDRNOTAVAIL) => {
            let message = format!("{cannot}: no interface of this machine has the address");
            let help = "use an address that `ip address` lists, or 0.0.0.0 or [::] for all of them";
            Diagnostic::error("address-not-available", span, message).help(help)
        }
        _ => Diagnostic::error("address-not-bound", span, format!("{cannot}: {error}")),
    };
    diagnostic.consequence("clients of this listener would find nobody, or somebody else")
}
