//! Datagrams refused, by source, until they are logged: a flood must not become one line each.
//!
//! [`Refusals`] is sans-io, one for each socket of a worker: filled by the shell when a datagram
//! finds no flow, taken out by it when the time has come. Bounded; what does not fit is counted and
//! told as such.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::batch::Arrival;
use super::flow::kind;
use super::shell::Shell;
use crate::access_log::{FlowEnd, FlowRecord, SkippedRecord};
use crate::metrics::RejectReason;

/// Sources remembered at a time.
const MAX_SOURCES: usize = 64;

/// How long a source's datagrams are gathered: VPC flow logs take a minute at least, people who look
/// for what is refused cannot wait for it.
const GATHERING: Duration = Duration::from_secs(1);

/// What one source was refused for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) client: SocketAddr,
    /// The address it used.
    pub(super) local: SocketAddr,
    pub(super) reason: RejectReason,
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    pub(super) first: Instant,
    pub(super) last: Instant,
}

/// What is to be logged.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    gathered: Vec<Refusal>,
    /// Of sources that did not fit.
    skipped: u64,
    since: Option<Instant>,
}

impl Refusals {
    /// Remembers a datagram.
    pub(super) fn add(
        &mut self,
        (client, local): (SocketAddr, SocketAddr),
        reason: RejectReason,
        bytes: usize,
        now: Instant,
    ) {
        self.since.get_or_insert(now);
        let known = self.gathered.iter_mut();
        let mut known = known.filter(|r| (r.client, r.local, r.reason) == (client, local, reason));
        if let Some(refusal) = known.next() {
            refusal.datagrams += 1;
            refusal.bytes += bytes as u64;
            refusal.last = now;
        } else if self.gathered.len() < MAX_SOURCES {
            self.gathered.push(Refusal {
                client,
                local,
                reason,
                datagrams: 1,
                bytes: bytes as u64,
                first: now,
                last: now,
            });
        } else {
            self.skipped += 1;
        }
    }

    /// When there will be something to log.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.since.map(|since| since + GATHERING)
    }

    /// Everything, how many datagrams were skipped, and since when.
    pub(super) fn take(&mut self) -> (Vec<Refusal>, u64, Option<Instant>) {
        let gathered = std::mem::take(&mut self.gathered);
        (
            gathered,
            std::mem::take(&mut self.skipped),
            self.since.take(),
        )
    }
}

impl Shell {
    /// Counts a datagram that finds no flow, and remembers it for the flow log.
    pub(super) fn reject(
        &mut self,
        from: &Arrival,
        reason: RejectReason,
        bytes: usize,
        now: Instant,
    ) {
        self.count_rejected(reason, 1);
        if self.context.log().logs_flows() {
            let way = (from.client, self.local(from));
            self.refusals.add(way, reason, bytes, now);
        }
    }

    /// Counts datagrams that find no flow.
    pub(super) fn count_rejected(&self, reason: RejectReason, datagrams: u64) {
        let (Some(counters), Some(listener)) = (self.counters(), &self.listener) else {
            return;
        };
        (0..datagrams).for_each(|_| counters.reject(reason));
        let flows = counters.flows(kind(listener));
        flows.rejected.add(datagrams);
        if reason == RejectReason::PortExhaustion {
            flows.port_exhaustion.add(datagrams);
        }
    }

    /// Logs what was refused, if it is time.
    pub(super) fn log_due_refusals(&mut self, now: Instant) {
        if self.refusals.due_at().is_some_and(|due| due <= now) {
            self.log_refusals(now);
        }
    }

    /// Logs what was refused.
    pub(super) fn log_refusals(&mut self, now: Instant) {
        let (gathered, skipped, since) = self.refusals.take();
        let Some(listener) = &self.listener else {
            return;
        };
        let wall = SystemTime::now();
        let time = |at: Instant| wall.checked_sub(now - at).unwrap_or(wall);
        for refusal in gathered {
            self.context.log().flow(&FlowRecord {
                kind: kind(listener),
                time: time(refusal.first),
                listener: &listener.name,
                target_group: "",
                client: refusal.client,
                local: refusal.local,
                target: None,
                bytes_in: refusal.bytes,
                bytes_out: 0,
                packets: Some((refusal.datagrams, 0)),
                connect: None,
                duration: refusal.last - refusal.first,
                retries: 0,
                termination: FlowEnd::Refused(refusal.reason),
                tls: None,
            });
        }
        if let (1.., Some(since)) = (skipped, since) {
            self.context.log().skipped(&SkippedRecord {
                kind: kind(listener),
                listener: &listener.name,
                time: time(since),
                duration: now - since,
                datagrams: skipped,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_record_and_a_flood_is_a_number() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        assert_eq!(refusals.due_at(), None);
        let source = |n: u16| {
            (
                SocketAddr::from(([192, 0, 2, 1], n)),
                SocketAddr::from(([10, 0, 0, 1], 53)),
            )
        };
        for turn in 0..3 {
            let now = start + Duration::from_millis(turn);
            refusals.add(source(1), RejectReason::Filter, 10, now);
            refusals.add(source(1), RejectReason::NoTarget, 1, now);
        }
        for port in 0..1000 {
            refusals.add(source(port + 2), RejectReason::Filter, 10, start);
        }
        assert_eq!(refusals.due_at(), Some(start + GATHERING));
        let (gathered, skipped, since) = refusals.take();
        assert_eq!(
            (gathered.len(), skipped, since),
            (MAX_SOURCES, 1000 - 62, Some(start))
        );
        let first = gathered[0];
        assert_eq!((first.datagrams, first.bytes), (3, 30));
        assert_eq!(first.last - first.first, Duration::from_millis(2));
        assert_eq!(refusals.due_at(), None);
        assert_eq!(refusals.take().0.len(), 0);
    }
}
