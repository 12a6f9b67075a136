//! The `pointsman` command: a local load balancer and an authoritative DNS server on one live
//! health state.
//!
//! This package is the only code that knows every crate: the command line (`cli`), the wiring of
//! threads, reload and shutdown (`run`), who is registered (`registration`), the admin surface
//! (`admin`), round-trip times on their way from one plane to the other (`latencies`), the
//! demonstration (`demo`) and what takes other programs' files over (`import`). It holds no data path and decides no health.

mod admin;
mod cli;
mod demo;
mod import;
mod latencies;
mod moment;
mod registration;
mod run;

/// Streams of HTTP/2 are made of many small objects, and their tasks are aligned to cache lines, which
/// the C library's allocator has to search room for. An idle connection is a sixth smaller, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
