//! The writer thread: drains the rings to standard output or a file.
//!
//! Started once per process; ends when [`LogControl::close`] is called or dropped. It batches: after
//! a round that moved something it rests 20 ms, after one that moved nothing it sleeps until a
//! worker or a command wakes it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::sync::mpsc;
use std::thread::Thread;
use std::time::Duration;

use conf::AccessLog;
use tokio::sync::oneshot;

use super::ring::{LogRing, Shared};
use crate::metrics::{PerWorker, WorkerCounters};

/// Bytes a worker's ring holds: about 1000 records.
const RING_BYTES: usize = 256 * 1024;

/// Rest between two rounds while records keep coming: one write call carries many of them.
const BATCH: Duration = Duration::from_millis(20);

enum Command {
    Move(Destination),
    Reopen,
    Close(oneshot::Sender<()>),
}

enum Destination {
    Nowhere,
    Stdout,
    File(PathBuf, File),
}

/// The control plane's hand on the log.
#[derive(Debug, Clone)]
pub(crate) struct LogControl {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    writer: Thread,
}

/// Starts the writer and makes one ring per worker.
///
/// # Errors
/// When the file cannot be opened or the thread not be started.
pub(crate) fn start(
    log: &AccessLog,
    workers: usize,
    counters: &PerWorker<WorkerCounters>,
) -> std::io::Result<(LogControl, Vec<LogRing>)> {
    let destination = Destination::open(log)?;
    let shared = Arc::new(Shared::default());
    let (commands, received) = mpsc::channel();
    let (producers, consumers): (Vec<_>, Vec<_>) = (0..workers)
        .map(|_| rtrb::RingBuffer::new(RING_BYTES))
        .unzip();
    let writer = Writer {
        rings: consumers,
        destination: Destination::Nowhere,
        commands: received,
        shared: shared.clone(),
        batch: Vec::with_capacity(RING_BYTES),
        failing: false,
    };
    let thread = std::thread::Builder::new().name("access-log".to_owned());
    let writer = thread.spawn(move || writer.run())?.thread().clone();
    let control = LogControl {
        commands,
        shared: shared.clone(),
        writer: writer.clone(),
    };
    control.move_to(destination);
    let ring = |(worker, producer)| {
        LogRing::new(
            producer,
            shared.clone(),
            writer.clone(),
            counters.clone(),
            worker,
        )
    };
    Ok((
        control,
        producers.into_iter().enumerate().map(ring).collect(),
    ))
}

impl LogControl {
    /// Sends further records to another place.
    ///
    /// # Errors
    /// When the file cannot be opened; records then go on to where they went.
    pub(crate) fn set(&self, log: &AccessLog) -> std::io::Result<()> {
        self.move_to(Destination::open(log)?);
        Ok(())
    }

    /// Opens the file anew (after it was renamed).
    pub(crate) fn reopen(&self) {
        self.send(Command::Reopen);
    }

    /// Writes what is in the rings and ends the writer.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.send(Command::Close(done));
        // An error says that the writer has ended already.
        let _ = closed.await;
    }

    fn move_to(&self, destination: Destination) {
        let enabled = !matches!(destination, Destination::Nowhere);
        self.shared.enabled.store(enabled, Ordering::Relaxed);
        self.send(Command::Move(destination));
    }

    fn send(&self, command: Command) {
        // An error says that the writer has ended: nothing to do then.
        let _ = self.commands.send(command);
        self.writer.unpark();
    }
}

impl Destination {
    fn open(log: &AccessLog) -> std::io::Result<Self> {
        Ok(match log {
            AccessLog::Off => Self::Nowhere,
            AccessLog::Stdout => Self::Stdout,
            AccessLog::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                Self::File(path.clone(), file)
            }
        })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File(_, file) => file.write_all(bytes),
        }
    }
}

struct Writer {
    rings: Vec<rtrb::Consumer<u8>>,
    destination: Destination,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    batch: Vec<u8>,
    /// Set by the first write that failed, so that it is told once.
    failing: bool,
}

impl Writer {
    /// Takes records before commands and writes them after: a record made after the log was moved
    /// is then never written to the old place.
    fn run(mut self) {
        loop {
            self.collect();
            let mut closed = None;
            loop {
                match self.commands.try_recv() {
                    Ok(Command::Move(destination)) => self.destination = destination,
                    Ok(Command::Reopen) => self.reopen(),
                    Ok(Command::Close(done)) => closed = Some(done),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            let moved = self.write_batch();
            if let Some(done) = closed {
                self.collect();
                self.write_batch();
                // An error says that nobody waits for the end any more.
                let _ = done.send(());
                return;
            }
            if moved {
                std::thread::park_timeout(BATCH);
            } else {
                self.sleep();
            }
        }
    }

    /// Waits for a record or a command. A command sent meanwhile leaves an unpark token, so the
    /// park returns at once.
    fn sleep(&self) {
        self.shared.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.rings.iter().all(|ring| ring.slots() == 0) {
            std::thread::park();
        }
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    /// Moves what the rings hold to the batch.
    fn collect(&mut self) {
        self.batch.clear();
        for ring in &mut self.rings {
            if let Ok(chunk) = ring.read_chunk(ring.slots()) {
                let (first, second) = chunk.as_slices();
                self.batch.extend_from_slice(first);
                self.batch.extend_from_slice(second);
                chunk.commit_all();
            }
        }
    }

    /// Writes the batch; true when there was anything.
    fn write_batch(&mut self) -> bool {
        if self.batch.is_empty() {
            return false;
        }
        let result = self.destination.write(&self.batch);
        if let (Err(error), false) = (&result, self.failing) {
            tracing::warn!(%error, "access log cannot be written; records are lost");
        }
        self.failing = result.is_err();
        true
    }

    fn reopen(&mut self) {
        let Destination::File(path, _) = &self.destination else {
            return;
        };
        match Destination::open(&AccessLog::File(path.clone())) {
            Ok(destination) => self.destination = destination,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "access log cannot be reopened");
            }
        }
    }
}
