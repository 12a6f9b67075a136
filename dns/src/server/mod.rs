//! The sockets: UDP threads, TCP on the workers, and the table of what is bound.
//!
//! Everything here reads the one published snapshot and knows nothing of zones or health.

pub(crate) mod batch;
pub(crate) mod bind;
mod holder;
pub(crate) mod order;
pub(crate) mod tcp;
pub(crate) mod udp;
