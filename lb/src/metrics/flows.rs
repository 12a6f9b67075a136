//! Flows of layer 4, as NLB counts them: opened, ended, reset and by whom; and datagrams.

use super::Counter;
use crate::access_log::FlowEnd;

/// What one worker counts of one listener's flows of one kind.
#[derive(Debug, Default)]
pub struct FlowCounters {
    /// Flows that began.
    pub opened: Counter,
    /// Flows that ended.
    pub ended: Counter,
    resets: [Counter; FlowSide::ALL.len()],
    /// Connections refused when accepted, and datagrams that would have begun a flow.
    pub rejected: Counter,
    /// Times no local port was left for the way to a target.
    pub port_exhaustion: Counter,
}

impl FlowCounters {
    /// Counts a flow that ended; resets are those of TCP.
    pub(crate) fn end(&self, end: FlowEnd) {
        self.ended.add(1);
        if let Some(side) = FlowSide::of(end) {
            self.resets[side as usize].add(1);
        }
    }

    /// Flows that `side` reset.
    pub(crate) fn resets(&self, side: FlowSide) -> u64 {
        self.resets[side as usize].value()
    }
}

/// Who ended a flow before it was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowSide {
    /// The client reset it.
    Client,
    /// The target did.
    Target,
    /// The balancer did: silence, the target's fate, no target, shutdown.
    Balancer,
}

impl FlowSide {
    /// Every side, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Client, Self::Target, Self::Balancer];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Target => "target",
            Self::Balancer => "balancer",
        }
    }

    /// Who ended a TCP flow that ended so; `None` when it was finished.
    fn of(end: FlowEnd) -> Option<Self> {
        match end {
            FlowEnd::Finished => None,
            FlowEnd::ClientReset => Some(Self::Client),
            FlowEnd::TargetReset => Some(Self::Target),
            _ => Some(Self::Balancer),
        }
    }
}

/// What one worker counts for one listener that receives datagrams.
#[derive(Debug, Default)]
pub struct UdpCounters {
    /// Flows opened.
    pub flows: Counter,
    /// Datagrams from clients handed to targets.
    pub datagrams_in: Counter,
    /// Datagrams from targets handed to clients.
    pub datagrams_out: Counter,
    /// Datagrams the kernel would not take on either side: full queues, no route, too large.
    pub dropped: Counter,
    ended: [Counter; FlowEnd::OF_UDP.len()],
}

impl UdpCounters {
    /// Counts a flow that ended.
    pub(crate) fn end(&self, end: FlowEnd) {
        if let Some(counter) = end.place().and_then(|place| self.ended.get(place)) {
            counter.add(1);
        }
    }

    /// Flows that ended, by the order of [`FlowEnd::OF_UDP`].
    pub(crate) fn ended(&self, place: usize) -> u64 {
        self.ended.get(place).map_or(0, Counter::value)
    }
}
