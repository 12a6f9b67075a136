//! Why a gate lets a request not pass: its status, word, sentence and fields. Pure data.

use std::io::Write;

/// A request that a gate did not let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It is over a rate limit.
    RateLimited {
        /// Seconds until one may come.
        retry_after: u32,
    },
    /// What a rewrite made of host or URL cannot stand in a request.
    RewriteFailed,
}

impl Denial {
    /// The status to answer.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::RateLimited { .. } => 429,
            Self::RewriteFailed => 500,
        }
    }

    /// The word for labels and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate-limited",
            Self::RewriteFailed => "rewrite-failed",
        }
    }

    /// One sentence for the person who asked.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "Too many requests came in too short a time.",
            Self::RewriteFailed => {
                "What this request was to be rewritten to cannot stand in a request."
            }
        }
    }

    /// Appends the fields that its answer has beside the usual ones.
    pub(crate) fn write_fields(self, out: &mut Vec<u8>) {
        match self {
            Self::RateLimited { retry_after } => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "Retry-After: {retry_after}\r\n");
            }
            Self::RewriteFailed => {}
        }
    }
}
