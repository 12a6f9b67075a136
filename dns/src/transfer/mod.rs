//! Zone transfers: who may copy which zone, whole (AXFR, RFC 5936) or by changes (IXFR, RFC 1995),
//! who is told of changes (NOTIFY, RFC 1996), all signed where a key is asked for (TSIG).
//!
//! [`Outgoing`] is made when a configuration is prepared and is part of the snapshot; the TCP
//! workers and UDP threads ask [`begin`]. Off the query path: nothing here is reached by ordinary
//! questions.

pub(crate) mod content;
pub(crate) mod message;
mod notified;
pub(crate) mod notify;
mod send;
pub(crate) mod tsig;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use conf::{Config, KeyIdx, Peer, Permission, Serial};

use crate::load::{ZoneSource, ZoneState, Zones};
use crate::name::Name;
use crate::updates::delta::Step;
use crate::updates::message::Updatable;
use content::{Content, fingerprint, fingerprint_after, is_newer, set_serial};
use notified::Copied;
pub(crate) use notified::heard;
pub(crate) use send::{Begin, begin, is_transfer};
use tsig::Keys;

use crate::wire::Rcode;

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
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) zones: Vec<Published>,
    /// Zones that are copied from others.
    copied: Vec<Copied>,
    /// Zones that clients may change.
    pub(crate) updatable: Vec<Updatable>,
    pub(crate) keys: Arc<Keys>,
    /// Serials made here, and what they were made for, by zone id.
    made: HashMap<String, (u64, u32)>,
}

impl Outgoing {
    /// That of a configuration, after `previous`. Writes serials into `zones` where they do not
    /// come from the zone's own SOA; `now` in seconds since 1970.
    pub(crate) fn new(config: &Config, zones: &mut Zones, previous: &Self, now: u32) -> Self {
        let mut outgoing = Self {
            keys: Arc::new(Keys::new(config)),
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
            let transfer = &settings.transfer;
            if !transfer.allow_update.is_empty() {
                outgoing.updatable.push(Updatable {
                    id: zone.id.clone(),
                    origin: zone.origin.clone(),
                    networks: zone.networks.clone(),
                    allow: transfer.allow_update.clone(),
                });
            }
            if zone.is_part() {
                outgoing.keep(zone, previous);
                continue;
            }
            match transfer.serial {
                Serial::File if transfer.allow_update.is_empty() => {}
                Serial::File => outgoing.keep_ahead(zone, config, previous),
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
            if transfer.is_secondary() {
                outgoing.copied.push(Copied {
                    id: zone.id.clone(),
                    origin: zone.origin.clone(),
                    networks: zone.networks.clone(),
                    primaries: transfer.primaries.clone(),
                    allow: transfer.allow_notify.clone(),
                });
            }
            outgoing.publish(zone, transfer, config, previous);
        }
        outgoing
    }

    /// A zone that is updated has serials past its file's: when the file changed and its serial is
    /// none of a later content, it gets one.
    fn keep_ahead(&mut self, zone: &mut ZoneSource, config: &Config, previous: &Self) {
        let print = fingerprint(zone, config);
        let before = previous.made.get(&zone.id);
        if let Some(&(_, serial)) = before.filter(|(before, _)| *before != print)
            && !is_newer(zone.serial, serial)
        {
            write_serial(zone, serial.wrapping_add(1));
        }
        self.made.insert(zone.id.clone(), (print, zone.serial));
    }

    /// Takes over a zone that is as it was.
    fn keep(&mut self, zone: &ZoneSource, previous: &Self) {
        if let Some(made) = previous.made.get(&zone.id) {
            self.made.insert(zone.id.clone(), *made);
        }
        let published = previous.zones.iter().find(|before| before.id == zone.id);
        self.zones.extend(published.cloned());
    }

    /// That of the same configuration after one zone of it changed.
    pub(crate) fn replacing(previous: &Arc<Self>, zone: &ZoneSource, config: &Config) -> Arc<Self> {
        let mut zones = config.dns.iter().flat_map(|dns| &dns.zones);
        let Some(settings) = zones.find(|settings| settings.id == zone.id) else {
            return previous.clone();
        };
        let mut outgoing = Self::clone(previous);
        outgoing.zones.retain(|published| published.id != zone.id);
        if !settings.transfer.is_secondary() {
            let made = (fingerprint(zone, config), zone.serial);
            outgoing.made.insert(zone.id.clone(), made);
        }
        outgoing.publish(zone, &settings.transfer, config, previous);
        Arc::new(outgoing)
    }

    /// That of the same configuration after a step of an update; `None` when copies of the zone cannot
    /// follow by it.
    pub(crate) fn after(previous: &Self, id: &str, step: &Step, serial: u32) -> Option<Arc<Self>> {
        let mut outgoing = Self::clone(previous);
        if let Some((print, last)) = outgoing.made.get_mut(id) {
            *print = fingerprint_after(*print, step);
            *last = serial;
        }
        if let Some(zone) = outgoing.zones.iter_mut().find(|zone| zone.id == id) {
            zone.content = Arc::new(zone.content.after(step)?);
        }
        Some(Arc::new(outgoing))
    }

    fn publish(
        &mut self,
        zone: &ZoneSource,
        transfer: &conf::Transfer,
        config: &Config,
        previous: &Self,
    ) {
        let wanted = !transfer.allow.is_empty() || !transfer.notify.is_empty();
        if !wanted || zone.state != ZoneState::Good {
            return;
        }
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
        let named = self.zones.iter().filter(|zone| zone.origin == *name);
        got(source, named, |zone| &zone.networks)
    }

    /// The zone of this name that is copied from elsewhere, and that `source` gets.
    pub(crate) fn copied(&self, source: IpAddr, name: &Name) -> Option<&Copied> {
        let named = self.copied.iter().filter(|zone| zone.origin == *name);
        got(source, named, |zone| &zone.networks)
    }
}

/// Of zones of one name the one that `source` gets.
pub(crate) fn got<Z>(
    source: IpAddr,
    mut named: impl Iterator<Item = Z> + Clone,
    networks: impl Fn(&Z) -> &[ipnet::IpNet],
) -> Option<Z> {
    let source = source.to_canonical();
    let holds = |zone: &Z| networks(zone).iter().any(|net| net.contains(&source));
    let private = named.clone().find(|zone| holds(zone));
    private.or_else(|| named.find(|zone| networks(zone).is_empty()))
}

/// True when somebody at `source` who signed with `key` is among those who may.
pub(crate) fn permits(allowed: &[Permission], source: IpAddr, key: Option<KeyIdx>) -> bool {
    let source = source.to_canonical();
    allowed.iter().any(|permission| {
        let from = permission.networks.iter().any(|net| net.contains(&source));
        (from || permission.networks.is_empty())
            && (permission.key.is_none() || permission.key == key)
    })
}

impl Published {
    /// True when somebody at `source` who signed with `key` may copy it.
    fn permits(&self, source: IpAddr, key: Option<KeyIdx>) -> bool {
        permits(&self.allow, source, key)
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
