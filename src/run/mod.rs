//! Wiring: threads, start, reload and shutdown of a serving process.
//!
//! Called by `run`, `quick` and `demo`. The control thread owns everything that is not a data path:
//! it starts the planes, applies configurations, serves the admin surface, minds signals and ends
//! it all. The thread that called waits.

mod capacity;
mod control;
pub(crate) mod folder;
pub(crate) mod holder;
pub(crate) mod logging;
mod memory;
mod register;
mod reload;
mod shutdown;
mod start;
mod threads;

pub(crate) use control::{Phase, ReloadRequest};
pub(crate) use start::Started;

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use crate::cli::Failure;

/// Serves a file until a signal ends it.
pub(crate) fn serve(file: &Path) -> Result<(), Failure> {
    start(file)?.wait()
}

/// A serving process.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) started: Started,
    control: std::thread::JoinHandle<Result<(), Failure>>,
}

/// Starts serving a file; returns when every listener accepts.
pub(crate) fn start(file: &Path) -> Result<Running, Failure> {
    let (report, reported) = mpsc::sync_channel(1);
    let file: PathBuf = file.to_owned();
    let control = threads::spawn_control(move || control::run(&file, &report))?;
    match reported.recv() {
        Ok(started) => Ok(Running { started, control }),
        // The control thread ended without a report: its own result says why.
        Err(mpsc::RecvError) => Err(match joined(control) {
            Err(failure) => failure,
            Ok(()) => Failure::Failed("ended by a signal while starting".to_owned()),
        }),
    }
}

impl Running {
    /// Waits until the process has been ended.
    pub(crate) fn wait(self) -> Result<(), Failure> {
        joined(self.control)
    }
}

fn joined(thread: std::thread::JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    thread
        .join()
        .unwrap_or_else(|_| Err(Failure::Failed("the control thread panicked".to_owned())))
}
