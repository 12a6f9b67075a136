//! Layer 4: TCP flows.
//!
//! The worker hands each connection of a `tcp` listener to [`serve`]; HTTP's upgraded connections
//! use [`Copy`](copy::Copy) as well. Knows nothing of HTTP.

mod buffer;
mod copy;
mod splice;
mod tcp;
#[cfg(test)]
mod tests;

pub use buffer::CopyBuffer;
pub(crate) use splice::{MAX_PIPES, PipePool};
pub(crate) use tcp::serve;
