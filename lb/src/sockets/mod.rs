//! Listening sockets: their identity, and (in `bind`) how they are opened.

/// A listening socket's identity: the address as configured, never a listener's name, so that a
/// socket stays open when a reload gives it to another listener. All sockets are TCP so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    /// The address as configured; port 0 = the kernel chooses.
    pub(crate) address: std::net::SocketAddr,
    /// Tells apart several binds of one address with port 0: their place among each other.
    pub(crate) ordinal: u16,
}
