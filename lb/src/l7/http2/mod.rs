//! HTTP/2 on the way in: frames and streams are the h2 crate's, messages are this program's own.
//!
//! A stream stands to the exchange as an HTTP/1.1 connection with one request would
//! ([`ClientStream`]): its head is written as HTTP/1.1 text and judged by the one codec, so rules,
//! retries, limits and logs exist once, and nothing can be said in HTTP/2 that the codec would not let
//! through in HTTP/1.1.

mod body_in;
mod body_out;
mod client_stream;
mod connection;
mod meter;
mod request_head;
mod response_head;
mod wire;

pub(crate) use client_stream::ClientStream;
pub(crate) use connection::{jittered, serve};
pub use meter::{Excess as Http2Excess, Meter as Http2Meter};
