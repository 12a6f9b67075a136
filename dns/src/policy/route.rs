//! One routed record resolved to slots: its sets as its policy sees them, and its decision.
//!
//! Made and asked by [`Routes`](super::Routes), never per query. Pure.

use std::sync::Arc;

use conf::{Audience, CheckIdx, CidrCollection, CollectionIdx, FailoverRole, Policy, RecordType};
use healthcheck::{CheckId, HealthTable};

use super::alias::{GroupAlias, ListenerAlias};
use super::case::Sets;
use super::hints::HintedValues;
use super::order::{self, Candidate};
use super::plan::{Class, Places, Plan};
use super::{Case, Decision, Decisions, Member, Outcome, Rules, sticky};
use crate::location::Latencies;
use crate::name::Name;
use crate::wire::Blob;
use crate::zone::{BlobPlace, RoutedIdx};

/// What records are decided under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under<'h> {
    pub(crate) health: &'h HealthTable,
    /// The own listeners have left DNS.
    pub(crate) withdrawn: bool,
    /// Seconds since 1970.
    pub(crate) now: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) owner: Name,
    pub(super) rtype: RecordType,
    pub(super) collection: Option<CollectionIdx>,
    pub(super) rules: Rules,
    pub(super) sets: Vec<RouteSet>,
    pub(super) plan: Option<Arc<Plan>>,
}

#[derive(Debug, Clone)]
pub(super) struct RouteSet {
    pub(super) id: Box<str>,
    pub(super) weight: u8,
    pub(super) role: Option<FailoverRole>,
    pub(super) audience: Audience,
    pub(super) dial: u8,
    pub(super) fallback: bool,
    pub(super) check: Option<(CheckId, CheckIdx)>,
    pub(super) evaluate: bool,
    pub(super) data: RouteData,
}

#[derive(Debug, Clone)]
pub(super) enum RouteData {
    Values(Arc<Blob>),
    /// Values that name a group's addresses.
    Hinted(Box<HintedValues>),
    Listener(ListenerAlias),
    Group(GroupAlias),
    Fixed(BlobPlace),
    Record(RoutedIdx),
    /// An alias to a record that is not served (it is below a cut).
    Nowhere,
}

impl Route {
    /// How its own policy tells clients apart, if it does.
    pub(super) fn own_plan(
        &self,
        places: &mut Places<'_>,
        collection: Option<&CidrCollection>,
        latencies: &Latencies,
    ) -> Option<Plan> {
        let candidates: Vec<Candidate<'_>> = self
            .sets
            .iter()
            .map(|set| Candidate {
                id: &set.id,
                audience: set.audience,
            })
            .collect();
        let candidates = candidates.as_slice();
        let alike = || {
            let sets = self.sets.iter().map(|set| (set.id.clone(), set.audience));
            (self.rules.policy, sets.collect())
        };
        let plan = match self.rules.policy {
            Policy::Geolocation => {
                Plan::of_whereabouts(places, alike(), |there| order::by_place(candidates, there))
            }
            Policy::Latency => Plan::of_whereabouts(places, alike(), |there| {
                order::by_latency(candidates, there, latencies)
            }),
            Policy::Geoproximity => Plan::of_whereabouts(places, alike(), |there| {
                order::by_distance(candidates, there)
            }),
            Policy::IpBased => {
                let audiences: Vec<Audience> = self.sets.iter().map(|set| set.audience).collect();
                Plan::of_collection(&audiences, collection?)
            }
            Policy::Simple | Policy::Weighted | Policy::Failover | Policy::Multivalue => {
                return None;
            }
        };
        let fallback = self.sets.iter().position(|set| set.fallback);
        Some(match fallback {
            Some(set) => plan.with_set(set),
            None => plan,
        })
    }

    pub(super) fn decide(
        &self,
        before: Option<&Decision>,
        decisions: &Decisions,
        under: Under<'_>,
    ) -> Decision {
        let case = |(number, class): (u32, &Class)| {
            let members = self.members(class, decisions, under);
            let fallback = self.fallback(class, decisions, under);
            let sets = Sets {
                members: &members,
                fallback: fallback.as_ref(),
            };
            let memory = before.and_then(|before| before.memory(number));
            Case::new(self.rules, sets, memory, under.now)
        };
        let everyone = [Class::default()];
        let classes = match &self.plan {
            Some(plan) => plan.classes.as_slice(),
            None => &everyone,
        };
        let mut cases = (0..).zip(classes).map(case);
        Decision {
            policy: self.rules.policy,
            plan: self.plan.clone(),
            ttl: self.rules.beyond.ttl,
            first: cases.next().unwrap_or(Case::NOTHING),
            others: cases.collect(),
        }
    }

    /// A class of its clients.
    pub(super) fn class(&self, number: u32) -> Class {
        let classes = self.plan.as_ref().map(|plan| plan.classes.as_slice());
        let found = classes.and_then(|classes| classes.get(number as usize));
        found.cloned().unwrap_or_default()
    }

    /// The sets as the policy sees them for a class of its clients, the first choice first.
    pub(super) fn members(
        &self,
        class: &Class,
        decisions: &Decisions,
        under: Under<'_>,
    ) -> Vec<Member> {
        let member = |index: usize| {
            let set = self.sets.get(index).filter(|set| !set.fallback)?;
            Some(set.member(index as u16, class.of_target(index), decisions, under))
        };
        match &class.sets {
            Some(sets) => sets.iter().copied().filter_map(member).collect(),
            None => (0..self.sets.len()).filter_map(member).collect(),
        }
    }

    /// The set for when none of the others is healthy.
    fn fallback(&self, class: &Class, decisions: &Decisions, under: Under<'_>) -> Option<Member> {
        let index = self.sets.iter().position(|set| set.fallback)?;
        let set = self.sets.get(index)?;
        Some(set.member(index as u16, class.of_target(index), decisions, under))
    }
}

impl RouteSet {
    /// The set as its policy sees it, for clients that are of `class` in the record it leads to.
    pub(super) fn member(
        &self,
        number: u16,
        class: u32,
        decisions: &Decisions,
        under: Under<'_>,
    ) -> Member {
        let Under {
            health, withdrawn, ..
        } = under;
        let target = match &self.data {
            RouteData::Record(record) => decisions.get(*record).map(|target| target.case(class)),
            _ => None,
        };
        let withdrawn = match &self.data {
            RouteData::Listener(_) => withdrawn,
            _ => target.is_some_and(|target| target.withdrawn),
        };
        let check = self.check.and_then(|(check, _)| health.check(check));
        let checked = check.is_none_or(|check| check.healthy);
        let target_healthy = match &self.data {
            _ if !self.evaluate => true,
            RouteData::Values(_)
            | RouteData::Hinted(_)
            | RouteData::Fixed(_)
            | RouteData::Nowhere => true,
            RouteData::Listener(listener) => listener.is_healthy(health),
            RouteData::Group(group) => group.is_healthy(health),
            RouteData::Record(_) => target.is_some_and(|target| target.healthy),
        };
        let outcome = match &self.data {
            _ if withdrawn => Outcome::Nothing,
            RouteData::Nowhere => Outcome::Nothing,
            RouteData::Values(blob) => Outcome::Values(blob.clone()),
            RouteData::Hinted(values) => values.outcome(health),
            RouteData::Fixed(blob) => Outcome::Fixed(*blob),
            RouteData::Listener(listener) => listener.outcome(),
            RouteData::Group(group) => group.outcome(health),
            RouteData::Record(record) => Outcome::Record(*record, class),
        };
        Member {
            set: number,
            id: sticky::number(self.id.as_bytes()),
            healthy: !withdrawn && checked && target_healthy,
            withdrawn,
            weight: u32::from(self.weight),
            dial: self.dial,
            role: self.role,
            outcome,
        }
    }
}
