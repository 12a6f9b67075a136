//! What is remembered of a record's sets from one decision to the next: which were healthy last,
//! since when, and when anything changed last.
//!
//! Kept only for records whose keys ask for it (`all-down = "last-known"`, `slow-start`, `ttl-min`
//! and `ttl-max`). Times are seconds since 1970, 0 for "long ago": what is found at the start is
//! taken to be settled. Pure.

use super::{Member, Outcome};

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    sets: Box<[Past]>,
    /// When health or data of a set changed last.
    pub(super) changed: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Past {
    set: u16,
    healthy: bool,
    /// Since when it is so.
    since: u32,
    /// Healthy when anything was healthy last.
    known: bool,
    /// `None` in another generation, whose data cannot be compared.
    outcome: Option<Outcome>,
}

impl Memory {
    /// After `before`, with the sets as they are `now`.
    pub(super) fn after(before: Option<&Self>, members: &[Member], now: u32) -> Self {
        let any = members.iter().any(|member| member.healthy);
        let mut changed = before.map_or(0, |before| before.changed);
        let sets = members.iter().map(|member| {
            let past = before.and_then(|before| before.of(member.set));
            let flipped = past.is_some_and(|past| past.healthy != member.healthy);
            let data = past.and_then(|past| past.outcome.as_ref());
            if flipped || data.is_some_and(|outcome| *outcome != member.outcome) {
                changed = now;
            }
            Past {
                set: member.set,
                healthy: member.healthy,
                since: match past {
                    Some(past) if !flipped => past.since,
                    Some(_) => now,
                    None => 0,
                },
                known: match any {
                    true => member.healthy,
                    false => past.is_some_and(|past| past.known),
                },
                outcome: Some(member.outcome.clone()),
            }
        });
        Self {
            sets: sets.collect(),
            changed,
        }
    }

    /// The same for a record of another generation, whose sets have other numbers.
    pub(super) fn renumbered(&self, number: impl Fn(u16) -> Option<u16>) -> Self {
        let sets = self.sets.iter().filter_map(|past| {
            Some(Past {
                set: number(past.set)?,
                outcome: None,
                ..past.clone()
            })
        });
        Self {
            sets: sets.collect(),
            changed: self.changed,
        }
    }

    /// True for a set that was healthy when anything was last; for all when that is not known.
    pub(super) fn was_healthy(&self, set: u16) -> bool {
        let nothing_known = !self.sets.iter().any(|past| past.known);
        nothing_known || self.of(set).is_some_and(|past| past.known)
    }

    /// Seconds since a set became healthy, if it did less than `within` ago.
    pub(super) fn grown(&self, set: u16, within: u32, now: u32) -> Option<u32> {
        let past = self.of(set).filter(|past| past.healthy && past.since > 0)?;
        let age = now.saturating_sub(past.since);
        (age < within).then_some(age)
    }

    fn of(&self, set: u16) -> Option<&Past> {
        self.sets.iter().find(|past| past.set == set)
    }
}
