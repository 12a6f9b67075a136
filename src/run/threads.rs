//! OS threads: all named, each with a current-thread runtime of its own.
//!
//! Workers carry both planes' futures; the board has a thread of its own, so that probes are timely
//! while workers are busy; the control thread is `nice` by 10, the one of DNS's own control is not.
//! A thread that ends before it was
//! told to is reported, and the process ends: half a process must not look like a whole one.

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use crate::cli::Failure;

/// How much nicer the control thread is than the workers.
const CONTROL_NICE: i32 = 10;
/// Parsing of large zones and nothing else; two may overlap, a reload and a status.
const MAX_BLOCKING_THREADS: usize = 2;
/// How often a thread that should end is looked at.
const JOIN_STEP: Duration = Duration::from_millis(5);

/// The threads of one process, the control thread apart.
#[derive(Debug)]
pub(super) struct Threads {
    running: Vec<(String, JoinHandle<()>)>,
    ended: mpsc::UnboundedSender<String>,
}

impl Threads {
    /// No thread yet; names of threads that end come out of the receiver.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (ended, names) = mpsc::unbounded_channel();
        let running = Vec::new();
        (Self { running, ended }, names)
    }

    /// Starts a thread whose work is the future that `work` makes on it.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub(super) fn spawn<F>(
        &mut self,
        name: String,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(), Failure>
    where
        F: Future<Output = ()> + 'static,
    {
        let farewell = Farewell(name.clone(), self.ended.clone());
        let body = move || {
            let _farewell = farewell;
            match runtime() {
                Ok(runtime) => LocalSet::new().block_on(&runtime, async { work().await }),
                Err(error) => tracing::error!("no event loop for a thread: {error}"),
            }
        };
        let spawned = Builder::new().name(name.clone()).spawn(body);
        let handle = spawned
            .map_err(|error| Failure::from_error(format!("cannot start thread {name}"), &error))?;
        self.running.push((name, handle));
        Ok(())
    }

    /// Waits for every thread, at most `patience`; names those that did not end.
    pub(super) async fn join(self, patience: Duration) -> Vec<String> {
        let deadline = Instant::now() + patience;
        let mut left = self.running;
        loop {
            left.retain(|(_, handle)| !handle.is_finished());
            if left.is_empty() || Instant::now() >= deadline {
                return left.into_iter().map(|(name, _)| name).collect();
            }
            sleep(JOIN_STEP).await;
        }
    }
}

/// Says that a thread ended, by return or by panic.
struct Farewell(String, mpsc::UnboundedSender<String>);

impl Drop for Farewell {
    fn drop(&mut self) {
        // At the end of the process nobody listens any more.
        let _ = self.1.send(self.0.clone());
    }
}

/// Runs `work` on a thread named `control`, nicer than the others.
pub(super) fn spawn_control(
    work: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<JoinHandle<Result<(), Failure>>, Failure> {
    let spawned = Builder::new().name("control".to_owned()).spawn(work);
    spawned.map_err(|error| Failure::from_error("cannot start the control thread", &error))
}

/// Makes the calling thread nicer. On Linux that is the thread's own affair, and threads it starts
/// inherit it: call this after the workers were started.
pub(super) fn be_nice() {
    if let Err(error) = rustix::process::nice(CONTROL_NICE) {
        tracing::debug!("the control thread keeps its priority: {error}");
    }
}

/// The event loop of one thread.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_ends_is_named_whether_it_returned_or_panicked() {
        let (mut threads, mut names) = Threads::new();
        threads.spawn("calm".to_owned(), || async {}).unwrap();
        assert_eq!(names.recv().await.as_deref(), Some("calm"));
        let panics = || async { assert!(std::hint::black_box(false), "on purpose") };
        threads.spawn("upset".to_owned(), panics).unwrap();
        assert_eq!(names.recv().await.as_deref(), Some("upset"));
        let none: Vec<String> = Vec::new();
        assert_eq!(threads.join(Duration::from_secs(10)).await, none);
    }

    #[tokio::test]
    async fn joining_gives_up_and_names_who_did_not_end() {
        let (mut threads, _names) = Threads::new();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let waits = move || async { drop(ended.await) };
        threads.spawn("stubborn".to_owned(), waits).unwrap();
        assert_eq!(threads.join(Duration::ZERO).await, ["stubborn"]);
        drop(end);
    }
}
