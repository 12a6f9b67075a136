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
    target_responses: [Counter; CODE_CLASSES.len()],
    /// Time from a request's first byte to its end, in seconds.
    pub duration: Histogram,
}

impl ExchangeCounters {
    /// Counts an exchange answered with `status` (0 = not answered) after `duration`.
    pub fn exchange(&self, status: u16, duration: std::time::Duration) {
        self.requests[class_of(status)].add(1);
        self.duration.observe(duration);
    }

    /// Counts a target's response (ELB `HTTPCode_Target_…`).
    pub fn target_response(&self, status: u16) {
        self.target_responses[class_of(status)].add(1);
    }

    /// Targets' responses of the class at this place of [`CODE_CLASSES`].
    pub(crate) fn target_responses(&self, class: usize) -> u64 {
        self.target_responses.get(class).map_or(0, Counter::value)
    }

    /// Exchanges of the class at this place of [`CODE_CLASSES`].
    pub(crate) fn requests(&self, class: usize) -> u64 {
        self.requests.get(class).map_or(0, Counter::value)
    }
}

/// The place of a status in [`CODE_CLASSES`].
fn class_of(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => usize::from(class) - 1,
        _ => CODE_CLASSES.len() - 1,
    }
}
