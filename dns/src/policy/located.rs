//! Geolocation and ip-based: the most exact of the client's sets that is healthy, else the most
//! exact (Route 53 backs out to larger places, and answers the smallest when all are unhealthy).

use super::{Choice, Member, Outcome, Reason};

/// The set that answers clients for whom `members` are, the most exact first.
pub(super) fn choose(members: &[&Member]) -> (Choice, Reason) {
    let Some(first) = members.first() else {
        return (Choice::One(Outcome::Nothing), Reason::NoAnswer);
    };
    let (member, reason) = match members.iter().position(|member| member.healthy) {
        Some(0) => (first, Reason::Healthy),
        Some(at) => (members.get(at).unwrap_or(first), Reason::Standby),
        None => (first, Reason::AllUnhealthy),
    };
    (Choice::One(member.outcome.clone()), reason)
}
