//! Listening sockets: their identity, which of them are open, and how they are opened.
//!
//! The control plane's: `prepare` opens what a configuration adds, `commit` makes it listen and
//! hands one socket to each worker. Sockets are known by protocol and address, never by a
//! listener's name, so that a reload re-points them without closing. All are TCP so far.

mod bind;
mod descriptors;
mod holder;

use std::collections::HashMap;
use std::net::SocketAddr;

use conf::{Config, Diagnostic, Listener, Spanned};

pub(crate) use bind::Opened;
pub use descriptors::Descriptors;

/// A listening socket's identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    /// The address as configured; port 0 = the kernel chooses.
    pub(crate) address: SocketAddr,
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
    pub(crate) address: &'a Spanned<SocketAddr>,
}

/// Every bind of a configuration, in its order.
pub(crate) fn binds(config: &Config) -> Vec<Bind<'_>> {
    let mut chosen_by_kernel: HashMap<SocketAddr, u16> = HashMap::new();
    let mut binds = Vec::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        for address in &listener.binds {
            let mut ordinal = 0;
            if address.port() == 0 {
                let next = chosen_by_kernel.entry(address.value).or_default();
                ordinal = *next;
                *next = next.saturating_add(1);
            }
            let key = SocketKey {
                address: address.value,
                ordinal,
            };
            binds.push(Bind {
                key,
                listener,
                index,
                address,
            });
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
    open: &HashMap<SocketKey, SocketAddr>,
    workers: usize,
) -> Result<Vec<Opened>, Vec<Diagnostic>> {
    let missing = binds(config);
    let missing = missing.iter().filter(|bind| !open.contains_key(&bind.key));
    let mut opened = Vec::new();
    let mut problems = Vec::new();
    for bind in missing {
        match bind::open(bind, workers) {
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
