//! Routing policies: what was decided about each routed record, and how it is written.
//!
//! Where a client is counts too: a [`Plan`] says which class of clients it belongs to, and there is a
//! decision for each class. Decisions are made when health changes (by [`Routes`]), one file for each policy, and hold
//! nothing but ready answers and cumulative weights; a query then draws and copies.
//! Route 53's tree rules hold: a set is healthy when its check is and, for an alias that evaluates
//! its target, when something in the target is; what has no healthy set answers as if all were.
//! Cost of a query: a draw and a walk over at most a few dozen weights; no allocation, no lock.

mod alias;
mod case;
mod describe;
mod failover;
mod hints;
mod located;
mod memory;
pub(crate) mod multivalue;
mod order;
mod plan;
mod route;
mod routes;
pub(crate) mod simple;
mod sticky;
mod weighted;
mod witness;
mod write;

use std::sync::Arc;

use conf::{AllDown, Beyond, FailoverRole, Policy, TtlRange};
pub(crate) use describe::{Background, DescribedSet};
pub(crate) use plan::Plan;
pub(crate) use route::Under;
pub(crate) use routes::Routes;
pub(crate) use witness::Witness;
pub(crate) use write::{Asking, Writer};

use crate::location::{Client, Found};
use crate::wire::Blob;
use crate::zone::{BlobPlace, RoutedIdx};
use memory::Memory;
use sticky::Weighed;

/// Why a decision is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// From what is healthy.
    Healthy,
    /// The first choice is unhealthy: the secondary, sets of weight 0, or those of a larger place.
    Standby,
    /// Nothing is healthy: as if everything were (the last resort).
    AllUnhealthy,
    /// Too few are healthy to believe it: as if everything were (`panic-threshold`).
    Panic,
    /// Nothing is healthy: those that were so last.
    LastKnown,
    /// Nothing is healthy: the fallback set.
    Fallback,
    /// There is nothing to answer: the own listeners have left DNS, no target may be used, no
    /// set is for the client, or nothing is healthy and the record says `all-down = "nodata"`.
    NoAnswer,
}

impl Reason {
    /// Every reason, in the order metrics list them.
    pub const ALL: [Self; 7] = [
        Self::Healthy,
        Self::Standby,
        Self::AllUnhealthy,
        Self::Panic,
        Self::LastKnown,
        Self::Fallback,
        Self::NoAnswer,
    ];

    /// The name in metrics and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Standby => "standby",
            Self::AllUnhealthy => "all-unhealthy",
            Self::Panic => "panic",
            Self::LastKnown => "last-known",
            Self::Fallback => "fallback",
            Self::NoAnswer => "no-answer",
        }
    }
}

/// What choosing a set leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to answer.
    Nothing,
    /// These records.
    Values(Arc<Blob>),
    /// A fixed RRset of the zone.
    Fixed(BlobPlace),
    /// Up to eight of these, drawn anew each time.
    Some(Arc<[Blob]>),
    /// What another routed record answers to this class of its clients.
    Record(RoutedIdx, u32),
}

/// A set that answers, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pick {
    /// The set's place in its record; [`NO_SET`] for none.
    set: u16,
    outcome: Outcome,
}

/// Stands for no set.
const NO_SET: u16 = u16::MAX;

/// How the outcome is chosen per query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Always this one.
    One(Pick),
    /// By weight; each entry holds the sum of the weights up to and including its own.
    Weighted(Box<[(u32, Pick)]>),
    /// So many of these.
    Some {
        /// The sets to draw from.
        picks: Box<[Pick]>,
        /// How many answer at most.
        most: u8,
    },
    /// So many of these, by the client's prefix.
    Sticky {
        /// The record's number.
        key: u64,
        /// The sets to choose from.
        picks: Box<[Weighed]>,
        /// How many answer at most.
        most: u8,
    },
    /// One or the other, by the client's prefix.
    Dialled {
        /// The record's number.
        key: u64,
        /// Per cent of prefixes that get the first.
        share: u8,
        own: Pick,
        spill: Pick,
    },
}

impl Choice {
    /// No answer.
    const NOTHING: Self = Self::One(Pick {
        set: NO_SET,
        outcome: Outcome::Nothing,
    });
}

/// A routed record under one health table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The record's policy.
    pub(crate) policy: Policy,
    /// How it tells clients apart, if it does.
    pub(crate) plan: Option<Arc<Plan>>,
    /// A TTL by health.
    ttl: Option<TtlRange>,
    /// For the first class of clients: all of them, without a plan.
    first: Case,
    /// For the other classes.
    others: Vec<Case>,
}

/// What was decided for a class of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    /// Why it is what it is.
    reason: Reason,
    choice: Choice,
    /// True when some set is healthy: what an alias that evaluates this record sees.
    healthy: bool,
    /// True when every set is a listener that has left DNS.
    withdrawn: bool,
    /// Where the record's keys ask for it.
    memory: Option<Box<Memory>>,
}

/// A set as a policy sees it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    set: u16,
    /// A number for its id.
    id: u64,
    healthy: bool,
    /// A listener that has left DNS: not even a last resort while anything else is there.
    withdrawn: bool,
    weight: u32,
    dial: u8,
    role: Option<FailoverRole>,
    outcome: Outcome,
}

impl Member {
    fn pick(&self) -> Pick {
        Pick {
            set: self.set,
            outcome: self.outcome.clone(),
        }
    }
}

/// What a record says of choosing, beside its sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    policy: Policy,
    max_answers: u8,
    beyond: Beyond,
    /// A number for the record's name.
    key: u64,
}

impl Rules {
    /// True when what was decided before counts.
    fn remember(&self) -> bool {
        let beyond = &self.beyond;
        beyond.all_down == AllDown::LastKnown || beyond.slow_start > 0 || beyond.ttl.is_some()
    }
}

impl Decision {
    /// Nothing to answer, nothing remembered.
    fn nothing() -> Self {
        Self {
            policy: Policy::Simple,
            plan: None,
            ttl: None,
            first: Case::NOTHING,
            others: Vec::new(),
        }
    }

    /// Only what it remembers, for the sets' numbers of another generation.
    fn remembered(&self, number: impl Fn(u16) -> Option<u16>) -> Self {
        let case = |case: &Case| {
            let memory = case
                .memory
                .as_ref()
                .map(|memory| memory.renumbered(&number));
            Case {
                memory: memory.map(Box::new),
                ..Case::NOTHING
            }
        };
        Self {
            first: case(&self.first),
            others: self.others.iter().map(case).collect(),
            ..Self::nothing()
        }
    }

    fn memory(&self, class: u32) -> Option<&Memory> {
        let case = match class.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other as usize),
        };
        case?.memory.as_deref()
    }

    /// True while a set grows to its weight.
    fn is_growing(&self, rules: Rules, now: u32) -> bool {
        let mut cases = std::iter::once(&self.first).chain(&self.others);
        cases.any(|case| case.is_growing(rules, now))
    }

    /// The class of a client, and how much of its address says so.
    pub(crate) fn class_of(&self, client: Client) -> Found {
        match &self.plan {
            None => Found { value: 0, scope: 0 },
            Some(plan) => plan.find(client),
        }
    }

    /// The sum of the weights drawn from, where a draw decides.
    pub(crate) fn weights(&self, class: u32) -> Option<u32> {
        match &self.case(class).choice {
            Choice::Weighted(entries) => entries.last().map(|(sum, _)| *sum),
            Choice::One(_)
            | Choice::Some { .. }
            | Choice::Sticky { .. }
            | Choice::Dialled { .. } => None,
        }
    }

    /// Why it is what it is for a class of clients.
    pub(crate) fn reason(&self, class: u32) -> Reason {
        self.case(class).reason
    }

    fn case(&self, class: u32) -> &Case {
        match class.checked_sub(1) {
            None => &self.first,
            Some(other) => self.others.get(other as usize).unwrap_or(&self.first),
        }
    }
}

/// Every routed record's decision under one health table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decisions(Vec<Arc<Decision>>);

impl Decisions {
    /// One record's.
    pub(crate) fn get(&self, record: RoutedIdx) -> Option<&Decision> {
        self.0.get(record as usize).map(|decision| &**decision)
    }
}
