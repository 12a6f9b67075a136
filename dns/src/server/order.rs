//! Updates on their way from the threads that answer to the control task, and their answers back.
//!
//! What may not be is answered at once; what may goes into a bounded queue. Without room nothing is
//! sent: clients ask again.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::Origin;
use crate::clock::Clock;
use crate::tap::{Hub, Kind, Query};
use crate::transfer::Outgoing;
use crate::updates::message::{Entry, Judged, Update, judge};
use crate::wire::{Rcode, Transport};

/// An update that may be, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Order {
    update: Box<Update>,
    to: ReplyTo,
}

/// Where an answer goes.
#[derive(Debug)]
pub(crate) enum ReplyTo {
    /// To a connection, which waits.
    Stream(oneshot::Sender<Vec<u8>>),
    /// To the sender of a datagram; recorded, if anything is.
    Datagram(Arc<UdpSocket>, Box<Origin>, Option<Box<Noted>>),
}

/// A query by datagram whose answer is to be recorded when it comes.
#[derive(Debug)]
pub(crate) struct Noted {
    hub: Arc<Hub>,
    kind: Kind,
    packet: Box<[u8]>,
    source: IpAddr,
}

impl Noted {
    /// Notes a query, if anything is recorded.
    pub(crate) fn new(
        hub: &Arc<Hub>,
        kind: Kind,
        packet: &[u8],
        source: IpAddr,
    ) -> Option<Box<Self>> {
        hub.is_on().then(|| {
            Box::new(Self {
                hub: hub.clone(),
                kind,
                packet: packet.into(),
                source,
            })
        })
    }

    fn record(&self, answer: &[u8]) {
        let query = Query {
            kind: self.kind,
            packet: &self.packet,
            source: self.source,
            transport: Transport::Udp,
        };
        let now = Clock::new().at(Instant::now()).unix_micros;
        self.hub.record(query, answer, now);
    }
}

/// True for an UPDATE request.
pub(crate) fn is_update(packet: &[u8]) -> bool {
    packet.get(2).is_some_and(|flags| flags & 0xf8 == 5 << 3)
}

/// What is to be done with a message of the opcode.
pub(crate) enum Taken {
    /// Send this.
    Reply(Vec<u8>),
    /// The answer will come, or none.
    Queued,
}

/// Judges an update and queues it. `None` when no zone may be updated: it is answered as any unknown
/// kind of message.
pub(crate) fn take(
    queue: &mpsc::Sender<Order>,
    outgoing: &Outgoing,
    packet: &[u8],
    (source, now): (IpAddr, u32),
    to: impl FnOnce() -> ReplyTo,
) -> Option<Taken> {
    if outgoing.updatable.is_empty() {
        return None;
    }
    Some(match judge(outgoing, packet, source, now) {
        None => Taken::Queued,
        Some(Judged::Reply(message)) => Taken::Reply(message),
        Some(Judged::Update(update)) => {
            let to = to();
            // Full: dropped, and asked again.
            let _ = queue.try_send(Order { update, to });
            Taken::Queued
        }
    })
}

impl Order {
    /// Id of the zone.
    pub(crate) fn zone(&self) -> &str {
        &self.update.id
    }

    /// Who asks.
    pub(crate) fn source(&self) -> IpAddr {
        self.update.source
    }

    pub(crate) fn prerequisites(&self) -> &[Entry] {
        &self.update.prerequisites
    }

    pub(crate) fn updates(&self) -> &[Entry] {
        &self.update.updates
    }

    /// Sends the answer.
    pub(crate) fn answer(self, outgoing: &Outgoing, rcode: Rcode, why: &str, now: u32) {
        let message = self.update.reply.answer(outgoing, rcode, why, now);
        self.to.send(message);
    }
}

impl ReplyTo {
    /// Sends the answer.
    pub(crate) fn send(self, message: Vec<u8>) {
        match self {
            // The connection may be gone.
            Self::Stream(stream) => drop(stream.send(message)),
            Self::Datagram(socket, origin, noted) => {
                if let Some(noted) = noted {
                    noted.record(&message);
                }
                if let Err(error) = origin.send(&socket, &message) {
                    tracing::debug!(%error, "an answer was not sent");
                }
            }
        }
    }
}
