//! Requests and flows that went to one group through one listener: how they ended and how long
//! they took.

use super::{Counter, Histogram};

/// Labels of `requests_total{code_class}`; the last one for exchanges the client never got an
/// answer to (ELB logs them as 000).
pub const CODE_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// What one worker counts for one (listener, group).
#[derive(Debug, Default)]
pub struct ExchangeCounters {
    /// Requests and flows that targets got because their group fails open.
    pub unhealthy_routing: Counter,
    requests: [Counter; CODE_CLASSES.len()],
    /// Time from a request's first byte to its end, in seconds.
    pub duration: Histogram,
}

impl ExchangeCounters {
    /// Counts an exchange answered with `status` (0 = not answered) after `duration`.
    pub fn exchange(&self, status: u16, duration: std::time::Duration) {
        let class = match status / 100 {
            class @ 1..=5 => usize::from(class) - 1,
            _ => CODE_CLASSES.len() - 1,
        };
        self.requests[class].add(1);
        self.duration.observe(duration);
    }

    /// Exchanges of the class at this place of [`CODE_CLASSES`].
    pub(crate) fn requests(&self, class: usize) -> u64 {
        self.requests.get(class).map_or(0, Counter::value)
    }
}
