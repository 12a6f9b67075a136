//! The process log: human lines on standard error.
//!
//! `POINTSMAN_LOG`, else `RUST_LOG`, else `info` sets what is written, in the syntax of
//! `tracing_subscriber::EnvFilter`: `warn`, `lb=debug,info`. The access log is the balancer's own.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. A filter that cannot be read is reported and `info` used.
pub(crate) fn start() {
    let asked = ["POINTSMAN_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let asked = asked.unwrap_or_else(|| "info".to_owned());
    let parsed = EnvFilter::try_new(&asked);
    let refused = parsed.as_ref().err().map(ToString::to_string);
    let started = tracing_subscriber::fmt()
        .with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // A full disk or a closed stderr must not end a worker.
        .log_internal_errors(false)
        .try_init();
    if let (Ok(()), Some(error)) = (started, refused) {
        tracing::warn!("log filter `{asked}` cannot be read ({error}); using `info`");
    }
}
