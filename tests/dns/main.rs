//! The DNS server of the real binary, asked by real programs: dig, nsupdate, other servers.
//!
//! Every port is 0; addresses come from `status --json`. Traffic stays on loopback, or in a network
//! namespace that the test makes and removes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod basics;
mod dig;
mod flood;
mod forward;
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
#[path = "../cli/harness.rs"]
mod harness;
mod hints;
mod liars;
mod namespace;
#[path = "../acceptance/ports.rs"]
mod ports;
mod primaries;
mod private;
mod recording;
mod secondaries;
mod updates;
