//! Routing policies: what was decided about each routed record, and how it is written.
//!
//! Where a client is counts too: a [`Plan`] says which class of clients it belongs to, and there is a
//! decision for each class. Decisions are made when health changes (by [`Routes`]), one file for each policy, and hold
//! nothing but ready answers and cumulative weights; a query then draws and copies.
//! Route 53's tree rules hold: a set is healthy when its check is and, for an alias that evaluates
//! its target, when something in the target is; what has no healthy set answers as if all were.
//! Cost of a query: a draw and a walk over at most a few dozen weights; no allocation, no lock.

mod alias;
mod describe;
mod failover;
mod located;
pub(crate) mod multivalue;
mod order;
mod plan;
mod routes;
pub(crate) mod simple;
mod weighted;
mod witness;

use std::sync::Arc;

use conf::{FailoverRole, Policy};
use rand::rngs::SmallRng;

pub(crate) use describe::{Background, DescribedSet};
pub(crate) use plan::Plan;
pub(crate) use routes::Routes;
pub(crate) use witness::Witness;

use crate::location::{Client, Found};
use crate::wire::{Blob, Full, Response};
use crate::zone::{BlobPlace, RoutedIdx, ZoneTable};

/// Aliases to records followed at most; the loader refuses cycles.
const MAX_ALIAS_DEPTH: usize = 16;

/// Why a decision is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// From what is healthy.
    Healthy,
    /// The first choice is unhealthy: the secondary, sets of weight 0, or those of a larger place.
    Standby,
    /// Nothing is healthy: as if everything were (the last resort).
    AllUnhealthy,
    /// There is nothing to answer: the own listeners have left DNS, no target may be used, or no
    /// set is for the client.
    NoAnswer,
}

impl Reason {
    /// Every reason, in the order metrics list them.
    pub const ALL: [Self; 4] = [
        Self::Healthy,
        Self::Standby,
        Self::AllUnhealthy,
        Self::NoAnswer,
    ];

    /// The name in metrics and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Standby => "standby",
            Self::AllUnhealthy => "all-unhealthy",
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
}

/// A set as a policy sees it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    set: u16,
    healthy: bool,
    /// A listener that has left DNS: not even a last resort while anything else is there.
    withdrawn: bool,
    weight: u8,
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
}

impl Decision {
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
            Choice::One(_) | Choice::Some { .. } => None,
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

impl Case {
    /// Nothing to answer.
    const NOTHING: Self = Self {
        reason: Reason::NoAnswer,
        choice: Choice::NOTHING,
        healthy: false,
        withdrawn: false,
    };

    /// Decides from the sets that are for the clients, the most exact first.
    fn new(rules: Rules, members: &[Member]) -> Self {
        let withdrawn = !members.is_empty() && members.iter().all(|member| member.withdrawn);
        let present: Vec<&Member> = members
            .iter()
            .filter(|member| withdrawn || !member.withdrawn)
            .collect();
        let (choice, reason) = match rules.policy {
            Policy::Simple => simple::choose(&present),
            Policy::Weighted => weighted::choose(&present),
            Policy::Failover => failover::choose(&present),
            Policy::Multivalue => multivalue::choose(&present, rules.max_answers),
            Policy::Geolocation | Policy::IpBased | Policy::Latency | Policy::Geoproximity => {
                located::choose(&present)
            }
        };
        let empty = present
            .iter()
            .all(|member| member.outcome == Outcome::Nothing);
        Self {
            reason: if empty { Reason::NoAnswer } else { reason },
            choice,
            healthy: members.iter().any(|member| member.healthy),
            withdrawn,
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

/// Writes the answer of a routed record.
pub(crate) struct Writer<'w, 'b, W> {
    /// Where fixed RRsets are.
    pub(crate) zones: &'w ZoneTable,
    /// Where routed ones are.
    pub(crate) decisions: &'w Decisions,
    /// What is written to.
    pub(crate) response: &'w mut Response<'b>,
    /// Where the owner's name stands in the message.
    pub(crate) owner: usize,
    /// The source of draws.
    pub(crate) draw: &'w mut SmallRng,
    /// Who is told of each choice.
    pub(crate) witness: &'w mut W,
}

impl<W: Witness> Writer<'_, '_, W> {
    /// Draws from `record`'s decision for a class of its clients and writes the outcome.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub(crate) fn record(
        &mut self,
        record: RoutedIdx,
        class: u32,
        depth: usize,
    ) -> Result<(), Full> {
        if depth > MAX_ALIAS_DEPTH {
            return Ok(());
        }
        let Some(decision) = self.decisions.get(record) else {
            return Ok(());
        };
        self.witness.decided(record, class, depth);
        match &decision.case(class).choice {
            Choice::One(pick) => self.pick(pick, depth),
            Choice::Weighted(entries) => match weighted::draw(entries, self.draw) {
                Some((pick, point)) => {
                    self.witness.drew(point);
                    self.pick(pick, depth)
                }
                None => Ok(()),
            },
            Choice::Some { picks, most } => {
                for index in multivalue::draw(picks.len(), usize::from(*most), self.draw) {
                    if let Some(pick) = picks.get(index) {
                        self.pick(pick, depth)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn pick(&mut self, pick: &Pick, depth: usize) -> Result<(), Full> {
        self.witness.picked(pick.set, depth);
        match &pick.outcome {
            Outcome::Nothing => Ok(()),
            Outcome::Values(blob) => self.blob(blob),
            Outcome::Fixed(blob) => {
                let view = self.zones.blob(*blob);
                simple::write(self.response, view, self.owner, self.draw)
            }
            Outcome::Some(blobs) => {
                for index in multivalue::draw(blobs.len(), multivalue::MAX_ANSWERS, self.draw) {
                    if let Some(blob) = blobs.get(index) {
                        self.blob(blob)?;
                    }
                }
                Ok(())
            }
            Outcome::Record(record, class) => self.record(*record, *class, depth + 1),
        }
    }

    fn blob(&mut self, blob: &Blob) -> Result<(), Full> {
        simple::write(self.response, blob.view(), self.owner, self.draw)
    }
}
