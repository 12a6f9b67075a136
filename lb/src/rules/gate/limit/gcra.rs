//! The generic cell rate algorithm: one number a key says all about its past.
//!
//! The number is the theoretical arrival time: when the next request would come if all kept to the
//! rate. A request conforms when it comes no more than the tolerance before it (ITU-T I.371). Pure;
//! times are nanoseconds since an origin of the caller's.

/// A rate with its tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Between two requests at the full rate; at least 1.
    pub(super) interval: u64,
    /// How far the arrival time may be ahead: room for all of a burst but its last request.
    pub(super) tolerance: u64,
}

impl Rate {
    /// The configured one.
    pub(super) fn new(limit: &conf::RequestLimit) -> Self {
        let interval = limit.interval();
        Self {
            interval,
            tolerance: interval.saturating_mul(u64::from(limit.burst.max(1) - 1)),
        }
    }

    /// The next arrival time when a request at `now` conforms, else how long until one would.
    pub(super) fn decide(self, arrival: u64, now: u64) -> Result<u64, u64> {
        let due = arrival.max(now);
        match due.saturating_sub(self.tolerance) {
            earliest if earliest > now => Err(earliest - now),
            _ => Ok(due.saturating_add(self.interval)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate {
            interval: 10,
            tolerance: 20,
        };
        let (mut arrival, mut log) = (0, Vec::new());
        for now in [100, 100, 100, 100, 105, 110, 110, 141, 141, 141, 141] {
            match rate.decide(arrival, now) {
                Ok(next) => {
                    arrival = next;
                    log.push(0);
                }
                Err(wait) => log.push(wait),
            }
        }
        assert_eq!(log, [0, 0, 0, 10, 5, 0, 10, 0, 0, 0, 10]);
    }
}
