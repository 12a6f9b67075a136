//! HTTP/2, on both sides: frames and streams are the h2 crate's, messages are this program's own.
//!
//! A stream stands to the exchange as an HTTP/1.1 connection with one request would
//! ([`ClientStream`]): its head is written as HTTP/1.1 text and judged by the one codec, so rules,
//! retries, limits and logs exist once, and nothing can be said in HTTP/2 that the codec would not let
//! through in HTTP/1.1. A stream to a target is the same the other way round ([`TargetStream`]).

mod body_in;
mod body_out;
mod client_stream;
mod connection;
mod ended;
mod grpc;
mod link;
mod meter;
mod parting;
mod pool;
mod reach;
mod request_head;
mod response_head;
mod target_stream;
mod wire;

pub(crate) use client_stream::ClientStream;
pub(crate) use connection::{jittered, serve};
pub(super) use grpc::write_answer as write_grpc_answer;
pub use meter::{Excess as Http2Excess, Meter as Http2Meter};
pub(crate) use pool::Pool;
pub(super) use reach::status_of;
pub use request_head::request_text;
pub(crate) use target_stream::TargetStream;
