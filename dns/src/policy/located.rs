//! Geolocation, ip-based, latency and geoproximity: the first of the client's sets that is healthy,
//! else the first (Route 53 backs out to larger places or farther regions, and answers the smallest
//! or nearest when all are unhealthy).

use super::{Choice, Member, Reason};

/// The set that answers clients for whom `members` are, the first choice first.
pub(super) fn choose(members: &[&Member]) -> (Choice, Reason) {
    let Some(first) = members.first() else {
        return (Choice::NOTHING, Reason::NoAnswer);
    };
    let (member, reason) = match members.iter().position(|member| member.healthy) {
        Some(0) => (first, Reason::Healthy),
        Some(at) => (members.get(at).unwrap_or(first), Reason::Standby),
        None => (first, Reason::AllUnhealthy),
    };
    (Choice::One(member.pick()), reason)
}
