//! Updates carried out (RFC 2136): on the zone's records, in its journal, in what is served, and only
//! then confirmed.
//!
//! Part of the control task. Updates that wait together are written and compiled together.

use std::collections::HashMap;
use std::sync::Arc;

use conf::{RecordType, Serial};
use tokio::time::Instant;

use super::Control;
use crate::clock::Clock;
use crate::load::ParsedRecord;
use crate::secondary::incoming::serial_of;
use crate::server::order::Order;
use crate::transfer::content::{is_newer, set_serial};
use crate::updates::delta::{MOST, Step};
use crate::updates::process::{Content, Refused};
use crate::updates::{Settings, Updated, journal, lay_over};
use crate::wire::Rcode;

/// Updates carried out together at most.
const TOGETHER: usize = 64;
/// Steps after which a journal is written anew.
const STEPS: usize = 1000;

/// An order with what came of it.
type Outcome = (Order, Result<(), Refused>);

impl Control {
    /// Carries out an update and those that wait behind it.
    pub(super) fn update(&mut self, first: Order) {
        let mut orders: HashMap<String, Vec<Order>> = HashMap::new();
        let mut next = Some(first);
        for _ in 0..TOGETHER {
            let Some(order) = next else { break };
            orders
                .entry(order.zone().to_owned())
                .or_default()
                .push(order);
            next = self.orders_queue.try_recv().ok();
        }
        if let Some(order) = next {
            orders
                .entry(order.zone().to_owned())
                .or_default()
                .push(order);
        }
        for (id, orders) in orders {
            let outcomes = self.carry_out(&id, orders);
            let now = Clock::new().at(Instant::now()).unix;
            for (order, outcome) in outcomes {
                let (rcode, why) = match outcome {
                    Ok(()) => (Rcode::NoError, String::new()),
                    Err(Refused { rcode, why }) => (rcode, why),
                };
                tracing::info!(zone = id, source = %order.source(), result = rcode.as_str(), why, "an update");
                order.answer(&self.compiled.transfers, rcode, &why, now);
            }
        }
    }

    fn carry_out(&mut self, id: &str, orders: Vec<Order>) -> Vec<Outcome> {
        let failed = |orders: Vec<Order>| {
            let fail = |order| (order, Err(Rcode::ServFail.into()));
            orders.into_iter().map(fail).collect()
        };
        let updated = self.shared.updates.load().get(id).cloned();
        let (Some(updated), Some(zone)) = (updated, self.parts.zone(id).cloned()) else {
            return failed(orders);
        };
        let bump = self.bump(id);
        let mut content = Content::new(&updated.origin, &updated.current, &zone.routed);
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
        if let Err(error) = self.keep(id, &updated, &steps) {
            let file = updated.file.display();
            tracing::error!(zone = id, %file, %error, "updates cannot be written down and are not carried out");
            return failed(outcomes.into_iter().map(|(order, _)| order).collect());
        }
        let mut delta = (*updated.delta).clone();
        steps.iter().for_each(|step| delta.take(step));
        delta.prune(&updated.base);
        self.serve(id, content.into_records());
        let served = self.records_served(
            id,
            Updated {
                delta: Arc::new(delta),
                ..updated
            },
        );
        self.remember(id, served);
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

    /// Writes steps down.
    fn keep(&mut self, id: &str, updated: &Updated, steps: &[Step]) -> std::io::Result<()> {
        let written = self.steps_written.entry(id.to_owned()).or_default();
        *written += steps.len();
        if *written > STEPS {
            *written = 0;
            let mut delta = (*updated.delta).clone();
            steps.iter().for_each(|step| delta.take(step));
            delta.prune(&updated.base);
            return journal::write(&updated.file, &updated.origin, &delta);
        }
        let appended = journal::append(&updated.file, &updated.origin, steps);
        if appended.is_err() {
            // What it holds of them must not come back at a start.
            let _ = journal::write(&updated.file, &updated.origin, &updated.delta);
        }
        appended
    }

    /// Serves other records of a zone.
    fn serve(&mut self, id: &str, mut records: Vec<ParsedRecord>) {
        let Some(mut zone) = self.parts.zone(id).cloned() else {
            return;
        };
        for record in &mut records {
            record.span = zone.span;
        }
        let mut soas = records.iter().filter(|r| r.rtype == RecordType::SOA);
        zone.serial = soas.find_map(serial_of).unwrap_or(zone.serial);
        zone.records = records;
        self.serve_zone(zone);
    }

    /// The same with the records that are served, serial and all.
    fn records_served(&self, id: &str, updated: Updated) -> Updated {
        let routed = self.parts.zone(id).map_or(&[][..], |zone| &zone.routed);
        let (mut current, _) = updated.delta.lay_over(&updated.base, routed);
        let mut zones = self.compiled.zones.zones().iter();
        if let Some(served) = zones.find(|zone| zone.id == id) {
            let soa = current.iter_mut().filter(|r| r.rtype == RecordType::SOA);
            soa.for_each(|soa| set_serial(&mut soa.rdata, served.serial()));
        }
        Updated {
            current: current.into(),
            ..updated
        }
    }

    fn remember(&self, id: &str, updated: Updated) {
        let mut all = HashMap::clone(&self.shared.updates.load());
        all.insert(id.to_owned(), updated);
        self.shared.updates.store(Arc::new(all));
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
            if !Arc::ptr_eq(&delta, &zone.delta)
                && let Some(mut source) = self.parts.zone(&zone.id).cloned()
            {
                // Updates came while the configuration was prepared.
                source.records = base.to_vec();
                lay_over(&mut source, &delta);
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
            let updated = Updated {
                origin: zone.origin,
                base,
                delta,
                file: zone.file,
                current: Arc::default(),
            };
            let updated = self.records_served(&zone.id, updated);
            all.insert(zone.id, updated);
        }
        self.shared.updates.store(Arc::new(all));
    }
}
