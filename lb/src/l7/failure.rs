//! How an exchange can fail, what the client is told, and when another attempt is safe.
//!
//! Pure: made by the relay, judged by the dispatcher. The rule for replay is here and nowhere
//! else: no byte of a response came, and either no byte was written or the request is idempotent
//! and all of it is still held (RFC 9110 section 9.2.2).

use conf::TrafficFailure;
use healthcheck::PassiveFailure;

use super::http1::{Refusal, ResponseFault};
use crate::connect::ConnectError;
use crate::metrics::RejectReason;
use crate::rules::Denial;
use crate::target::End;

/// Why an exchange did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No target to use, or none recovered in time.
    NoChoice(RejectReason),
    /// No target could be connected, and there was no time to wait.
    NoConnection {
        /// True when the last connect timed out.
        timed_out: bool,
    },
    /// No TLS could be agreed on with any target.
    NoTls {
        /// True when the last handshake took too long.
        timed_out: bool,
    },
    /// The target closed its connection before a complete response head.
    TargetClosed,
    /// The target closed its connection within the response body.
    TargetTruncated,
    /// What the target sent is not HTTP.
    Response(ResponseFault),
    /// The target was silent for the group's response timeout.
    ResponseTimeout,
    /// The target's fate ended the exchange.
    TargetEnded(End),
    /// The client closed its connection.
    ClientClosed,
    /// The client took no byte of the response for the idle timeout.
    ClientStalled,
    /// The request, or its body, is malformed.
    Request(Refusal),
    /// The head was not complete in time.
    HeaderTimeout,
    /// No byte of the body came for the idle timeout.
    BodyTimeout,
    /// The body came more slowly than `min-rate`.
    SlowBody,
    /// The client took the response more slowly than `min-rate`.
    SlowClient,
    /// The whole took longer than `request-timeout`.
    RequestTimeout {
        /// The client was waited for.
        of_client: bool,
    },
    /// The group's targets speak another version of HTTP than the client.
    VersionMismatch,
    /// A target that speaks HTTP/2 takes no WebSockets over it.
    NoTunnels,
    /// The redirect's Location is longer than 8 KiB.
    LongLocation,
    /// Its rule does not let it pass.
    Denied(Denial),
}

impl Failure {
    /// What connecting in vain comes to when no other target can be tried.
    pub(super) fn of_connect(error: &ConnectError) -> Self {
        if let ConnectError::Tls(error) = error {
            let timed_out = error.kind() == std::io::ErrorKind::TimedOut;
            return Self::NoTls { timed_out };
        }
        Self::NoConnection {
            timed_out: matches!(error, ConnectError::Target(PassiveFailure::ConnectTimeout)),
        }
    }

    /// The status to answer with while nothing was sent (ELB's, see its list of generated codes);
    /// `None` when nobody is there to read it.
    pub(super) fn status(self) -> Option<u16> {
        match self {
            Self::NoChoice(_) | Self::TargetEnded(End::Shutdown) => Some(503),
            Self::NoConnection { timed_out: true }
            | Self::NoTls { timed_out: true }
            | Self::RequestTimeout { of_client: false }
            | Self::ResponseTimeout => Some(504),
            Self::NoConnection { timed_out: false }
            | Self::NoTls { timed_out: false }
            | Self::TargetClosed
            | Self::TargetTruncated
            | Self::Response(_)
            | Self::TargetEnded(_) => Some(502),
            Self::ClientClosed | Self::ClientStalled | Self::SlowClient => None,
            Self::Request(refusal) => Some(refusal.status()),
            Self::HeaderTimeout
            | Self::BodyTimeout
            | Self::SlowBody
            | Self::RequestTimeout { of_client: true } => Some(408),
            Self::VersionMismatch | Self::NoTunnels => Some(464),
            Self::LongLocation => Some(507),
            Self::Denied(denial) => Some(denial.status()),
        }
    }

    /// The word for the access log and the answer.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NoChoice(reason) => reason.as_str(),
            Self::NoConnection { .. } => "target-connect-failed",
            Self::NoTls { .. } => "target-tls-failed",
            Self::TargetClosed => "target-closed",
            Self::TargetTruncated => "target-truncated",
            Self::Response(fault) => fault.as_str(),
            Self::ResponseTimeout => "target-timeout",
            Self::TargetEnded(End::TargetUnhealthy) => "target-unhealthy",
            Self::TargetEnded(End::TargetDeregistered) => "target-deregistered",
            Self::TargetEnded(End::Shutdown) => "shutdown",
            Self::ClientClosed => "client-closed",
            Self::ClientStalled => "client-stalled",
            Self::Request(refusal) => refusal.as_str(),
            Self::HeaderTimeout => "header-timeout",
            Self::BodyTimeout => "body-timeout",
            Self::SlowBody => "body-too-slow",
            Self::SlowClient => "client-too-slow",
            Self::RequestTimeout { .. } => "request-timeout",
            Self::VersionMismatch => "protocol-version-mismatch",
            Self::NoTunnels => "target-takes-no-tunnels",
            Self::LongLocation => "redirect-too-long",
            Self::Denied(denial) => denial.as_str(),
        }
    }

    /// One sentence for the person who asked.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::NoChoice(RejectReason::NoTarget) => "No target is registered for this request.",
            Self::NoChoice(RejectReason::QueueTimeout) => {
                "Every target has as much work as it may have."
            }
            Self::NoChoice(_) => "No target recovered in time.",
            Self::NoConnection { .. } => "No target could be connected.",
            Self::NoTls { .. } => "No TLS could be agreed on with a target.",
            Self::TargetClosed => "The target closed its connection before it answered.",
            Self::TargetTruncated => "The target closed its connection within its answer.",
            Self::Response(_) => "The target's answer is not valid HTTP.",
            Self::ResponseTimeout => "The target did not answer in time.",
            Self::TargetEnded(End::Shutdown) => "The load balancer is shutting down.",
            Self::TargetEnded(_) => "The target was taken out of service.",
            Self::ClientClosed | Self::ClientStalled | Self::SlowClient => "The client is gone.",
            Self::Request(refusal) => refusal.sentence(),
            Self::HeaderTimeout => "The request head was not complete in time.",
            Self::BodyTimeout => "The request body was not complete in time.",
            Self::SlowBody => "The request body came too slowly.",
            Self::RequestTimeout { .. } => "The request took longer than it may.",
            Self::VersionMismatch => {
                "The targets speak another version of HTTP than the client, or another method is due."
            }
            Self::NoTunnels => {
                "The target does not take WebSockets over HTTP/2 (its settings do not say so, RFC 8441)."
            }
            Self::LongLocation => "The address to redirect to is longer than 8 KiB.",
            Self::Denied(denial) => denial.sentence(),
        }
    }

    /// Appends the fields that its answer has beside the usual ones.
    pub(super) fn write_fields(self, out: &mut Vec<u8>) {
        if let Self::Denied(denial) = self {
            denial.write_fields(out);
        }
    }

    /// How the target is to blame; `None` when it is not, or when that is told where it happened
    /// (connecting).
    pub(super) fn of_target(self) -> Option<TrafficFailure> {
        match self {
            Self::TargetClosed | Self::TargetTruncated | Self::Response(_) => {
                Some(TrafficFailure::Reset)
            }
            Self::ResponseTimeout => Some(TrafficFailure::Timeout),
            _ => None,
        }
    }

    /// What to count it as when it was the request that was refused.
    pub(super) fn reject_reason(self) -> Option<RejectReason> {
        match self {
            Self::NoChoice(reason) => Some(reason),
            Self::NoConnection { .. } | Self::NoTls { .. } => Some(RejectReason::ConnectFailed),
            Self::Request(refusal) if refusal.status() == 431 => Some(RejectReason::HeaderTooLarge),
            Self::Request(Refusal::LargeBody) => Some(RejectReason::BodyTooLarge),
            Self::Request(_) => Some(RejectReason::BadRequest),
            Self::HeaderTimeout => Some(RejectReason::HeaderTimeout),
            Self::Denied(Denial::RateLimited { .. }) => Some(RejectReason::RateLimited),
            Self::Denied(Denial::Token(_)) => Some(RejectReason::Token),
            _ => None,
        }
    }
}

/// What is known when an attempt failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// A write call succeeded on the target's connection.
    pub(super) wrote: bool,
    /// A byte of a response came.
    pub(super) answered: bool,
    /// Sending it twice does what sending it once does.
    pub(super) idempotent: bool,
    /// Everything that was sent can be sent again.
    pub(super) replayable: bool,
}

impl Attempt {
    /// True when the request may be sent to another target (or again on a new connection).
    pub(super) fn may_repeat(self, failure: Failure) -> bool {
        let safe = !self.wrote || (self.idempotent && self.replayable);
        failure == Failure::TargetClosed && !self.answered && safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_another_attempt_is_safe() {
        let attempt = |bits: u8| Attempt {
            wrote: bits & 1 != 0,
            answered: bits & 2 != 0,
            idempotent: bits & 4 != 0,
            replayable: bits & 8 != 0,
        };
        let safe: Vec<u8> = (0..16)
            .filter(|&bits| attempt(bits).may_repeat(Failure::TargetClosed))
            .collect();
        // Nothing written, or idempotent and replayable; never once answered.
        assert_eq!(safe, [0, 4, 8, 12, 13]);
        assert!(!attempt(12).may_repeat(Failure::ResponseTimeout));
        assert!(!attempt(12).may_repeat(Failure::ClientClosed));
    }
}
