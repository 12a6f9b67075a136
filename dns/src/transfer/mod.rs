//! Zone transfers: who may copy which zone, whole (AXFR, RFC 5936) or by changes (IXFR, RFC 1995),
//! who is told of changes (NOTIFY, RFC 1996), all signed where a key is asked for (TSIG).
//!
//! [`Outgoing`] is made when a configuration is prepared and is part of the snapshot; the TCP
//! workers and UDP threads ask [`begin`]. Off the query path: nothing here is reached by ordinary
//! questions.

mod content;
mod message;
pub(crate) mod notify;
mod send;
pub(crate) mod tsig;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use conf::{Config, KeyIdx, Peer, Permission, Serial};

use crate::load::{ZoneSource, Zones};
use crate::name::Name;
use content::{Content, fingerprint, is_newer, set_serial};
pub(crate) use send::{Begin, begin, is_transfer};
use tsig::Keys;

use crate::wire::Rcode;

/// A zone that others may copy or are told of.
/// A zone that others may copy or are told of.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) id: String,
    pub(crate) origin: Name,
    networks: Vec<ipnet::IpNet>,
    allow: Vec<Permission>,
    pub(crate) notify: Vec<Peer>,
    pub(crate) content: Arc<Content>,
}

/// Everything transfers come from.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) zones: Vec<Published>,
    pub(crate) keys: Keys,
    /// Serials made here, and what they were made for, by zone id.
    made: HashMap<String, (u64, u32)>,
}

impl Outgoing {
    /// That of a configuration, after `previous`. Writes serials into `zones` where they do not
    /// come from the zone's own SOA; `now` in seconds since 1970.
    pub(crate) fn new(config: &Config, zones: &mut Zones, previous: &Self, now: u32) -> Self {
        let mut outgoing = Self {
            keys: Keys::new(config),
            ..Self::default()
        };
        let settings: HashMap<&str, &conf::Zone> = config
            .dns
            .iter()
            .flat_map(|dns| &dns.zones)
            .map(|zone| (zone.id.as_str(), zone))
            .collect();
        for zone in &mut zones.zones {
            let Some(settings) = settings.get(zone.id.as_str()) else {
                continue;
            };
            if zone.is_part() {
                outgoing.keep(zone, previous);
                continue;
            }
            let transfer = &settings.transfer;
            match transfer.serial {
                Serial::File => {}
                Serial::Number(number) => write_serial(zone, number),
                Serial::Auto => {
                    let print = fingerprint(zone, config);
                    let serial = match previous.made.get(&zone.id) {
                        Some(&(before, serial)) if before == print => serial,
                        Some(&(_, serial)) if !is_newer(now, serial) => serial.wrapping_add(1),
                        _ => now,
                    };
                    write_serial(zone, serial);
                    outgoing.made.insert(zone.id.clone(), (print, serial));
                }
            }
            if !transfer.allow.is_empty() || !transfer.notify.is_empty() {
                outgoing.publish(zone, transfer, config, previous);
            }
        }
        outgoing
    }

    /// Takes over a zone that is as it was.
    fn keep(&mut self, zone: &ZoneSource, previous: &Self) {
        if let Some(made) = previous.made.get(&zone.id) {
            self.made.insert(zone.id.clone(), *made);
        }
        let published = previous.zones.iter().find(|before| before.id == zone.id);
        self.zones.extend(published.cloned());
    }

    fn publish(
        &mut self,
        zone: &ZoneSource,
        transfer: &conf::Transfer,
        config: &Config,
        previous: &Self,
    ) {
        let before = previous.zones.iter().find(|before| before.id == zone.id);
        let content = Content::new(zone, config, before.map(|before| &*before.content));
        if content.resting > 0 && before.is_none_or(|b| b.content.serial != content.serial) {
            tracing::info!(
                zone = zone.id,
                "transfers carry {} records with a routing policy as their resting answer: who \
                 copies the zone answers that, whatever health is",
                content.resting
            );
        }
        self.zones.push(Published {
            id: zone.id.clone(),
            origin: zone.origin.clone(),
            networks: zone.networks.clone(),
            allow: transfer.allow.clone(),
            notify: transfer.notify.clone(),
            content: Arc::new(content),
        });
    }

    /// The zone of this name that `source` gets.
    fn zone(&self, source: IpAddr, name: &Name) -> Option<&Published> {
        let source = source.to_canonical();
        let mut named = self.zones.iter().filter(|zone| zone.origin == *name);
        let holds = |zone: &&Published| zone.networks.iter().any(|net| net.contains(&source));
        let private = named.clone().find(holds);
        private.or_else(|| named.find(|zone| zone.networks.is_empty()))
    }
}

impl Published {
    /// True when somebody at `source` who signed with `key` may copy it.
    fn permits(&self, source: IpAddr, key: Option<KeyIdx>) -> bool {
        let source = source.to_canonical();
        self.allow.iter().any(|permission| {
            let from = permission.networks.iter().any(|net| net.contains(&source));
            (from || permission.networks.is_empty())
                && (permission.key.is_none() || permission.key == key)
        })
    }
}

fn write_serial(zone: &mut ZoneSource, serial: u32) {
    zone.serial = serial;
    for record in &mut zone.records {
        if record.rtype == conf::RecordType::SOA {
            set_serial(&mut record.rdata, serial);
        }
    }
}

/// The answer to a message whose signature does not hold.
pub(crate) fn answer_bad(
    bad: tsig::Bad,
    keys: &Keys,
    question: &[u8],
    now: u32,
) -> Option<Vec<u8>> {
    let (head, mut walk) = message::Walk::begin(question)?;
    let asked = walk.question();
    let mut answer = message::begin_answer(head, asked.as_ref(), Rcode::NotAuth, false);
    bad.push(keys, &mut answer, now);
    Some(answer)
}
