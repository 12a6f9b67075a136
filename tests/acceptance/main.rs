//! What Pointsman is for, seen through the real binary by real clients and real services.
//!
//! Needs the Debian packages that `./test` installs: python3, wrk, postgresql, dig, curl. Every
//! test has addresses of its own within 127.0.0.0/8 and ends what it started.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod agent_limit;
mod ejection;
mod health;
mod http_failover;
mod name_server;
mod node;
mod pointsman;
mod ports;
mod postgresql;
mod probed;
mod process;
mod proxy_protocol;
mod registration;
mod request_hash;
mod retries;
mod services;
mod shares;
mod stickiness;
mod tcp;
mod transfers;
