//! The `pointsman` command: a local load balancer and an authoritative DNS server on one live
//! health state.
//!
//! This package is the only code that knows every crate: the command line (`cli`), the wiring of
//! threads, reload and shutdown (`run`), who is registered (`registration`), the admin surface
//! (`admin`) and the demonstration (`demo`). It holds no data path and decides no health.

mod admin;
mod cli;
mod demo;
mod moment;
mod registration;
mod run;

fn main() -> std::process::ExitCode {
    cli::main()
}
