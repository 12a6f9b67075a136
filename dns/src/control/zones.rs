//! Zones that change by themselves: copies of secondary zones come, and get too old.
//!
//! Part of the control task. The task of secondary zones runs on a thread of its own, which is
//! started with the first configuration that has such a zone; what it tells is compiled and
//! published here.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::Control;
use crate::forward;
use crate::load::{ZoneSource, ZoneState};
use crate::policy::Routes;
use crate::secondary::{self, Command, Event, Held, Settings};
use crate::snapshot::Snapshot;

impl Control {
    /// Takes over the secondary zones of a configuration that was committed.
    pub(super) fn configure(&mut self, settings: Vec<Settings>) {
        if settings.is_empty() && self.secondaries.is_none() {
            return;
        }
        let before = self.shared.copies.load_full();
        let mut copies = HashMap::new();
        for zone in &settings {
            let stored = zone.stored.as_ref().map(|(copy, _)| Held {
                copy: copy.clone(),
                state: self
                    .parts
                    .zone(&zone.id)
                    .map_or(ZoneState::Good, |zone| zone.state),
            });
            let kept = before.get(&zone.id).cloned().or(stored);
            if let Some(held) = kept.filter(|held| held.copy.origin == zone.origin) {
                copies.insert(zone.id.clone(), held);
            }
        }
        let copies = Arc::new(copies);
        self.shared.copies.store(copies.clone());
        // Copies that came while the configuration was prepared.
        for (id, held) in copies.iter() {
            let newer = |zone: &ZoneSource| {
                zone.serial != held.copy.serial
                    || zone.state == ZoneState::Awaited
                    || (zone.state != held.state && held.state == ZoneState::Expired)
            };
            if before.contains_key(id) && self.parts.zone(id).is_some_and(newer) {
                self.put(id, held);
            }
        }
        self.start_secondaries();
        if let Some(task) = &self.secondaries {
            // It ends with this one.
            let _ = task.send(Command::Configure(
                settings,
                self.compiled.transfers.clone(),
            ));
        }
    }

    /// Starts the thread that asks other servers, with the first rule.
    pub(super) fn start_forwarding(&mut self) {
        if self.compiled.rules.is_empty() {
            return;
        }
        if let Some(queue) = self.forwards_queue.take() {
            start("dns-forward", move || forward::run(queue));
        }
    }

    fn start_secondaries(&mut self) {
        let Some(notified) = self.notified_queue.take() else {
            return;
        };
        let (commands, received) = mpsc::unbounded_channel();
        let (events, statuses) = (self.events.clone(), self.shared.statuses.clone());
        let work = move || secondary::run(received, notified, events, statuses);
        if start("dns-transfer", work) {
            self.secondaries = Some(commands);
        }
    }

    /// Serves what the task of secondary zones tells.
    pub(super) fn changed(&mut self, event: Event) {
        let (id, held) = match event {
            Event::Copied(id, copy) => {
                let state = ZoneState::Good;
                (id, Held { copy, state })
            }
            Event::Expired(id) => {
                let Some(held) = self.shared.copies.load().get(&id).cloned() else {
                    return;
                };
                let state = ZoneState::Expired;
                (id, Held { state, ..held })
            }
        };
        self.put(&id, &held);
        let mut copies = HashMap::clone(&self.shared.copies.load());
        copies.insert(id, held);
        self.shared.copies.store(Arc::new(copies));
    }

    /// Compiles and publishes a zone's copy.
    fn put(&mut self, id: &str, held: &Held) {
        let Some(zone) = self.parts.zone(id) else {
            return;
        };
        if zone.origin != held.copy.origin {
            return;
        }
        let mut zone = zone.clone();
        held.fill(&mut zone);
        self.serve_zone(zone);
    }

    /// Compiles and publishes another content of a zone.
    pub(super) fn serve_zone(&mut self, zone: ZoneSource) {
        let before = self.compiled.routes.clone();
        self.compiled = self.compiled.replacing(&mut self.parts, zone);
        self.publish_zones(&before);
    }

    /// Publishes zones that were compiled anew, and routes if they are not those of before.
    pub(super) fn publish_zones(&mut self, before: &Arc<Routes>) {
        if Arc::ptr_eq(before, &self.compiled.routes) {
            let current = self.shared.snapshot.load_full();
            let snapshot = Snapshot {
                zones: self.compiled.zones.clone(),
                transfers: self.compiled.transfers.clone(),
                ..Snapshot::clone(&current)
            };
            self.publish(snapshot);
            let health = self.shared.explainer.load().health.clone();
            self.explain(&health);
        } else {
            self.publish_anew();
        }
        self.show_status();
        self.tell_peers();
    }
}

/// Starts a thread with an event loop of its own; false, and said, when the system refuses.
fn start<F: Future<Output = ()>>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
) -> bool {
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => LocalSet::new().block_on(&runtime, async { work().await }),
            Err(error) => tracing::error!(thread = name, %error, "no event loop for a thread"),
        }
    };
    let started = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body);
    if let Err(error) = &started {
        tracing::error!(thread = name, %error, "cannot start a thread");
    }
    started.is_ok()
}
