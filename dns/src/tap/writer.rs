//! The thread that empties the rings: lines to a file or standard output, frames to dnstap.
//!
//! Started by the control task when a configuration first asks for either; told of changes by
//! commands. Looks every 20 ms while something is recorded, twice a second otherwise.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use conf::{AccessLog, QueryLog};
use tokio::sync::oneshot;

use super::dnstap::Sink;
use super::{Flags, Recorded, text};
use crate::snapshot::Snapshot;

const BUSY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(500);

/// What the writer is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A thread records into this.
    Ring(rtrb::Consumer<u8>),
    /// Write to these from now on, as this server.
    Set(Option<QueryLog>, Option<PathBuf>, String),
    /// Open the file anew (after it was renamed).
    Reopen,
    /// Write what is there and end.
    Close(oneshot::Sender<()>),
}

/// The thread's state.
pub(crate) struct Writer {
    commands: mpsc::Receiver<Command>,
    flags: Arc<Flags>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    rings: Vec<rtrb::Consumer<u8>>,
    log: Option<Log>,
    tap: Option<Sink>,
    identity: String,
    lines: String,
    failing: bool,
}

struct Log {
    settings: QueryLog,
    /// None: standard output.
    file: Option<File>,
}

impl Writer {
    /// A writer that writes nowhere yet.
    pub(crate) fn new(
        commands: mpsc::Receiver<Command>,
        flags: Arc<Flags>,
        snapshot: Arc<ArcSwap<Snapshot>>,
    ) -> Self {
        Self {
            commands,
            flags,
            snapshot,
            rings: Vec::new(),
            log: None,
            tap: None,
            identity: String::new(),
            lines: String::new(),
            failing: false,
        }
    }

    /// Runs until it is closed or nobody is left to tell it anything.
    pub(crate) fn run(mut self) {
        loop {
            let wait = if self.log.is_some() || self.tap.is_some() {
                BUSY
            } else {
                IDLE
            };
            match self.commands.recv_timeout(wait) {
                Ok(Command::Close(done)) => {
                    self.drain();
                    // An error says that nobody waits for the end any more.
                    let _ = done.send(());
                    return;
                }
                Ok(command) => {
                    // What was recorded before goes where it was to go.
                    self.drain();
                    self.follow(command);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            self.drain();
        }
    }

    fn follow(&mut self, command: Command) {
        match command {
            Command::Ring(ring) => {
                self.rings.push(ring);
                // What it holds may have stirred the writer before it knew of the ring.
                self.flags.stirred.store(true, Ordering::Relaxed);
            }
            Command::Reopen => {
                if let Some(log) = self.log.take() {
                    self.log = open(log.settings);
                }
            }
            Command::Set(log, tap, identity) => {
                self.identity = identity;
                if self.log.as_ref().map(|log| &log.settings) != log.as_ref() {
                    self.log = log.and_then(open);
                }
                if self.tap.as_ref().map(Sink::path) != tap.as_deref() {
                    self.tap = tap.map(Sink::new);
                }
            }
            Command::Close(_) => {}
        }
    }

    fn drain(&mut self) {
        if !self.flags.stirred.swap(false, Ordering::Acquire) {
            return;
        }
        let snapshot = self.snapshot.load_full();
        let mut bytes = Vec::new();
        for ring in &mut self.rings {
            bytes.clear();
            if let Ok(chunk) = ring.read_chunk(ring.slots()) {
                let (first, second) = chunk.as_slices();
                bytes.extend_from_slice(first);
                bytes.extend_from_slice(second);
                chunk.commit_all();
            }
            let mut rest = bytes.as_slice();
            while let Some((recorded, after)) = Recorded::split(rest) {
                rest = after;
                if let Some(log) = &self.log {
                    let edge = if self.identity.is_empty() {
                        "-"
                    } else {
                        &self.identity
                    };
                    let format = log.settings.format;
                    text::line(&mut self.lines, &recorded, format, edge, &snapshot);
                }
                if let Some(tap) = &mut self.tap {
                    tap.add(&recorded, &self.identity);
                }
            }
        }
        self.write();
        if let Some(tap) = &mut self.tap {
            tap.flush();
        }
    }

    fn write(&mut self) {
        if let Some(log) = &mut self.log {
            let written = match &mut log.file {
                Some(file) => file.write_all(self.lines.as_bytes()),
                None => std::io::stdout().lock().write_all(self.lines.as_bytes()),
            };
            if let (Err(error), false) = (&written, self.failing) {
                tracing::warn!(%error, "the query log cannot be written; lines are lost");
            }
            self.failing = written.is_err();
        }
        self.lines.clear();
    }
}

fn open(settings: QueryLog) -> Option<Log> {
    let file = match &settings.destination {
        AccessLog::Off => return None,
        AccessLog::Stdout => None,
        AccessLog::File(path) => match OpenOptions::new().create(true).append(true).open(path) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the query log cannot be opened");
                return None;
            }
        },
    };
    Some(Log { settings, file })
}
