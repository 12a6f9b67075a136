//! Why and for how long a target is ejected, and why one is not: with the numbers, for people.
//!
//! Made by the detector and the board; shown in the target's description, in the log and in
//! metrics. Pure data.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// What a target is ejected for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cause {
    /// So many failures in a row.
    Consecutive {
        /// So many.
        failures: u32,
    },
    /// Too large a share of failures.
    FailurePercentage {
        /// Failures within the interval.
        failures: u64,
        /// Requests within the interval.
        requests: u64,
    },
    /// Fewer successes than the others have.
    SuccessRate {
        /// Successes within the interval.
        successes: u64,
        /// Requests within the interval.
        requests: u64,
        /// The mean of the group's success rates, in percent.
        mean: f64,
        /// Below this one is an outlier, in percent.
        floor: f64,
    },
}

impl Cause {
    /// Every word of [`Cause::as_str`].
    pub(crate) const WORDS: [&'static str; 3] = [
        "consecutive-failures",
        "failure-percentage",
        "success-rate-deviation",
    ];

    /// The number of the configuration that it follows from, as metrics have it.
    pub(crate) fn as_str(self) -> &'static str {
        let [consecutive, percentage, deviation] = Self::WORDS;
        match self {
            Self::Consecutive { .. } => consecutive,
            Self::FailurePercentage { .. } => percentage,
            Self::SuccessRate { .. } => deviation,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consecutive { failures } => write!(f, "{failures} failures in a row"),
            Self::FailurePercentage { failures, requests } => {
                write!(f, "{failures} of {requests} requests failed")
            }
            Self::SuccessRate {
                successes,
                requests,
                mean,
                floor,
            } => write!(
                f,
                "{successes} of {requests} requests succeeded, where the group's mean is \
                 {mean:.1} % and less than {floor:.1} % is an outlier"
            ),
        }
    }
}

/// A target out of use by what traffic saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ejection {
    pub(crate) cause: Cause,
    /// The how manieth, those that clean time has made good not counted.
    pub(crate) number: u32,
    pub(crate) since: Instant,
    pub(crate) until: Instant,
}

impl Ejection {
    /// How long it lasts.
    pub(crate) fn duration(&self) -> Duration {
        self.until - self.since
    }
}

impl fmt::Display for Ejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration().as_secs_f64();
        let number = self.number;
        write!(
            f,
            "Ejected for {seconds:.1} s (ejection {number}): {}",
            self.cause
        )
    }
}

/// Why a target that should be ejected is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `max-ejected-percentage`.
    MaxEjected {
        ejected: usize,
        registered: usize,
        allowed: usize,
    },
    /// Too few healthy targets would be left.
    TooFewLeft {
        /// Healthy targets left without it.
        left: u32,
        registered: u32,
    },
}

impl Limit {
    /// Every word of [`Limit::as_str`].
    pub(crate) const WORDS: [&'static str; 2] = ["max-ejected-percentage", "too-few-left"];

    /// The word in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        let [max_ejected, too_few_left] = Self::WORDS;
        match self {
            Self::MaxEjected { .. } => max_ejected,
            Self::TooFewLeft { .. } => too_few_left,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxEjected {
                ejected,
                registered,
                allowed,
            } => write!(
                f,
                "{ejected} of {registered} are ejected already, and max-ejected-percentage allows \
                 {allowed}"
            ),
            Self::TooFewLeft { left, registered } => write!(
                f,
                "{left} of {registered} targets would be left healthy, and the group would fail \
                 open"
            ),
        }
    }
}
