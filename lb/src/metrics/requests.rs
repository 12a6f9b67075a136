//! What one worker counts of a listener's requests beside how they ended: what Application Load
//! Balancers count, under our names.
//!
//! Cost: nothing for a request that a target answered and no rule, token or gRPC is about.

use super::Counter;

/// Statuses that the balancer itself answers, most of them ELB's and a fixed response's; others share the
/// last place.
const CODES: [u16; 25] = [
    200, 301, 302, 400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 426, 429, 431, 460, 463, 464,
    500, 501, 502, 503, 504, 507,
];

/// Counters of requests.
#[derive(Debug, Default)]
pub(crate) struct RequestCounters {
    generated: [Counter; CODES.len() + 1],
    /// Requests that were answered with another address (ELB `HTTP_Redirect_Count`).
    pub(crate) redirects: Counter,
    /// Requests that were answered as the file says (ELB `HTTP_Fixed_Response_Count`).
    pub(crate) fixed_responses: Counter,
    /// Rules that were looked at (ELB `RuleEvaluations`).
    pub(crate) rules: Counter,
    /// Calls of gRPC (ELB `GrpcRequestCount`).
    pub(crate) grpc: Counter,
    /// Requests that lost fields with invalid names (ELB `DroppedInvalidHeaderRequestCount`).
    pub(crate) invalid_fields: Counter,
    /// Requests whose token was good (ELB `JWTValidationSuccessCount`).
    pub(crate) tokens: Counter,
}

impl RequestCounters {
    /// Counts a response of the balancer's own.
    pub(crate) fn generated(&self, status: u16) {
        let place = CODES.iter().position(|code| *code == status);
        if let Some(counter) = self.generated.get(place.unwrap_or(CODES.len())) {
            counter.add(1);
        }
    }

    /// The label of each place of [`RequestCounters::responses`].
    pub(crate) fn codes() -> impl Iterator<Item = String> {
        let known = CODES.iter().map(u16::to_string);
        known.chain(std::iter::once("other".to_owned()))
    }

    /// Responses of the balancer's own, by the order of `codes`.
    pub(crate) fn responses(&self, place: usize) -> u64 {
        self.generated.get(place).map_or(0, Counter::value)
    }
}
