//! TLS: ended at listeners, begun to targets.
//!
//! The worker hands an accepted connection to [`serve`] once the PROXY header is read; the data paths
//! then read clear text from a [`TlsStream`] as from any other stream.
//! Settings are made when a configuration is prepared and shared by all workers; nothing here takes
//! a lock per connection.

mod certificates;
mod client_hello;
mod clients;
mod failure;
mod local_ca;
mod passthrough;
mod policy;
mod scratch;
mod serve;
mod session;
mod shelf;
mod stream;
mod target;
mod terminator;
mod tickets;

pub use client_hello::{ClientHello, Fault as ClientHelloFault, Progress as ClientHelloProgress};
pub use clients::ClientIdentity;
pub(crate) use failure::HandshakeFailure;
pub use failure::HandshakeReason;
pub use local_ca::{LocalCa, LocalCaError};
pub(crate) use passthrough::serve as serve_passthrough;
pub(crate) use scratch::Scratch;
pub(crate) use serve::serve;
pub(crate) use session::Session;
pub(crate) use shelf::Refreshes;
pub(crate) use stream::TlsStream;
pub use target::TargetTls;
pub(crate) use terminator::{Terminator, terminators};
pub(crate) use tickets::{TicketKeys, now};

/// The TLS of listeners, by their place in the configuration.
pub(crate) type Terminators = std::collections::HashMap<usize, std::sync::Arc<Terminator>>;
