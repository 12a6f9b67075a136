//! Checks that follow a metric: a PromQL expression, compared with a number.

use std::time::Duration;

use super::{Destination, TlsCheck};

/// A PromQL expression that a Prometheus server evaluates.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricCheck {
    /// Where the server is.
    pub server: Destination,
    /// Host header.
    pub host: String,
    /// What stands before `/api/v1/query`: empty, or from `/`.
    pub prefix: String,
    /// Added to the request.
    pub headers: Vec<(String, String)>,
    /// `None` = clear text.
    pub tls: Option<TlsCheck>,
    /// The expression.
    pub query: String,
    /// How a sample is compared with `threshold`.
    pub comparison: Comparison,
    /// Finite.
    pub threshold: f64,
    /// What counts when there is no sample, or no answer.
    pub insufficient_data: InsufficientData,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// From a probe's start to its end.
    pub timeout: Duration,
    /// Results in a row that change the state, either way.
    pub failure_threshold: u32,
}

// The threshold is finite, so equality is an equivalence.
impl Eq for MetricCheck {}

/// How a sample is compared; the check is healthy while it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// Every one, by its sign.
    pub const ALL: [(&'static str, Self); 6] = [
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        (">", Self::Greater),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
    ];

    /// The sign.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// True when `sample` stands so to `threshold`; always false for NaN, but for `!=`.
    pub fn holds(self, sample: f64, threshold: f64) -> bool {
        match self {
            Self::Less => sample < threshold,
            Self::LessOrEqual => sample <= threshold,
            Self::Greater => sample > threshold,
            Self::GreaterOrEqual => sample >= threshold,
            #[expect(clippy::float_cmp, reason = "as PromQL's `==` and `!=` compare")]
            Self::Equal => sample == threshold,
            #[expect(clippy::float_cmp, reason = "as PromQL's `==` and `!=` compare")]
            Self::NotEqual => sample != threshold,
        }
    }
}

/// What counts while there is no data (Route 53 `InsufficientDataHealthStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsufficientData {
    /// A result that the check is healthy.
    Healthy,
    /// A result that it is not.
    Unhealthy,
    /// Nothing: the state stays as it is; a new check is healthy.
    LastKnown,
}

impl InsufficientData {
    /// Every one, by its word.
    pub const ALL: [(&'static str, Self); 3] = [
        ("healthy", Self::Healthy),
        ("unhealthy", Self::Unhealthy),
        ("last-known", Self::LastKnown),
    ];
}
