//! Weighted: by weight among healthy sets.
//!
//! Weight 0 is never chosen unless all weights are 0 (then all alike) or every set of another
//! weight is unhealthy (then the healthy ones of weight 0, all alike). When nothing is healthy the
//! draw ignores health. Leaving unhealthy sets out of the table gives the same shares as drawing
//! again without them.

use rand::rngs::SmallRng;

use super::simple::below;
use super::{Choice, Member, Pick, Reason};

/// The table for these sets.
pub(super) fn choose(members: &[&Member]) -> (Choice, Reason) {
    let all_zero = members.iter().all(|member| member.weight == 0);
    let heavy = |member: &&Member| all_zero || member.weight > 0;
    let pick = |keep: &dyn Fn(&&Member) -> bool| -> Vec<&Member> {
        members.iter().copied().filter(|m| keep(m)).collect()
    };
    let attempts = [
        (pick(&|m| m.healthy && heavy(m)), Reason::Healthy),
        (pick(&|m| m.healthy), Reason::Standby),
        (pick(&|m| heavy(m)), Reason::AllUnhealthy),
    ];
    for (chosen, reason) in attempts {
        if !chosen.is_empty() {
            return (table(&chosen), reason);
        }
    }
    (Choice::NOTHING, Reason::NoAnswer)
}

fn table(members: &[&Member]) -> Choice {
    if let [only] = members {
        return Choice::One(only.pick());
    }
    let alike = members.iter().all(|member| member.weight == 0);
    let mut sum = 0;
    let entries = members.iter().map(|member| {
        sum += if alike { 1 } else { member.weight };
        (sum, member.pick())
    });
    Choice::Weighted(entries.collect())
}

/// A pick by weight, and the point drawn below the sum of all weights.
pub(super) fn draw<'e>(entries: &'e [(u32, Pick)], draw: &mut SmallRng) -> Option<(&'e Pick, u32)> {
    let (total, _) = entries.last()?;
    let point = below(draw, *total as usize) as u32;
    let index = entries.partition_point(|(sum, _)| *sum <= point);
    entries.get(index).map(|(_, pick)| (pick, point))
}
