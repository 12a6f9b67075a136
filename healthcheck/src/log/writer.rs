//! The writer of the health check log: takes lines off the queue, and is the only one that may wait for
//! where they go.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::mpsc::Receiver;

use conf::AccessLog;
use tokio::sync::watch;

use super::{Message, Wanted};

/// Bytes of one write call.
const BATCH: usize = 256 * 1024;

/// Where lines go.
enum Destination {
    Nowhere,
    Stdout,
    File(File),
}

/// Writes until it is to end.
pub(super) fn run(messages: &Receiver<Message>, mut wanted: watch::Receiver<Wanted>) {
    // Cloned: opening may wait, and whoever changes what is wanted must not wait for that.
    let first = wanted.borrow_and_update().clone();
    let mut destination = open(&first.to);
    let mut batch = Vec::new();
    let mut failing = false;
    while let Ok(first) = messages.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            if let Message::Line(line) = message {
                batch.extend_from_slice(&line);
            }
            next = (batch.len() < BATCH)
                .then(|| messages.try_recv().ok())
                .flatten();
        }
        // What was said before the log was moved goes where it was to go.
        let written = destination.write(&batch);
        batch.clear();
        if let (Err(error), false) = (&written, failing) {
            tracing::warn!(target: "health", %error, "health check log cannot be written; lines are lost");
        }
        failing = written.is_err();
        if wanted.has_changed().unwrap_or(true) {
            let now = wanted.borrow_and_update().clone();
            if now.ends {
                messages.try_iter().for_each(|message| {
                    if let Message::Line(line) = message {
                        batch.extend_from_slice(&line);
                    }
                });
                // Nobody is left to be told.
                let _lost = destination.write(&batch);
                return;
            }
            destination = open(&now.to);
        }
    }
}

fn open(to: &AccessLog) -> Destination {
    match to {
        AccessLog::Off => Destination::Nowhere,
        AccessLog::Stdout => Destination::Stdout,
        AccessLog::File(path) => match OpenOptions::new().create(true).append(true).open(path) {
            Ok(file) => Destination::File(file),
            Err(error) => {
                let path = path.display();
                tracing::warn!(target: "health", %path, %error, "health check log cannot be opened; lines are lost");
                Destination::Nowhere
            }
        },
    }
}

impl Destination {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            _ if bytes.is_empty() => Ok(()),
            Self::Nowhere => Ok(()),
            Self::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File(file) => file.write_all(bytes),
        }
    }
}
