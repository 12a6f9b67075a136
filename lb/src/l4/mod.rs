//! Layer 4: TCP and UDP flows.
//!
//! The worker hands each connection of a `tcp` listener to [`serve`], and each of its sockets for
//! datagrams to [`Datagrams`]; HTTP's upgraded connections use [`Copy`] as well. Knows
//! nothing of HTTP.

mod buffer;
mod copy;
pub mod quic;
mod splice;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use buffer::CopyBuffer;
pub(crate) use copy::{Copy, Room};
pub(crate) use quic::ConnectionIds;
pub(crate) use splice::{MAX_PIPES, PipePool};
pub(crate) use tcp::{serve, serve_asked};
pub(crate) use udp::{Batch, Datagrams, SourcePlace, Sources, receive_own_address, watch};
