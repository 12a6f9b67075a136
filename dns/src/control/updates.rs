//! Updates carried out (RFC 2136): on the zone's records, in its journal, in what is served, and only
//! then confirmed.
//!
//! The control task gathers updates that wait together and hands them, with what they change, to the
//! blocking pool: journals wait for the disk, and a change that reaches far compiles its zone anew. Until
//! it has them back it takes up nothing else that changes zones; health is followed meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use conf::{RecordType, Serial};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Control;
use crate::clock::Clock;
use crate::compile::{Compiled, Parts};
use crate::load::{ParsedRecord, ZoneSource};
use crate::secondary::incoming::serial_of;
use crate::server::order::Order;
use crate::transfer::content::{is_newer, set_serial};
use crate::updates::delta::{Delta, MOST, Step};
use crate::updates::process::{Content, Refused};
use crate::updates::{Current, Settings, Updated, journal, lay_over};
use crate::wire::Rcode;
use crate::zone::layer;

/// Updates carried out together at most.
const TOGETHER: usize = 64;
/// Steps after which a journal is written anew, unless it holds more records than that.
const STEPS: usize = 1000;

/// An order with what came of it.
type Outcome = (Order, Result<(), Refused>);

/// Updates being carried out.
pub(crate) type Updating = JoinHandle<Box<Work>>;

/// What updates are carried out on.
pub(crate) struct Work {
    compiled: Compiled,
    parts: Parts,
    updates: HashMap<String, Updated>,
    steps_written: HashMap<String, usize>,
    orders: HashMap<String, Vec<Order>>,
    outcomes: Vec<(String, Outcome)>,
    changed: bool,
}

/// Waits for updates that are being carried out; for ever when there are none.
pub(super) async fn carried_out(updating: &mut Option<Updating>) -> Option<Box<Work>> {
    match updating {
        Some(task) => task.await.ok(),
        None => std::future::pending().await,
    }
}

impl Control {
    /// Begins with an update and those that wait behind it.
    pub(super) fn update(&mut self, first: Order) {
        let mut orders: HashMap<String, Vec<Order>> = HashMap::new();
        let waiting = std::iter::from_fn(|| self.orders_queue.try_recv().ok());
        for order in std::iter::once(first).chain(waiting).take(TOGETHER) {
            let of_zone = orders.entry(order.zone().to_owned()).or_default();
            of_zone.push(order);
        }
        let mut work = Box::new(Work {
            compiled: self.compiled.clone(),
            parts: std::mem::take(&mut self.parts),
            updates: HashMap::clone(&self.shared.updates.load()),
            steps_written: std::mem::take(&mut self.steps_written),
            orders,
            outcomes: Vec::new(),
            changed: false,
        });
        self.updating = Some(tokio::task::spawn_blocking(move || {
            work.carry_out();
            work
        }));
    }

    /// Serves what updates came to, and confirms them.
    pub(super) fn updated(&mut self, work: Option<Box<Work>>) {
        self.updating = None;
        let Some(work) = work else {
            tracing::error!(
                "carrying out an update failed: no zone is updated before the next reload"
            );
            return;
        };
        let work = *work;
        self.parts = work.parts;
        self.steps_written = work.steps_written;
        if work.changed {
            let before = std::mem::replace(&mut self.compiled, work.compiled);
            self.shared.updates.store(Arc::new(work.updates));
            self.publish_zones(&before.routes);
        }
        let now = Clock::new().at(Instant::now()).unix;
        for (zone, (order, outcome)) in work.outcomes {
            let (rcode, why) = match outcome {
                Ok(()) => (Rcode::NoError, String::new()),
                Err(Refused { rcode, why }) => (rcode, why),
            };
            tracing::info!(zone, source = %order.source(), result = rcode.as_str(), why, "an update");
            order.answer(&self.compiled.transfers, rcode, &why, now);
        }
    }

    /// Takes over the zones that may be updated of a configuration that was committed.
    pub(super) fn take_updatable(&mut self, settings: Vec<Settings>) {
        let before = self.shared.updates.load_full();
        let mut all = HashMap::new();
        for zone in settings {
            let kept = before
                .get(&zone.id)
                .filter(|kept| kept.origin == zone.origin);
            let Some(base) = zone.base.or_else(|| kept.map(|kept| kept.base.clone())) else {
                continue;
            };
            let mut delta = kept.map_or_else(|| zone.delta.clone(), |kept| kept.delta.clone());
            let mut current = zone
                .current
                .or_else(|| kept.map(|kept| kept.current.clone()));
            if !Arc::ptr_eq(&delta, &zone.delta)
                && let Some(mut source) = self.parts.zone(&zone.id).cloned()
            {
                // Updates came while the configuration was prepared.
                source.records = base.records().to_vec();
                lay_over(&mut source, &delta);
                current = Some(Current::new(&source));
                self.serve_zone(source);
            }
            if kept.is_none() && !delta.is_empty() {
                let mut pruned = (*delta).clone();
                pruned.prune(&base);
                if let Err(error) = journal::write(&zone.file, &zone.origin, &pruned) {
                    let (id, file) = (&zone.id, zone.file.display());
                    tracing::warn!(zone = id, %file, %error, "the zone's journal cannot be written anew");
                }
                delta = Arc::new(pruned);
            }
            let mut updated = Updated {
                origin: zone.origin,
                base,
                delta,
                file: zone.file,
                current: current.unwrap_or_default(),
                content: 0,
            };
            if let Some(served) = self.compiled.zones.zone(&zone.id) {
                updated.is_served(served.content(), served.serial);
            }
            all.insert(zone.id, updated);
        }
        self.shared.updates.store(Arc::new(all));
    }
}

impl Updated {
    /// Its records are compiled, with this serial.
    fn is_served(&mut self, content: u64, serial: u32) {
        self.content = content;
        let mut apex = self.current.at(&self.origin).to_vec();
        let mut soas = apex.iter_mut().filter(|r| r.rtype == RecordType::SOA);
        if let Some(soa) = soas.find(|soa| serial_of(soa) != Some(serial)) {
            set_serial(&mut soa.rdata, serial);
            self.current.take([(self.origin.clone(), apex)].into());
        }
    }
}

impl Work {
    fn carry_out(&mut self) {
        for (id, orders) in std::mem::take(&mut self.orders) {
            let outcomes = self.carry_out_on(&id, orders);
            let outcomes = outcomes.into_iter().map(|outcome| (id.clone(), outcome));
            self.outcomes.extend(outcomes);
        }
    }

    fn carry_out_on(&mut self, id: &str, orders: Vec<Order>) -> Vec<Outcome> {
        let failed = |orders: Vec<Order>| {
            let fail = |order| (order, Err(Rcode::ServFail.into()));
            orders.into_iter().map(fail).collect()
        };
        let updated = self.updates.get(id).cloned();
        let (Some(mut updated), Some(zone)) = (updated, self.parts.zone(id).cloned()) else {
            return failed(orders);
        };
        let bump = self.bump(id);
        let current = updated.current.clone();
        let mut content = Content::new(&updated.origin, &current, &zone.routed);
        let mut steps: Vec<Step> = Vec::new();
        let mut room = MOST.saturating_sub(updated.delta.len());
        let mut outcomes: Vec<Outcome> = Vec::new();
        for order in orders {
            let outcome = match room.checked_sub(order.updates().len()) {
                Some(left) => {
                    room = left;
                    content.update(order.prerequisites(), order.updates(), &bump)
                }
                None => Err(Refused {
                    rcode: Rcode::Refused,
                    why: "the zone has had all the updates it can hold".to_owned(),
                }),
            };
            let outcome = outcome.map(|step| {
                if !step.is_empty() {
                    steps.push(step);
                }
            });
            outcomes.push((order, outcome));
        }
        if steps.is_empty() {
            return outcomes;
        }
        let touched = content.into_touched();
        let before = updated.delta.clone();
        let delta = Arc::make_mut(&mut updated.delta);
        for step in &steps {
            delta.take(step);
            delta.prune_after(step, &updated.base);
        }
        if let Err(error) = self.keep(id, &updated, &steps, &before) {
            let file = updated.file.display();
            tracing::error!(zone = id, %file, %error, "updates cannot be written down and are not carried out");
            return failed(outcomes.into_iter().map(|(order, _)| order).collect());
        }
        let reaches = !updated.current.can_change(&updated.origin, &steps);
        let step = updated.current.take(touched);
        self.serve(zone, &mut updated, &step, reaches);
        self.changed = true;
        self.updates.insert(id.to_owned(), updated);
        outcomes
    }

    /// The serial after one, in the zone's serial mode.
    fn bump(&self, id: &str) -> impl Fn(u32) -> u32 + use<> {
        let config = self.compiled.config.iter();
        let mut zones = config
            .flat_map(|config| &config.dns)
            .flat_map(|dns| &dns.zones);
        let auto = zones.any(|zone| zone.id == id && zone.transfer.serial == Serial::Auto);
        let now = Clock::new().at(Instant::now()).unix;
        move |old: u32| match auto && is_newer(now, old) {
            true => now,
            false => old.wrapping_add(1),
        }
    }

    /// Writes down the steps that led to what is updated, from `before`.
    fn keep(
        &mut self,
        id: &str,
        updated: &Updated,
        steps: &[Step],
        before: &Delta,
    ) -> std::io::Result<()> {
        let written = self.steps_written.entry(id.to_owned()).or_default();
        *written += steps.len();
        if *written > STEPS.max(before.len()) {
            *written = 0;
            return journal::write(&updated.file, &updated.origin, &updated.delta);
        }
        let appended = journal::append(&updated.file, &updated.origin, steps);
        if appended.is_err() {
            // What it holds of them must not come back at a start.
            let _ = journal::write(&updated.file, &updated.origin, before);
        }
        appended
    }

    /// Has other records of a zone served: by a layer over what is compiled, or compiled anew.
    fn serve(&mut self, mut zone: ZoneSource, updated: &mut Updated, step: &Step, reaches: bool) {
        let soas = updated.current.at(&updated.origin).iter();
        let serial = soas
            .filter(|record| record.rtype == RecordType::SOA)
            .find_map(serial_of);
        zone.serial = serial.unwrap_or(zone.serial);
        if !reaches && !self.has_inner(&zone) && self.is_compiled(&zone, updated) {
            let laid = layer(&zone, &updated.current, zone.serial);
            if let Some(compiled) = self.compiled.laying(&zone.id, laid, step) {
                self.compiled = compiled;
                self.parts.set_serial(&zone.id, zone.serial);
                return;
            }
        }
        let span = zone.span;
        let place = |record: ParsedRecord| ParsedRecord { span, ..record };
        zone.records = updated.current.records().into_iter().map(place).collect();
        updated.current = Current::new(&zone);
        let id = zone.id.clone();
        self.compiled = self.compiled.replacing(&mut self.parts, zone);
        updated.content = self
            .compiled
            .zones
            .zone(&id)
            .map_or(0, |zone| zone.content());
    }

    /// True when a zone that everybody gets has another such inside it: those cut it.
    fn has_inner(&self, zone: &ZoneSource) -> bool {
        let mut zones = self.parts.zones().iter();
        zone.networks.is_empty()
            && zones.any(|inner| {
                inner.networks.is_empty()
                    && inner.origin != zone.origin
                    && inner.origin.is_subdomain_of(&zone.origin)
            })
    }

    fn is_compiled(&self, zone: &ZoneSource, updated: &Updated) -> bool {
        let served = self.compiled.zones.zone(&zone.id);
        served.is_some_and(|served| served.content() == updated.content)
    }
}
