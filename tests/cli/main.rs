//! The real binary, from the outside: commands, serving, changes, shutdown, the admin guard.
//!
//! Every port of a listener is 0; addresses come from `status --json`. Targets are the binary's own sample
//! services. Traffic stays on loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod connection_log;
mod controls;
mod demo;
mod dns;
mod error_pages;
mod guard;
mod harness;
mod health_log;
mod mutual;
mod operate;
mod past_requests;
#[path = "../acceptance/ports.rs"]
mod ports;
mod reload;
mod rules;
mod shutdown;
mod surface;
mod time_limits;
mod tls;
mod tls_sessions;
