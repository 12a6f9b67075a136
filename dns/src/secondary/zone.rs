//! One secondary zone of the task: its timers, its copy, what is told of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::copy::ZoneCopy;
use super::fetch::{Fetched, What};
use super::machine::{Checked, Machine};
use super::{Event, Faults, SecondaryStatus, Settings, Statuses, store};
use crate::load::ZoneState;

/// One zone of the task.
pub(super) struct Zone {
    pub(super) settings: Settings,
    pub(super) machine: Machine,
    pub(super) copy: Option<Arc<ZoneCopy>>,
    status: SecondaryStatus,
}

impl Zone {
    pub(super) fn new(settings: Settings, now: Instant) -> Self {
        let status = SecondaryStatus::new(settings.primaries.iter().map(|peer| peer.address));
        let stored = settings.stored.clone();
        let machine = match &stored {
            Some((copy, good)) => {
                // A clock that was set back makes the copy no older than it is.
                let age = SystemTime::now()
                    .duration_since(*good)
                    .unwrap_or(Duration::ZERO);
                Machine::resume(copy.timers, age, now)
            }
            None => Machine::new(now),
        };
        let mut zone = Self {
            settings,
            machine,
            copy: stored.as_ref().map(|(copy, _)| copy.clone()),
            status,
        };
        zone.status.checked = stored.map(|(_, good)| good);
        zone
    }

    pub(super) fn expire(&mut self, events: &mpsc::UnboundedSender<Event>, statuses: &Statuses) {
        let (zone, expire) = (
            &self.settings.id,
            self.copy.as_ref().map(|c| c.timers.expire),
        );
        tracing::error!(
            zone,
            "no primary was heard for {} seconds: the copy is too old and is answered by SERVFAIL",
            expire.unwrap_or_default()
        );
        // The control task ends with this one.
        let _ = events.send(Event::Expired(self.settings.id.clone()));
        self.publish(statuses);
    }

    pub(super) fn fetched(
        &mut self,
        result: Result<Fetched, Faults>,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        let was_expired = self.machine.is_expired();
        let faults = match result {
            Ok(Fetched { from, what, faults }) => {
                self.status.from = Some(from);
                self.status.checked = Some(SystemTime::now());
                self.take(what, was_expired, events);
                faults
            }
            Err(faults) => {
                self.status.failed += 1;
                self.finish(Checked::Failed);
                faults
            }
        };
        let zone = &self.settings.id;
        for (from, fault) in &faults {
            tracing::warn!(zone, %from, "the zone was not copied: {fault}");
        }
        let told = faults
            .iter()
            .map(|(from, fault)| format!("{from}: {fault}"));
        let told: Vec<String> = told.chain(self.status.behind.take()).collect();
        self.status.error = (!told.is_empty()).then(|| told.join("; "));
    }

    fn take(&mut self, what: What, was_expired: bool, events: &mpsc::UnboundedSender<Event>) {
        let (copy, how) = match what {
            What::Current(serial) => {
                let Some(copy) = self.copy.clone() else {
                    return self.finish(Checked::Failed);
                };
                self.status.current += 1;
                if serial != copy.serial {
                    let ours = copy.serial;
                    self.status.behind = Some(format!(
                        "the primary's serial {serial} is before ours, {ours}: nothing is copied until it is past that"
                    ));
                }
                self.finish(Checked::Good(copy.timers));
                if let Err(error) = store::touch(&self.settings.file, SystemTime::now()) {
                    self.unsaved(&error);
                }
                if was_expired {
                    // The control task ends with this one, here and below.
                    let _ = events.send(Event::Copied(self.settings.id.clone(), copy));
                }
                return;
            }
            What::Changed(copy) => {
                self.status.changes += 1;
                (copy, "changes")
            }
            What::Whole(copy) => {
                self.status.whole += 1;
                (copy, "whole")
            }
        };
        let (zone, from) = (&self.settings.id, self.status.from);
        tracing::info!(zone, from = ?from, serial = copy.serial, records = copy.records.len(), "the zone was copied ({how})");
        if let Err(error) = store::write(&self.settings.file, &copy) {
            self.unsaved(&error);
        }
        let copy = Arc::new(copy);
        self.copy = Some(copy.clone());
        self.status.transferred = Some(SystemTime::now());
        self.finish(Checked::Good(copy.timers));
        let _ = events.send(Event::Copied(self.settings.id.clone(), copy));
    }

    fn unsaved(&self, error: &std::io::Error) {
        let (zone, file) = (&self.settings.id, self.settings.file.display());
        tracing::warn!(zone, %file, %error, "the copy is served and cannot be saved: a start without primaries would be without the zone");
    }

    fn finish(&mut self, outcome: Checked) {
        self.machine
            .checked(outcome, Instant::now(), rand::random());
    }

    /// Shows how the zone is.
    pub(super) fn publish(&self, statuses: &Statuses) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let when = |instant: Instant| wall + instant.saturating_duration_since(now);
        let mut status = self.status.clone();
        status.serial = self.copy.as_ref().map(|copy| copy.serial);
        status.state = match (&self.copy, self.machine.is_expired()) {
            (None, _) => ZoneState::Awaited,
            (Some(_), true) => ZoneState::Expired,
            (Some(_), false) => ZoneState::Good,
        };
        status.next_check = Some(when(self.machine.next_check()));
        status.expires = self.machine.expires().map(when);
        statuses.set(&self.settings.id, status);
    }
}
