//! NOTIFY (RFC 1996): secondaries are told that a zone changed, until they say that they heard.
//!
//! [`Pending`] decides what is sent when and knows neither sockets nor clocks; [`run`] is the task
//! around it, on the DNS control thread.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conf::{KeyIdx, RecordType};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Outgoing;
use super::message::{Walk, add_count};
use super::tsig::{Signer, Verifier};
use crate::load::ParsedRecord;
use crate::name::Name;

/// Seconds between attempts: each twice the one before (RFC 1996 section 3.6 asks for a back-off).
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Attempts before a secondary is left to its own refresh timer.
const ATTEMPTS: u32 = 6;
/// Told at once at most; more wait for the next change.
const MOST: usize = 10_000;
const FLAGS_NOTIFY: u16 = 0x2400;
const OPCODE: u16 = 0x7800;

/// Somebody to be told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    zone: Name,
    soa: Arc<[ParsedRecord]>,
    to: SocketAddr,
    key: Option<KeyIdx>,
    attempts: u32,
    next: Instant,
}

/// Everybody who has not answered yet, by message id.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    told: HashMap<u16, Told>,
}

impl Pending {
    /// Has the peers of every zone whose serial is not that of `previous` told from `now` on.
    pub(crate) fn add(&mut self, outgoing: &Outgoing, previous: &Outgoing, now: Instant) {
        for zone in &outgoing.zones {
            let before = previous.zones.iter().find(|before| before.id == zone.id);
            let told = |peer: &conf::Peer| {
                before.is_some_and(|before| {
                    before.content.serial == zone.content.serial && before.notify.contains(peer)
                })
            };
            for peer in zone.notify.iter().filter(|peer| !told(peer)) {
                // What was to be said before is outdated.
                self.told
                    .retain(|_, told| told.zone != zone.origin || told.to != peer.address);
                self.insert(Told {
                    zone: zone.origin.clone(),
                    soa: zone.content.soa.clone(),
                    to: peer.address,
                    key: peer.key,
                    attempts: 0,
                    next: now,
                });
            }
        }
    }

    fn insert(&mut self, told: Told) {
        if self.told.len() >= MOST {
            return;
        }
        let mut id = rand::random();
        while self.told.contains_key(&id) {
            id = rand::random();
        }
        self.told.insert(id, told);
    }

    /// When something is to be sent next.
    fn next(&self) -> Option<Instant> {
        self.told.values().map(|told| told.next).min()
    }

    /// Ids of what is to be sent at `now`; who was asked often enough is given up.
    fn due(&mut self, now: Instant) -> Vec<u16> {
        self.told.retain(|_, told| {
            let given_up = told.attempts >= ATTEMPTS && told.next <= now;
            if given_up {
                let (zone, to) = (&told.zone, told.to);
                tracing::warn!(%zone, %to, "no answer to NOTIFY; it will come by its own timer");
            }
            !given_up
        });
        let mut due = Vec::new();
        for (&id, told) in &mut self.told {
            if told.next <= now {
                told.next = now + FIRST_WAIT * 2_u32.pow(told.attempts);
                told.attempts += 1;
                due.push(id);
            }
        }
        due
    }

    /// Takes an answer; true when it was waited for.
    fn answered(&mut self, id: u16, from: SocketAddr) -> bool {
        match self.told.get(&id) {
            Some(told) if told.to == from => self.told.remove(&id).is_some(),
            _ => false,
        }
    }
}

impl Told {
    fn message(&self, id: u16) -> Vec<u8> {
        let mut message = Vec::new();
        for word in [id, FLAGS_NOTIFY, 1, 0, 0, 0] {
            message.extend_from_slice(&word.to_be_bytes());
        }
        message.extend_from_slice(self.zone.as_wire());
        message.extend_from_slice(&RecordType::SOA.0.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        for soa in self.soa.iter() {
            message.extend_from_slice(&[0xc0, 12]);
            message.extend_from_slice(&RecordType::SOA.0.to_be_bytes());
            message.extend_from_slice(&[0, 1]);
            message.extend_from_slice(&soa.ttl.to_be_bytes());
            message.extend_from_slice(&(soa.rdata.len() as u16).to_be_bytes());
            message.extend_from_slice(&soa.rdata);
            add_count(&mut message, 1, 1);
        }
        message
    }
}

/// Tells peers of each configuration that comes, until the sender is gone.
pub(crate) async fn run(mut changes: mpsc::UnboundedReceiver<Arc<Outgoing>>) {
    let mut pending = Pending::default();
    let mut current = Arc::<Outgoing>::default();
    let mut signers: HashMap<u16, Signer> = HashMap::new();
    let (v4, v6) = (
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok(),
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await.ok(),
    );
    loop {
        let next = pending.next();
        let asleep = next.unwrap_or_else(Instant::now);
        tokio::select! {
            change = changes.recv() => {
                let Some(change) = change else { return };
                pending.add(&change, &current, Instant::now());
                current = change;
            }
            () = sleep_until(asleep), if next.is_some() => {
                for id in pending.due(Instant::now()) {
                    let Some(told) = pending.told.get(&id) else { continue };
                    let mut message = told.message(id);
                    if let Some(key) = told.key {
                        let signer = current.keys.sign_request(key, &mut message, unix_now());
                        signers.insert(id, signer);
                    }
                    let socket = if told.to.is_ipv4() { &v4 } else { &v6 };
                    if let Some(socket) = socket
                        && let Err(error) = socket.send_to(&message, told.to).await
                    {
                        tracing::debug!(to = %told.to, %error, "NOTIFY was not sent");
                    }
                }
                signers.retain(|id, _| pending.told.contains_key(id));
            }
            (packet, from) = receive(v4.as_ref()) => take(&mut pending, &current, &mut signers, &packet, from),
            (packet, from) = receive(v6.as_ref()) => take(&mut pending, &current, &mut signers, &packet, from),
        }
    }
}

fn take(
    pending: &mut Pending,
    outgoing: &Outgoing,
    signers: &mut HashMap<u16, Signer>,
    packet: &[u8],
    from: SocketAddr,
) {
    let Some((head, _)) = Walk::begin(packet) else {
        return;
    };
    let is_answer = head.flags & 0x8000 != 0 && head.flags & OPCODE == FLAGS_NOTIFY & OPCODE;
    let signed = signers.get(&head.id).is_none_or(|signer| {
        let verifier = Verifier::new(&outgoing.keys, signer);
        verifier.is_some_and(|mut v| v.take(&outgoing.keys, packet, unix_now()).is_ok())
    });
    let zone = pending.told.get(&head.id).map(|told| told.zone.clone());
    if is_answer && signed && pending.answered(head.id, from) {
        signers.remove(&head.id);
        let rcode = head.flags & 0xf;
        if let Some(zone) = zone {
            tracing::debug!(%zone, %from, rcode, "NOTIFY was answered");
        }
    }
}

/// The next datagram; never anything without a socket or while it fails.
async fn receive(socket: Option<&UdpSocket>) -> (Vec<u8>, SocketAddr) {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    let mut buffer = vec![0; 1232];
    loop {
        // Errors are those of earlier answers (ICMP): the next call waits again.
        if let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            buffer.truncate(length);
            return (buffer, from);
        }
    }
}

fn unix_now() -> u32 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.map_or(0, |age| age.as_secs() as u32)
}

#[cfg(test)]
mod tests;
