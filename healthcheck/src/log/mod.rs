//! The health check log: one JSON line for each probe's result and each change of state.
//!
//! Written to by the board, which never waits: a line that finds the queue full is dropped and counted.
//! The writer is a thread of its own, started with the first configuration that wants a log.

mod line;
mod writer;

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use conf::AccessLog;
use prometheus::IntCounter;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

pub(crate) use line::{Line, Subject};

/// Lines that may wait: seconds of what 10,000 targets say.
const LINES: usize = 8192;
/// How long the end waits for a destination that does not take its lines.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the writer is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    to: AccessLog,
    /// Grows when the file is to be opened anew.
    opened: u64,
    /// To write what waits, and end.
    ends: bool,
}

/// A line, or a nudge to look at what is wanted.
#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Look,
}

/// The board's end of the log.
#[derive(Debug)]
pub(crate) struct HealthLog {
    control: LogControl,
    on: bool,
    /// Until the writer is started.
    received: Option<Receiver<Message>>,
    /// Heard of when the writer has ended; `None` while there is none.
    ended: Option<oneshot::Receiver<()>>,
    dropped: IntCounter,
}

/// A hand on the log for other threads.
#[derive(Debug, Clone)]
pub(crate) struct LogControl {
    wanted: watch::Sender<Wanted>,
    messages: SyncSender<Message>,
}

/// A log that goes nowhere yet. `dropped` counts the lines that found no room.
pub(crate) fn new(dropped: IntCounter) -> HealthLog {
    let (messages, received) = sync_channel(LINES);
    let wanted = Wanted {
        to: AccessLog::Off,
        opened: 0,
        ends: false,
    };
    HealthLog {
        control: LogControl {
            wanted: watch::Sender::new(wanted),
            messages,
        },
        on: false,
        received: Some(received),
        ended: None,
        dropped,
    }
}

impl LogControl {
    /// Opens the file anew (after it was renamed).
    pub(crate) fn reopen(&self) {
        self.want(|wanted| wanted.opened += 1);
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_modify(change);
        // A full queue wakes the writer as well, and without one there is nothing to wake.
        let _busy = self.messages.try_send(Message::Look);
    }
}

impl HealthLog {
    /// A hand on it.
    pub(crate) fn control(&self) -> LogControl {
        self.control.clone()
    }

    /// Writes to `to` from now on.
    pub(crate) fn set(&mut self, to: &AccessLog) {
        self.on = *to != AccessLog::Off;
        if self.control.wanted.borrow().to == *to {
            return;
        }
        self.control.want(|wanted| wanted.to = to.clone());
        let Some(received) = self.received.take() else {
            return;
        };
        let wanted = self.control.wanted.subscribe();
        let thread = std::thread::Builder::new().name("health-log".to_owned());
        let (ends, ended) = oneshot::channel();
        let run = move || {
            writer::run(&received, wanted);
            // Nobody listens when the end was not waited for.
            let _unheard = ends.send(());
        };
        match thread.spawn(run) {
            Ok(_) => self.ended = Some(ended),
            Err(error) => {
                tracing::warn!(target: "health", %error, "no thread for the health check log");
                self.on = false;
            }
        }
    }

    /// Adds what `line` makes; does nothing while there is no log.
    pub(crate) fn add(&self, line: impl FnOnce() -> Line) {
        if !self.on {
            return;
        }
        let sent = self
            .control
            .messages
            .try_send(Message::Line(line().to_bytes()));
        if let Err(TrySendError::Full(_)) = sent {
            self.dropped.inc();
        }
    }

    /// Writes what waits, and ends the writer.
    pub(crate) async fn finish(self) {
        self.control.want(|wanted| wanted.ends = true);
        if let Some(ended) = self.ended {
            // What a stuck destination did not take is lost.
            let _stuck = timeout(PATIENCE, ended).await;
        }
    }
}

#[cfg(test)]
mod tests;
