//! What one piece of real traffic came to, in the words of `passive-health`.
//!
//! Made by the data paths, one for each exchange or flow whose target can be praised or blamed;
//! what the client did wrong has no outcome. Pure.

use conf::TrafficFailure;

/// How a target served one request or flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficOutcome {
    /// Well.
    Success,
    /// Not well.
    Failure(TrafficFailure),
}

impl TrafficOutcome {
    /// The outcome of an answer with this HTTP status.
    pub fn of_status(status: u16) -> Self {
        match status {
            502..=504 => Self::Failure(TrafficFailure::Gateway),
            500.. => Self::Failure(TrafficFailure::ServerError),
            _ => Self::Success,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_blame_the_target_or_do_not() {
        use TrafficFailure::{Gateway, ServerError};
        let http = [
            (0, None),
            (101, None),
            (200, None),
            (404, None),
            (429, None),
            (499, None),
            (500, Some(ServerError)),
            (501, Some(ServerError)),
            (502, Some(Gateway)),
            (503, Some(Gateway)),
            (504, Some(Gateway)),
            (505, Some(ServerError)),
            (999, Some(ServerError)),
        ];
        let failure = |outcome| match outcome {
            TrafficOutcome::Success => None,
            TrafficOutcome::Failure(kind) => Some(kind),
        };
        for (status, kind) in http {
            assert_eq!(failure(TrafficOutcome::of_status(status)), kind, "{status}");
        }
    }
}
