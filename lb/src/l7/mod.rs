//! HTTP: the codec, and the exchange that carries a request to a target and its response back.
//!
//! The worker hands each connection of an `http` listener to [`serve`]. One task per client
//! connection drives both sides; idle connections to targets and buffers are kept per worker in
//! [`State`].

pub mod desync;
pub mod headers;
pub mod http1;
pub mod http2;

mod action;
mod buffer;
mod client_connection;
mod connection_cache;
mod deadline;
mod dispatch;
mod error_pages;
mod exchange;
mod failure;
mod log_text;
mod pace;
mod record;
mod remember;
mod request;
mod request_body;
mod response_relay;
mod stickiness;
mod upgrade;
mod warmth;

pub(crate) use client_connection::serve;
pub(crate) use error_pages::ErrorPages;
pub(crate) use http2::{ClientStream as Http2ClientStream, TargetStream as Http2TargetStream};
pub(crate) use pace::Limits as PaceLimits;

/// What one worker's HTTP connections share.
#[derive(Debug, Default)]
pub(crate) struct State {
    buffers: buffer::BufferStack,
    connections: connection_cache::ConnectionCache,
    http2: http2::Pool,
    held: request_body::HeldBytes,
    cookies: crate::sticky::Memory,
    warmth: warmth::Warmth,
}
