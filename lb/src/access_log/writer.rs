//! The writer thread: drains the rings to standard output or files.
//!
//! Started once per process; ends when [`LogControl::close`] is called or dropped. It batches: after
//! a round that moved something it rests 20 ms, or until a ring is half full; after one that moved
//! nothing it sleeps until a worker or a command wakes it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc;
use std::thread::Thread;
use std::time::Duration;

use conf::{AccessLog, LogFormat, Logs};
use tokio::sync::oneshot;

use super::ring::{ACCESS, CONNECTION, FLOW, LANES, LogRing, RING_BYTES, Shared, rest};
use crate::metrics::{PerWorker, WorkerCounters};

/// Rest between two rounds while records keep coming: one write call carries many of them.
const BATCH: Duration = Duration::from_millis(20);

enum Command {
    /// Where the lane of this number goes to.
    Move(usize, Destination),
    Reopen,
    Close(oneshot::Sender<()>),
}

enum Destination {
    Nowhere,
    Stdout,
    File(PathBuf, File),
}

/// The control plane's hand on the logs.
#[derive(Debug, Clone)]
pub(crate) struct LogControl {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    writer: Thread,
}

/// Starts the writer, with flows in the access log, and makes the rings of each worker.
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
    let mut lanes: [Lane; LANES] = std::array::from_fn(|_| Lane::default());
    let mut producers: Vec<[_; LANES]> = Vec::with_capacity(workers);
    for _ in 0..workers {
        producers.push(lanes.each_mut().map(|lane| {
            let (producer, consumer) = rtrb::RingBuffer::new(RING_BYTES);
            lane.rings.push(consumer);
            producer
        }));
    }
    let writer = Writer {
        lanes,
        commands: received,
        shared: shared.clone(),
    };
    let thread = std::thread::Builder::new().name("access-log".to_owned());
    let writer = thread.spawn(move || writer.run())?.thread().clone();
    let control = LogControl {
        commands,
        shared: shared.clone(),
        writer: writer.clone(),
    };
    control.move_to(ACCESS, destination);
    let ring = |(worker, producers)| {
        LogRing::new(
            producers,
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
    /// Sends further records to other places.
    ///
    /// # Errors
    /// When a file cannot be opened; records then go on to where they went.
    pub(crate) fn set(&self, logs: &Logs) -> std::io::Result<()> {
        let access = Destination::open(&logs.access)?;
        let flow = logs.flow.as_ref().map(Destination::open).transpose()?;
        let connection = Destination::open(&logs.connection)?;
        let set = |flag: &AtomicBool, value| flag.store(value, Ordering::Relaxed);
        let as_aws = logs.format == LogFormat::Aws;
        set(&self.shared.exchanges_as_aws, as_aws);
        self.shared.sample.store(logs.sample, Ordering::Relaxed);
        set(
            &self.shared.flows_as_aws,
            logs.flow_format == LogFormat::Aws,
        );
        set(
            &self.shared.connections_as_aws,
            logs.connection_format == LogFormat::Aws,
        );
        set(&self.shared.flows_apart, flow.is_some());
        self.move_to(ACCESS, access);
        self.move_to(FLOW, flow.unwrap_or(Destination::Nowhere));
        self.move_to(CONNECTION, connection);
        Ok(())
    }

    /// Opens the files anew (after they were renamed).
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

    fn move_to(&self, lane: usize, destination: Destination) {
        let enabled = !matches!(destination, Destination::Nowhere);
        if let Some(flag) = self.shared.enabled.get(lane) {
            flag.store(enabled, Ordering::Relaxed);
        }
        self.send(Command::Move(lane, destination));
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

/// The rings of all workers that go to one place.
struct Lane {
    rings: Vec<rtrb::Consumer<u8>>,
    destination: Destination,
    batch: Vec<u8>,
    /// Set by the first write that failed, so that it is told once.
    failing: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            rings: Vec::new(),
            destination: Destination::Nowhere,
            batch: Vec::new(),
            failing: false,
        }
    }
}

impl Lane {
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
            tracing::warn!(%error, "access, flow or connection log cannot be written; records are lost");
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
                tracing::warn!(%error, path = %path.display(), "log cannot be reopened");
            }
        }
    }
}

struct Writer {
    lanes: [Lane; LANES],
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
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
                    Ok(Command::Move(lane, destination)) => {
                        if let Some(lane) = self.lanes.get_mut(lane) {
                            lane.destination = destination;
                        }
                    }
                    Ok(Command::Reopen) => self.lanes.iter_mut().for_each(Lane::reopen),
                    Ok(Command::Close(done)) => closed = Some(done),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            let moved = self.write();
            if let Some(done) = closed {
                self.collect();
                self.write();
                // An error says that nobody waits for the end any more.
                let _ = done.send(());
                return;
            }
            if moved {
                self.shared.rest.store(rest::GATHERING, Ordering::Relaxed);
                std::thread::park_timeout(BATCH);
                self.shared.rest.store(rest::AWAKE, Ordering::Relaxed);
            } else {
                self.sleep();
            }
        }
    }

    fn collect(&mut self) {
        self.lanes.iter_mut().for_each(Lane::collect);
    }

    /// True when there was anything to write.
    fn write(&mut self) -> bool {
        let written = self.lanes.each_mut().map(Lane::write_batch);
        written.contains(&true)
    }

    /// Waits for a record or a command. A command sent meanwhile leaves an unpark token, so the
    /// park returns at once.
    fn sleep(&self) {
        self.shared.rest.store(rest::ASLEEP, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut rings = self.lanes.iter().flat_map(|lane| &lane.rings);
        if rings.all(|ring| ring.slots() == 0) {
            std::thread::park();
        }
        self.shared.rest.store(rest::AWAKE, Ordering::Relaxed);
    }
}
