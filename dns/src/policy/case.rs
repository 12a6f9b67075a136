//! What is decided for one class of a record's clients: the policy's choice under the record's rules
//! for when too few sets are healthy, or none.
//!
//! Called when health changes, never per query. Pure.

use conf::{AllDown, Policy};

use super::memory::Memory;
use super::{
    Case, Choice, Member, Outcome, Reason, Rules, failover, located, multivalue, simple, sticky,
    weighted,
};

/// A growing set's weight is a whole number of these of its own.
const PARTS: u32 = 100;

/// The sets a class of clients may get.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sets<'m> {
    /// Those the policy chooses from, the first choice first.
    pub(super) members: &'m [Member],
    /// The one for when none of them is healthy.
    pub(super) fallback: Option<&'m Member>,
}

impl Case {
    /// Nothing to answer.
    pub(super) const NOTHING: Self = Self {
        reason: Reason::NoAnswer,
        choice: Choice::NOTHING,
        healthy: false,
        withdrawn: false,
        memory: None,
    };

    /// Decides from the sets that are for the clients. `before` is what was remembered, `now`
    /// seconds since 1970.
    pub(super) fn new(rules: Rules, sets: Sets<'_>, before: Option<&Memory>, now: u32) -> Self {
        let members = sets.members;
        let memory = rules
            .remember()
            .then(|| Memory::after(before, members, now));
        let withdrawn = !members.is_empty() && members.iter().all(|member| member.withdrawn);
        let present: Vec<&Member> = members
            .iter()
            .filter(|member| withdrawn || !member.withdrawn)
            .collect();
        let (choice, reason) = match decided(rules, &present, sets.fallback, memory.as_ref()) {
            Some(decided) => decided,
            None => grown(rules, &present, memory.as_ref(), now),
        };
        let empty = match reason {
            Reason::Fallback => sets
                .fallback
                .is_none_or(|set| set.outcome == Outcome::Nothing),
            _ => present
                .iter()
                .all(|member| member.outcome == Outcome::Nothing),
        };
        Self {
            reason: if empty { Reason::NoAnswer } else { reason },
            choice: match rules.beyond.sticky {
                true => sticky::instead(choice, &present, rules.key),
                false => choice,
            },
            healthy: members.iter().any(|member| member.healthy),
            withdrawn,
            memory: memory.map(Box::new),
        }
    }

    /// True while a set grows to its weight.
    pub(super) fn is_growing(&self, rules: Rules, now: u32) -> bool {
        let within = rules.beyond.slow_start;
        let picks = match &self.choice {
            Choice::Weighted(entries) => entries.iter().map(|(_, pick)| pick.set).collect(),
            Choice::Sticky { picks, .. } => picks.iter().map(|weighed| weighed.pick.set).collect(),
            Choice::One(_) | Choice::Some { .. } | Choice::Dialled { .. } => Vec::new(),
        };
        let memory = self.memory.as_deref();
        // One step past its end, so that the last step is made.
        let grows = |memory: &Memory, set| memory.grown(set, within.saturating_add(2), now);
        memory.is_some_and(|memory| picks.into_iter().any(|set| grows(memory, set).is_some()))
    }
}

/// What the record's own rules decide when none, or too few, of the sets are healthy; `None`: the
/// policy decides.
fn decided(
    rules: Rules,
    present: &[&Member],
    fallback: Option<&Member>,
    memory: Option<&Memory>,
) -> Option<(Choice, Reason)> {
    if present.is_empty() {
        return None;
    }
    let healthy = present.iter().filter(|member| member.healthy).count();
    if healthy > 0 {
        let threshold = usize::from(rules.beyond.panic_threshold);
        let enough = healthy * 100 >= threshold * present.len();
        return (!enough).then(|| {
            let (choice, _) = as_if(rules, present, |_| true);
            (choice, Reason::Panic)
        });
    }
    match rules.beyond.all_down {
        AllDown::FailOpen => None,
        AllDown::Nodata => Some((Choice::NOTHING, Reason::NoAnswer)),
        AllDown::Fallback => {
            let set = fallback.filter(|set| !set.withdrawn)?;
            Some((Choice::One(set.pick()), Reason::Fallback))
        }
        AllDown::LastKnown => {
            let memory = memory?;
            let (choice, _) = as_if(rules, present, |member| memory.was_healthy(member.set));
            Some((choice, Reason::LastKnown))
        }
    }
}

/// The policy's choice as if these sets were healthy.
fn as_if(rules: Rules, present: &[&Member], healthy: impl Fn(&Member) -> bool) -> (Choice, Reason) {
    let members: Vec<Member> = present
        .iter()
        .map(|member| Member {
            healthy: healthy(member),
            ..(*member).clone()
        })
        .collect();
    let members: Vec<&Member> = members.iter().collect();
    choose(rules, &members)
}

/// The policy's choice, sets that became healthy of late at a part of their weight.
fn grown(rules: Rules, present: &[&Member], memory: Option<&Memory>, now: u32) -> (Choice, Reason) {
    let within = rules.beyond.slow_start;
    let age = |member: &Member| memory.and_then(|memory| memory.grown(member.set, within, now));
    if within == 0 || !present.iter().any(|member| age(member).is_some()) {
        return choose(rules, present);
    }
    let grown = |member: &Member| {
        let part = age(member).map_or(PARTS, |age| (PARTS * age / within).max(1));
        Member {
            weight: member.weight * part,
            ..member.clone()
        }
    };
    let members: Vec<Member> = present.iter().map(|member| grown(member)).collect();
    let members: Vec<&Member> = members.iter().collect();
    choose(rules, &members)
}

fn choose(rules: Rules, present: &[&Member]) -> (Choice, Reason) {
    match rules.policy {
        Policy::Simple => simple::choose(present),
        Policy::Weighted => weighted::choose(present),
        Policy::Failover => failover::choose(present),
        Policy::Multivalue => multivalue::choose(present, rules.max_answers),
        Policy::Geolocation | Policy::IpBased | Policy::Latency | Policy::Geoproximity => {
            located::choose(present, rules.key)
        }
    }
}
