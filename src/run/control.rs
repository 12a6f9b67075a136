//! The control loop: applies configurations and obeys signals, one at a time.
//!
//! Runs on the control thread beside the planes' own control futures and the admin surface, from
//! start to end. A reload that fails changes nothing; only a signal or a lost thread ends the loop.

use std::path::Path;
use std::sync::mpsc::SyncSender;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::reload::Outcome;
use super::start::{Process, Started};
use super::{shutdown, start, threads};
use crate::cli::Failure;
use crate::registration::ChangeRequest;

/// What the process is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Serving.
    Serving,
    /// Shutting down, from the first signal on.
    Stopping,
}

/// A reload asked for by the API; answered when it was applied or refused.
pub(crate) type ReloadRequest = oneshot::Sender<Outcome>;

/// The signals the process obeys.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    fn catch() -> Result<Self, Failure> {
        let catch = |kind| {
            signal(kind).map_err(|error| Failure::from_error("cannot catch signals", &error))
        };
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
            user1: catch(SignalKind::user_defined1())?,
        })
    }

    /// The next signal.
    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::End("SIGTERM"),
            _ = self.interrupt.recv() => Caught::End("SIGINT"),
            _ = self.hangup.recv() => Caught::Reload,
            _ = self.user1.recv() => Caught::ReopenLogs,
        }
    }

    /// The next signal that ends the process: its name.
    pub(super) async fn ending(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// What a signal asks for.
enum Caught {
    /// End; the signal's name.
    End(&'static str),
    /// Read the file again.
    Reload,
    /// Open log files anew.
    ReopenLogs,
}

/// Serves `file` on the calling thread until a signal ends it; reports once when serving began.
pub(super) fn run(file: &Path, report: &SyncSender<Started>) -> Result<(), Failure> {
    let runtime = threads::runtime()
        .map_err(|error| Failure::from_error("cannot start the control thread", &error))?;
    let result = LocalSet::new().block_on(&runtime, async {
        let signals = Signals::catch()?;
        let (process, mut inbox) = start::start(file).await?;
        // The receiver waits for exactly this; it cannot have gone.
        let _ = report.send(process.started());
        serve(process, &mut inbox, signals).await
    });
    runtime.shutdown_background();
    result
}

/// What the control loop listens to besides signals.
pub(super) struct Inbox {
    /// Reloads asked for by the API.
    pub(super) reloads: mpsc::Receiver<ReloadRequest>,
    /// Targets that the API registers and deregisters.
    pub(super) registrations: mpsc::Receiver<ChangeRequest>,
    /// Names of threads that ended.
    pub(super) ended: mpsc::UnboundedReceiver<String>,
}

impl Inbox {
    /// Takes nothing more: whoever asks is told that the process ends.
    fn close(&mut self) {
        self.reloads.close();
        self.registrations.close();
    }
}

async fn serve(
    mut process: Process,
    inbox: &mut Inbox,
    mut signals: Signals,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            caught = signals.next() => match caught {
                Caught::End(name) => {
                    inbox.close();
                    return shutdown::shut_down(process, name, &mut signals).await;
                }
                Caught::Reload => {
                    process.reload("SIGHUP").await;
                }
                Caught::ReopenLogs => process.reopen_logs(),
            },
            Some(answer) = inbox.reloads.recv() => {
                let outcome = process.reload("API").await;
                // Whoever asked may have gone; the log has it as well.
                let _ = answer.send(outcome);
            }
            Some(request) = inbox.registrations.recv() => {
                let outcome = process.change_registrations(&request).await;
                let _ = request.answer.send(outcome);
            }
            () = process.registry.changed() => process.follow_sources().await,
            Some(thread) = inbox.ended.recv() => {
                tracing::error!("thread {thread} ended unexpectedly: shutting down");
                inbox.close();
                shutdown::shut_down(process, "a lost thread", &mut signals).await?;
                return Err(Failure::Failed(format!("thread {thread} ended unexpectedly")));
            }
        }
    }
}
