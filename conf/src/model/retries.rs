//! How often failed requests of a target group are tried again.

/// Limits of a group's retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Other attempts of one request, at most; `u32::MAX` = as many as there are targets.
    pub each: u32,
    /// Share of the group's requests, in percent, that may be tried again after a target may have
    /// worked on them; 0 = none.
    pub budget: u32,
    /// Requests that are tried again at a time; 0 = any number.
    pub at_a_time: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            each: u32::MAX,
            budget: 20,
            at_a_time: 0,
        }
    }
}
