//! Opening one address: a check that nobody else holds it, then one SO_REUSEPORT socket per worker.
//!
//! Called by `prepare`. Sockets are bound here and listen only from [`Opened::listen`] on, so a
//! prepared configuration that is dropped has accepted nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};

use conf::Diagnostic;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::holder::{Holder, holder_of};
use super::{Bind, SocketKey};

/// Connections the kernel keeps ready for one worker to accept; the kernel's own limit
/// (`net.core.somaxconn`, 4096 by default) applies too.
const BACKLOG: i32 = 4096;

/// One address opened for every worker, not listening yet.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) key: SocketKey,
    /// The address with its real port.
    pub(crate) bound: SocketAddr,
    sockets: Vec<Socket>,
}

impl Opened {
    /// Makes every socket listen: one per worker, non-blocking.
    ///
    /// # Errors
    /// When the kernel refuses, which takes another process that grabbed the address meanwhile.
    pub(crate) fn listen(self) -> io::Result<Vec<TcpListener>> {
        let listen = |socket: Socket| {
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        self.sockets.into_iter().map(listen).collect()
    }
}

/// Opens one address for `workers` workers.
///
/// # Errors
/// A diagnostic at the bind that says who holds the address, when that can be found out.
pub(super) fn open(bind: &Bind<'_>, workers: usize) -> Result<Opened, Box<Diagnostic>> {
    open_sockets(&bind.key, workers).map_err(|error| Box::new(explain(bind, &error)))
}

fn open_sockets(key: &SocketKey, workers: usize) -> io::Result<Opened> {
    let mut bound = key.address;
    if bound.port() != 0 {
        // With SO_REUSEPORT a second process of the same user would share the address silently.
        bind_one(bound, false)?;
    }
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = bind_one(bound, true)?;
        if let Some(address) = socket.local_addr()?.as_socket() {
            bound = address;
        }
        sockets.push(socket);
    }
    let key = key.clone();
    Ok(Opened {
        key,
        bound,
        sockets,
    })
}

/// A bound socket. What is set here is inherited by the connections it accepts: no syscall per
/// connection is needed for it.
fn bind_one(address: SocketAddr, shared: bool) -> io::Result<Socket> {
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

fn explain(bind: &Bind<'_>, error: &io::Error) -> Diagnostic {
    let (address, name) = (bind.address.value, &bind.listener.name);
    let cannot = format!("cannot listen on {address} for listener `{name}`");
    let span = bind.address.span;
    let diagnostic = match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => {
            let (who, help) = match holder_of(address) {
                Some(Holder { pid, name }) => (
                    format!("{name} (pid {pid}) listens there already"),
                    format!("end it (kill {pid}), or choose another port"),
                ),
                None => (
                    "another process listens there already".to_owned(),
                    format!(
                        "find it with `ss -ltnp 'sport = :{}'`, or choose another port",
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
