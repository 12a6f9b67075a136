//! `measured-latency`: round-trip times that the balancer measures on its clients' connections.

use super::RegionIdx;

/// How round-trip times are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredLatency {
    /// The region that this process is in: the one that the times lead to.
    pub region: RegionIdx,
    /// Connections of a client network before its times count; at least 1.
    pub min_samples: u32,
}
