//! UDP: flows between clients and targets.
//!
//! Each worker has its own socket on each address of a `udp` or `tcp-udp` listener; the kernel keeps
//! a client's datagrams on one of them by their addresses. A flow is a client address (and, on a
//! wildcard socket, the address it used) with one connected socket to its target, so that ICMP
//! errors are known to be its own. [`Datagrams`] is the I/O shell, [`table::FlowTable`] decides.
//!
//! ```text
//! client ── recvmmsg ─▶ Shell ── look-up, choose ─▶ flow's socket ── send ─▶ target
//!        ◀─ sendmmsg ──       ◀── recv ─────────── (one epoll set for all flows)
//! ```

mod batch;
mod clients;
mod connections;
mod flow;
mod held;
mod opening;
mod queued;
mod refusals;
mod shell;
mod sources;
mod table;
mod targets;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use batch::{Batch, receive_own_address};
pub(crate) use shell::Datagrams;
pub(crate) use sources::{SourcePlace, Sources};
pub(crate) use watch::watch;
