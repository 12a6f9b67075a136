//! Shutdown, in named phases.
//!
//! withdraw (/readyz 503, own listeners leave DNS) > shutdown-delay (still accepting) > stop
//! accepting > grace (work in hand goes on) > close > DNS last. A second signal ends the process at
//! once. The admin surface answers until the end.

use std::time::Duration;

use super::control::{Phase, Signals};
use super::start::Process;
use crate::cli::Failure;

/// Threads have nothing left to do by then.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

/// Ends the process in good order.
pub(super) async fn shut_down(
    process: Process,
    cause: &str,
    signals: &mut Signals,
) -> Result<(), Failure> {
    tokio::select! {
        () = orderly(process, cause) => Ok(()),
        name = signals.ending() => {
            Err(Failure::Failed(format!("{name} during shutdown: ended at once")))
        }
    }
}

async fn orderly(process: Process, cause: &str) {
    let view = process.admin.view();
    let runtime = &view.config.runtime;
    let planes = &process.planes;
    tracing::info!("shutdown ({cause}): withdrawing: /readyz answers 503, listeners leave DNS");
    process.phase.send_replace(Phase::Stopping);
    planes.dns.withdraw_listeners();
    if !runtime.shutdown_delay.is_zero() {
        let delay = crate::moment::span(runtime.shutdown_delay);
        tracing::info!("shutdown: still accepting for shutdown-delay, {delay}");
        tokio::time::sleep(runtime.shutdown_delay).await;
    }
    let grace = crate::moment::span(runtime.grace);
    tracing::info!("shutdown: no longer accepting; work in hand has grace, {grace}");
    planes.lb.stop_accepting();
    planes.lb.finish(runtime.grace).await;
    tracing::info!("shutdown: traffic has ended; stopping DNS and probes");
    planes.dns.stop().await;
    planes.board.shutdown().await;
    process.surface.abort();
    // The abort takes effect, and the socket file goes, once the task is polled.
    let _ = process.surface.await;
    let left = process.threads.join(JOIN_PATIENCE).await;
    for thread in left {
        tracing::warn!("shutdown: thread {thread} did not end and is abandoned");
    }
    tracing::info!("shutdown: done");
}
