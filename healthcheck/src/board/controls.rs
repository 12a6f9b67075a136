//! Routing controls: turned by people through the handle, saved, followed by checks in the table
//! that is published next.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use conf::Config;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Core;
use super::publication::Urgency;
use crate::control::{Switch, Switchboard};
use crate::control_store::{self, ControlStore};
use crate::{ControlChange, ControlError, ControlStatus, SafetyRuleStatus};

/// What became of a change of routing controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlOutcome {
    /// The controls that were the other way before, by name.
    pub turned: Vec<String>,
    /// The generation of the health table that shows it.
    pub generation: u64,
    /// True once a restart will remember it.
    pub saved: bool,
}

/// The answer to a change: its outcome, and who says whether it was saved.
pub(super) type Turned = Result<(ControlOutcome, Option<oneshot::Receiver<bool>>), ControlError>;

/// The switches, and where they are kept.
#[derive(Debug)]
pub(super) struct Controls {
    board: Switchboard,
    store: Option<ControlStore>,
    /// Empty once the first configuration has been committed.
    recalled: HashMap<String, Switch>,
}

impl Controls {
    /// Reads what was saved. Must be made inside a `LocalSet`.
    pub(super) fn start(file: Option<PathBuf>) -> Self {
        let (store, recalled) = file.map(ControlStore::start).unzip();
        Self {
            board: Switchboard::default(),
            store,
            recalled: recalled.unwrap_or_default(),
        }
    }

    /// True while the control is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.board.is_on(name)
    }

    /// Everything as it stands.
    pub(super) fn status(&self) -> (Vec<ControlStatus>, Vec<SafetyRuleStatus>) {
        self.board.status()
    }

    /// Where changes are written, at the end.
    pub(super) fn take_store(&mut self) -> Option<ControlStore> {
        self.store.take()
    }
}

impl Core {
    /// Follows a configuration.
    pub(super) fn commit_controls(&mut self, config: &Config) {
        let recalled = std::mem::take(&mut self.controls.recalled);
        let board = &mut self.controls.board;
        let left = board.configure(config, &recalled, SystemTime::now());
        for name in left {
            self.metrics.forget_control(&name);
        }
        for (name, switch) in board.switches() {
            self.metrics.control(name, switch.on);
        }
    }

    /// Turns what a change asks for, or nothing; what was turned is published at once.
    pub(super) fn turn(&mut self, change: &ControlChange) -> Turned {
        let now = Instant::now();
        let place = match &self.controls.store {
            None => None,
            Some(store) => Some(store.place().ok_or(ControlError::Busy)?),
        };
        let turned = match self.controls.board.change(change, now, SystemTime::now()) {
            Ok(turned) => turned,
            Err(error) => {
                if let ControlError::Refused(refusals) = &error {
                    refusals
                        .iter()
                        .for_each(|(rule, _)| self.metrics.refused(rule));
                    tracing::warn!(target: "health", %error, "routing controls stay as they are");
                }
                return Err(error);
            }
        };
        let overridden = change.overrides.join(", ");
        let switches = self.controls.board.switches();
        for name in &turned {
            let on = self.controls.board.is_on(name);
            let to = if on { "on" } else { "off" };
            self.metrics.control(name, on);
            tracing::info!(target: "health", control = &**name, to, overridden, "routing control turned");
        }
        let unchanged = turned.is_empty();
        let saved = place.filter(|_| !unchanged).map(|place| {
            let (reply, saved) = oneshot::channel();
            place.send((control_store::to_bytes(switches), reply));
            saved
        });
        self.publication.request(Urgency::Now, now);
        self.publish_if_due(now);
        let outcome = ControlOutcome {
            turned: turned.iter().map(|name| name.to_string()).collect(),
            generation: self.publication.table().generation(),
            saved: unchanged && self.controls.store.is_some(),
        };
        Ok((outcome, saved))
    }
}
