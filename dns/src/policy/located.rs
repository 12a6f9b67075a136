//! Geolocation, ip-based, latency and geoproximity: the first of the client's sets that is healthy,
//! else the first (Route 53 backs out to larger places or farther regions, and answers the smallest
//! or nearest when all are unhealthy).
//!
//! A `dial` works as AWS Global Accelerator's traffic dial: a set takes that share of the clients
//! that it is the first choice of; the rest go to the next healthy set, whatever its own dial, but
//! not to one that is dialled to 0. Clients of a set that is unhealthy go on by health alone.

use super::{Choice, Member, Reason};

/// The set that answers clients for whom `members` are, the first choice first. `key` is the
/// record's, for its dials.
pub(super) fn choose(members: &[&Member], key: u64) -> (Choice, Reason) {
    let Some((first, rest)) = members.split_first() else {
        return (Choice::NOTHING, Reason::NoAnswer);
    };
    if first.healthy {
        let next = rest.iter().find(|member| member.healthy && member.dial > 0);
        return match next {
            Some(next) if first.dial < 100 => (dialled(first, next, key), Reason::Healthy),
            _ => (Choice::One(first.pick()), Reason::Healthy),
        };
    }
    let (member, reason) = match rest.iter().find(|member| member.healthy) {
        Some(next) => (next, Reason::Standby),
        None => (first, Reason::AllUnhealthy),
    };
    (Choice::One(member.pick()), reason)
}

fn dialled(first: &Member, next: &Member, key: u64) -> Choice {
    match first.dial {
        0 => Choice::One(next.pick()),
        share => Choice::Dialled {
            key,
            share,
            own: first.pick(),
            spill: next.pick(),
        },
    }
}
