//! Why a gate lets a request not pass: its status, word, sentence and fields. Pure data.

use std::io::Write;

use crate::jwt::TokenFault;

/// A request that a gate did not let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It is over a rate limit.
    RateLimited {
        /// Seconds until one may come.
        retry_after: u32,
    },
    /// It does not carry a good token.
    Token(TokenFault),
    /// What a rewrite made of host or URL cannot stand in a request.
    RewriteFailed,
}

impl Denial {
    /// The status to answer.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::RateLimited { .. } => 429,
            Self::Token(TokenFault::NoKeys) | Self::RewriteFailed => 500,
            Self::Token(_) => 401,
        }
    }

    /// The word for labels and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate-limited",
            Self::Token(fault) => fault.as_str(),
            Self::RewriteFailed => "rewrite-failed",
        }
    }

    /// One sentence for the person who asked.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "Too many requests came in too short a time.",
            Self::Token(fault) => fault.sentence(),
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
            Self::Token(TokenFault::NoKeys) | Self::RewriteFailed => {}
            // Who sent none is told nothing but what is needed (RFC 6750 section 3.1).
            Self::Token(TokenFault::Missing) => {
                out.extend_from_slice(b"WWW-Authenticate: Bearer\r\n");
            }
            Self::Token(fault) => {
                let description = fault.sentence().trim_end_matches('.');
                let _ = write!(
                    out,
                    "WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"{description}\"\r\n"
                );
            }
        }
    }
}
