//! What one worker counts for one listener.
//!
//! Written by the data path of every protocol, read by `collect`.
//!
//! Cost: one count per event, as of [`Counter`].

use super::{
    Counter, FlowCounters, Http2Counters, RejectReason, RequestCounters, TlsCounters, UdpCounters,
};
use crate::access_log::FlowKind;
use crate::l7::desync::Tier;

/// What one worker counts for one listener.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub connections: Counter,
    /// Bytes received from clients.
    pub bytes_in: Counter,
    /// Bytes sent to clients.
    pub bytes_out: Counter,
    rejected: [Counter; RejectReason::ALL.len()],
    /// By tier, compliant ones left out.
    desync: [Counter; 3],
    flows: [FlowCounters; FlowKind::ALL.len()],
    /// UDP.
    pub udp: UdpCounters,
    /// TLS.
    pub tls: TlsCounters,
    /// HTTP/2.
    pub(crate) http2: Http2Counters,
    /// Requests.
    pub(crate) requests: RequestCounters,
}

impl ListenerCounters {
    /// The counters of one kind of flows.
    pub fn flows(&self, kind: FlowKind) -> &FlowCounters {
        &self.flows[kind as usize]
    }

    /// Counts a refusal.
    pub fn reject(&self, reason: RejectReason) {
        self.rejected[reason as usize].add(1);
    }

    /// Refusals for `reason`.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected[reason as usize].value()
    }

    /// Tiers that are counted.
    pub(crate) const TIERS: [Tier; 3] = [Tier::Acceptable, Tier::Ambiguous, Tier::Severe];

    /// Counts a request in which something is odd.
    pub(crate) fn desync(&self, tier: Tier) {
        let place = Self::TIERS.iter().position(|known| *known == tier);
        if let Some(counter) = place.and_then(|place| self.desync.get(place)) {
            counter.add(1);
        }
    }

    /// How many requests were of a tier, by its place in `TIERS`.
    pub(crate) fn odd_requests(&self, place: usize) -> u64 {
        self.desync.get(place).map_or(0, Counter::value)
    }
}
