//! Failover: the primary while it is healthy, else the secondary while that is, else the primary.

use conf::FailoverRole;

use super::{Choice, Member, Reason};

/// The set that answers.
pub(super) fn choose(members: &[&Member]) -> (Choice, Reason) {
    let of = |role| members.iter().find(|member| member.role == Some(role));
    let (primary, secondary) = (of(FailoverRole::Primary), of(FailoverRole::Secondary));
    let (member, reason) = match (primary, secondary) {
        (Some(primary), _) if primary.healthy => (primary, Reason::Healthy),
        (_, Some(secondary)) if secondary.healthy => (secondary, Reason::Standby),
        (Some(primary), _) => (primary, Reason::AllUnhealthy),
        (None, Some(secondary)) => (secondary, Reason::AllUnhealthy),
        (None, None) => return (Choice::NOTHING, Reason::NoAnswer),
    };
    (Choice::One(member.pick()), reason)
}
