//! Listening sockets: their identity, which of them are open, and how they are opened.
//!
//! The control plane's: `prepare` opens what a configuration adds, `commit` makes it listen and
//! hands one socket to each worker. Sockets are known by protocol and address, never by a
//! listener's name, so that a reload re-points them without closing.

mod acceptor;
mod bind;
mod descriptors;
mod holder;
mod owner;
mod unix;

use std::collections::HashMap;

use conf::{Address, Config, Diagnostic, Listener, ListenerProtocol, Span};

pub(crate) use acceptor::{Acceptor, Listening, is_nowhere};
pub(crate) use bind::{Opened, Ready};
pub use descriptors::Descriptors;
pub(crate) use unix::SocketFile;

/// What a socket carries; Unix sockets carry streams, as TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// Those of a listener's protocol; TCP first.
    fn of(protocol: ListenerProtocol) -> impl Iterator<Item = Self> {
        let tcp = protocol.takes_streams().then_some(Self::Tcp);
        let udp = protocol.takes_datagrams().then_some(Self::Udp);
        tcp.into_iter().chain(udp)
    }
}

/// A listening socket's identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    pub(crate) transport: Transport,
    /// The address as configured; port 0 = the kernel chooses.
    pub(crate) address: Address,
    /// Tells apart several binds of one address with port 0: their place among each other.
    pub(crate) ordinal: u16,
}

/// A configured bind and the socket it belongs to.
#[derive(Debug)]
pub(crate) struct Bind<'a> {
    pub(crate) key: SocketKey,
    pub(crate) listener: &'a Listener,
    /// The listener's place in the configuration.
    pub(crate) index: usize,
    /// Where it stands.
    pub(crate) span: Span,
}

/// Every bind of a configuration, in its order; over TCP before UDP where a listener takes both,
/// with one ordinal for the two.
pub(crate) fn binds(config: &Config) -> Vec<Bind<'_>> {
    let mut chosen_by_kernel: HashMap<Address, u16> = HashMap::new();
    let mut binds = Vec::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        let ip = listener.binds.iter();
        let ip = ip.map(|bind| (Address::Ip(bind.value), bind.span));
        let unix = listener.unix.names.iter();
        let unix = unix.map(|name| (Address::Unix(name.value), name.span));
        for (address, span) in ip.chain(unix) {
            let mut ordinal = 0;
            if address.port() == Some(0) {
                let next = chosen_by_kernel.entry(address).or_default();
                ordinal = *next;
                *next = next.saturating_add(1);
            }
            for transport in Transport::of(listener.protocol) {
                let key = SocketKey {
                    transport,
                    address,
                    ordinal,
                };
                binds.push(Bind {
                    key,
                    listener,
                    index,
                    span,
                });
            }
        }
    }
    binds
}

/// Opens the sockets that `config` needs and `open` does not hold; all or none.
///
/// # Errors
/// One diagnostic for each address that cannot be bound; what was opened is closed again.
pub(crate) fn open_missing(
    config: &Config,
    open: &HashMap<SocketKey, Address>,
    workers: usize,
) -> Result<Vec<Opened>, Vec<Diagnostic>> {
    let all = binds(config);
    let (kept, missing): (Vec<_>, Vec<_>) =
        (all.iter()).partition(|bind| open.contains_key(&bind.key));
    let mut opened: Vec<Opened> = Vec::new();
    let mut problems: Vec<_> = kept.into_iter().filter_map(bind::misowned).collect();
    for bind in missing {
        let twin = SocketKey {
            transport: Transport::Tcp,
            ..bind.key.clone()
        };
        let both = bind.listener.protocol.takes_streams() && bind.key.transport == Transport::Udp;
        let twin = both.then(|| {
            let just_opened = opened.iter().find(|opened| opened.key == twin);
            let port = just_opened.map(|opened| opened.bound.port());
            port.or_else(|| open.get(&twin).map(|bound| bound.port()))
        });
        match bind::open(bind, twin.flatten().flatten(), workers) {
            Ok(sockets) => opened.push(sockets),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        Ok(opened)
    } else {
        Err(problems)
    }
}
