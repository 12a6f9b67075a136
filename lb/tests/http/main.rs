//! The HTTP data path end to end: a real balancer on loopback between raw sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod balancer;
mod client;
mod frames;
mod target;

mod bodies;
mod closing;
mod conformance;
mod desync;
mod endings;
mod headers;
mod http2;
mod http2_attacks;
mod http2_refusals;
mod http2_targets;
mod http2_tunnels;
mod jwt;
mod keep_alive;
mod limits;
mod rates;
mod refusals;
mod retries;
mod rules;
mod timeouts;
mod upgrades;
