//! Round-trip times that were measured between client networks and the region of this process.
//!
//! Handed in by whoever measures; looked into when plans are made and by explanations, never per
//! query. A few connections say less than distance does, many say more: both are blended.

use std::sync::Arc;

use ipnet::IpNet;

/// Connections that weigh as much as what is expected without them.
const PRIOR_WEIGHT: f64 = 20.0;

/// What was measured of one client network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredRtt {
    /// Whose connections; no other entry's network overlaps it.
    pub network: IpNet,
    /// Milliseconds there and back.
    pub ms: f64,
    /// Connections that say so.
    pub samples: u32,
}

/// All that was measured.
pub(crate) type Measured = Arc<[MeasuredRtt]>;

impl MeasuredRtt {
    /// The time to go by, where `expected` is what would hold without it.
    pub(super) fn blended(&self, expected: f64) -> f64 {
        if !expected.is_finite() {
            return self.ms;
        }
        let samples = f64::from(self.samples);
        (samples * self.ms + PRIOR_WEIGHT * expected) / (samples + PRIOR_WEIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_connections_the_less_the_expectation_counts() {
        let blended = |samples, expected| {
            let network = "192.0.2.0/24".parse().unwrap();
            let measured = MeasuredRtt {
                network,
                ms: 80.0,
                samples,
            };
            measured.blended(expected)
        };
        assert_eq!(blended(20, 20.0), 50.0);
        assert_eq!(blended(60, 20.0), 65.0);
        assert_eq!(blended(1, f64::INFINITY), 80.0);
    }
}
