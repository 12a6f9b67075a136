//! QUIC without terminating it: what connection IDs say of where a datagram belongs.
//!
//! Pure; the UDP shell asks. Public for the fuzz bodies only.

mod connection_ids;
mod header;
mod learned;
mod server_id;

pub(crate) use connection_ids::{ConnectionIds, Known};
pub use header::Header;
pub(crate) use learned::Learned;
pub use server_id::ServerIdFormat;

/// Longest connection ID of the QUIC versions there are (RFC 9000 section 17.2); the invariants
/// allow 255 bytes (RFC 8999).
pub const MAX_ID: usize = 20;
