//! Limits on how often requests may come.

use std::fmt;
use std::time::Duration;

use crate::scalar::Shown;

/// Requests at most in a time, of a rule or of a whole listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimit {
    /// How many, at least 1.
    pub requests: u32,
    /// In how long.
    pub per: Duration,
    /// How many may come at once after a pause, at least 1.
    pub burst: u32,
    /// Which requests share the limit.
    pub key: LimitKey,
    /// Only counts and logs what it would refuse.
    pub dry_run: bool,
}

/// What requests have in common that share a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// All of them.
    All,
    /// The client's address; of IPv6 its /64.
    Source,
    /// A header field's value; requests without it share one limit.
    Header(String),
    /// A cookie's value; requests without it share one limit.
    Cookie(String),
}

impl RequestLimit {
    /// Time between two requests at the full rate, in nanoseconds, at least 1.
    pub fn interval(&self) -> u64 {
        let per = u64::try_from(self.per.as_nanos()).unwrap_or(u64::MAX);
        (per / u64::from(self.requests.max(1))).max(1)
    }
}

impl fmt::Display for RequestLimit {
    /// For people: `100 in 1s by source, 200 at once`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.requests, self.per.shown())?;
        match &self.key {
            LimitKey::All => {}
            LimitKey::Source => f.write_str(" by source")?,
            LimitKey::Header(name) => write!(f, " by header {name}")?,
            LimitKey::Cookie(name) => write!(f, " by cookie {name}")?,
        }
        if self.burst != self.requests {
            write!(f, ", {} at once", self.burst)?;
        }
        match self.dry_run {
            true => f.write_str(" (dry run)"),
            false => Ok(()),
        }
    }
}
