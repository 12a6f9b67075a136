//! Routed records resolved to slots, and the decisions that follow from a health table.
//!
//! Made once per configuration generation; asked by the control task whenever health changes. A
//! change costs what the records that name the changed target, group or check cost, and the
//! records whose aliases lead to those, never the whole configuration. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use conf::{
    Audience, CheckIdx, CidrCollection, CollectionIdx, Config, FailoverRole, Policy, RecordType,
    Region,
};
use healthcheck::{Changes, CheckId, GroupId, HealthTable, SlotId, SlotMap};

use super::alias::{GroupAlias, ListenerAlias};
use super::order::{self, Candidate};
use super::plan::{Class, Places, Plan};
use super::{Case, Decision, Decisions, Member, Outcome, Rules};
use crate::load::{RoutedAlias, RoutedData, RoutedRecord, RoutedTarget, Zones};
use crate::location::{Geography, Located};
use crate::name::Name;
use crate::wire::Blob;
use crate::zone::{BlobPlace, RoutedIdx, SetData, ZoneTable};

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) owner: Name,
    pub(super) rtype: RecordType,
    pub(super) collection: Option<CollectionIdx>,
    pub(super) rules: Rules,
    pub(super) sets: Vec<RouteSet>,
    plan: Option<Arc<Plan>>,
}

#[derive(Debug, Clone)]
pub(super) struct RouteSet {
    pub(super) id: Box<str>,
    pub(super) weight: u8,
    pub(super) role: Option<FailoverRole>,
    pub(super) audience: Audience,
    pub(super) check: Option<(CheckId, CheckIdx)>,
    pub(super) evaluate: bool,
    pub(super) data: RouteData,
}

#[derive(Debug, Clone)]
pub(super) enum RouteData {
    Values(Arc<Blob>),
    Listener(ListenerAlias),
    Group(GroupAlias),
    Fixed(BlobPlace),
    Record(RoutedIdx),
    /// An alias to a record that is not served (it is below a cut).
    Nowhere,
}

/// Every routed record of a configuration generation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    pub(super) records: Vec<Route>,
    /// Where clients are, if any record asks.
    pub(crate) geography: Option<Arc<Geography>>,
    /// Aliases after what they lead to.
    order: Vec<RoutedIdx>,
    /// Each record's position in `order`.
    rank: Vec<usize>,
    /// The aliases that lead to each record.
    aliases: Vec<Vec<RoutedIdx>>,
    by_target: HashMap<SlotId, Vec<RoutedIdx>>,
    by_group: HashMap<GroupId, Vec<RoutedIdx>>,
    by_check: HashMap<CheckId, Vec<RoutedIdx>>,
}

impl Routes {
    /// Resolves the routed records of `zones`, in their order.
    pub(crate) fn new(config: &Config, zones: &Zones, slots: &SlotMap, table: &ZoneTable) -> Self {
        let context = Context {
            config,
            slots,
            table,
        };
        let mut routes = Self::default();
        for (zone_index, zone) in zones.zones.iter().enumerate() {
            for record in &zone.routed {
                let sets = record.sets.iter();
                let sets = sets.map(|set| RouteSet {
                    id: set.id.as_str().into(),
                    weight: set.weight,
                    role: set.failover,
                    audience: set.audience,
                    check: set.health_check.and_then(|check| context.check(check)),
                    evaluate: match &set.data {
                        RoutedData::Values(_) => false,
                        RoutedData::Alias(alias) => alias.evaluate_target_health,
                    },
                    data: context.data(zone_index, record, &set.data),
                });
                routes.records.push(Route {
                    owner: record.owner.clone(),
                    rtype: record.rtype,
                    collection: record.cidr_collection,
                    rules: Rules {
                        policy: record.policy,
                        max_answers: record.max_answers,
                    },
                    sets: sets.collect(),
                    plan: None,
                });
            }
        }
        routes.index();
        routes.plan(config, zones.located.as_ref());
        routes
    }

    /// The same records with clients in other places.
    pub(crate) fn relocated(&self, config: &Config, located: &Located) -> Self {
        let mut routes = self.clone();
        routes.plan(config, Some(located));
        routes
    }

    /// Makes every record's plan, aliases after what they lead to.
    fn plan(&mut self, config: &Config, located: Option<&Located>) {
        let geography = || match located {
            Some(located) => Geography::new(config, located),
            None => Geography::new(config, &Located::built_in()),
        };
        let mut places = Places::new(&geography);
        for &record in &self.order {
            let index = record as usize;
            let Some(route) = self.records.get(index) else {
                continue;
            };
            let collection = route.collection.map(|at| config.cidr_collection(at));
            let own = route.own_plan(&mut places, collection, &config.regions);
            let sets = route.sets.iter().enumerate();
            let targets = sets.filter_map(|(set, RouteSet { data, .. })| match data {
                RouteData::Record(target) => {
                    let target = self.records.get(*target as usize)?;
                    Some((set, target.plan.as_deref()?))
                }
                _ => None,
            });
            let plan = Plan::join(own, targets).map(Arc::new);
            if let Some(route) = self.records.get_mut(index) {
                route.plan = plan;
            }
        }
        self.geography = places.made();
    }

    /// Decides every record.
    pub(crate) fn decide_all(&self, health: &HealthTable, withdrawn: bool) -> Decisions {
        let undecided = Arc::new(Decision {
            policy: Policy::Simple,
            plan: None,
            first: Case::NOTHING,
            others: Vec::new(),
        });
        let mut decisions = Decisions(vec![undecided; self.records.len()]);
        for &record in &self.order {
            self.decide(record, &mut decisions, health, withdrawn);
        }
        decisions
    }

    /// Decides again what `changes` touch; `None` when every decision is as it was.
    pub(crate) fn decide_changed<'c>(
        &self,
        previous: &Decisions,
        health: &HealthTable,
        changes: impl Iterator<Item = &'c Changes>,
        withdrawn: bool,
    ) -> Option<Decisions> {
        let touched = self.touched(changes);
        if touched.is_empty() {
            return None;
        }
        let mut decisions = previous.clone();
        for (_, record) in touched {
            self.decide(record, &mut decisions, health, withdrawn);
        }
        (decisions != *previous).then_some(decisions)
    }

    /// Records whose decision may differ, by rank.
    fn touched<'c>(
        &self,
        changes: impl Iterator<Item = &'c Changes>,
    ) -> BTreeSet<(usize, RoutedIdx)> {
        let mut queue: Vec<RoutedIdx> = Vec::new();
        for change in changes {
            let targets = change.targets.iter().filter_map(|t| self.by_target.get(t));
            let groups = change.groups.iter().filter_map(|g| self.by_group.get(g));
            let checks = change.checks.iter().filter_map(|c| self.by_check.get(c));
            queue.extend(targets.chain(groups).chain(checks).flatten());
        }
        let mut touched = BTreeSet::new();
        while let Some(record) = queue.pop() {
            let rank = self.rank.get(record as usize).copied().unwrap_or(0);
            if touched.insert((rank, record)) {
                queue.extend(self.aliases.get(record as usize).into_iter().flatten());
            }
        }
        touched
    }

    fn decide(
        &self,
        record: RoutedIdx,
        decisions: &mut Decisions,
        health: &HealthTable,
        withdrawn: bool,
    ) {
        let Some(route) = self.records.get(record as usize) else {
            return;
        };
        let decision = route.decide(decisions, health, withdrawn);
        if let Some(place) = decisions.0.get_mut(record as usize)
            && **place != decision
        {
            *place = Arc::new(decision);
        }
    }

    /// Fills the reverse indices and the order.
    fn index(&mut self) {
        self.aliases = vec![Vec::new(); self.records.len()];
        for (index, route) in self.records.iter().enumerate() {
            let record = index as RoutedIdx;
            for set in &route.sets {
                if let Some((check, _)) = set.check {
                    self.by_check.entry(check).or_default().push(record);
                }
                match &set.data {
                    RouteData::Values(_) | RouteData::Fixed(_) | RouteData::Nowhere => {}
                    RouteData::Listener(listener) => {
                        for &group in &listener.groups {
                            self.by_group.entry(group).or_default().push(record);
                        }
                    }
                    RouteData::Group(group) => {
                        if let Some(id) = group.group {
                            self.by_group.entry(id).or_default().push(record);
                        }
                        for target in &group.targets {
                            self.by_target.entry(target.slot).or_default().push(record);
                        }
                    }
                    RouteData::Record(target) => {
                        if let Some(aliases) = self.aliases.get_mut(*target as usize) {
                            aliases.push(record);
                        }
                    }
                }
            }
        }
        self.sort();
    }

    /// Orders records so that aliases come after what they lead to (Kahn's way); records of a
    /// cycle, which the loader refuses, come last.
    fn sort(&mut self) {
        let targets = |route: &Route| {
            let is_record = |set: &&RouteSet| matches!(set.data, RouteData::Record(_));
            route.sets.iter().filter(is_record).count()
        };
        let mut waiting_for: Vec<usize> = self.records.iter().map(targets).collect();
        let everyone = 0..self.records.len() as RoutedIdx;
        let mut ready: Vec<RoutedIdx> = everyone
            .clone()
            .filter(|&record| waiting_for.get(record as usize) == Some(&0))
            .collect();
        let mut order = Vec::with_capacity(self.records.len());
        while let Some(record) = ready.pop() {
            order.push(record);
            for &alias in self.aliases.get(record as usize).into_iter().flatten() {
                if let Some(count) = waiting_for.get_mut(alias as usize) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(alias);
                    }
                }
            }
        }
        order.extend(everyone.filter(|&r| waiting_for.get(r as usize).is_some_and(|n| *n > 0)));
        self.rank = vec![0; order.len()];
        for (rank, &record) in order.iter().enumerate() {
            if let Some(place) = self.rank.get_mut(record as usize) {
                *place = rank;
            }
        }
        self.order = order;
    }
}

impl Route {
    /// How its own policy tells clients apart, if it does.
    fn own_plan(
        &self,
        places: &mut Places<'_>,
        collection: Option<&CidrCollection>,
        regions: &[Region],
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
        Some(match self.rules.policy {
            Policy::Geolocation => {
                Plan::of_whereabouts(places, alike(), |there| order::by_place(candidates, there))
            }
            Policy::Latency => Plan::of_whereabouts(places, alike(), |there| {
                order::by_latency(candidates, there, regions)
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
        })
    }

    fn decide(&self, decisions: &Decisions, health: &HealthTable, withdrawn: bool) -> Decision {
        let case = |class: &Class| {
            let members = self.members(class, decisions, health, withdrawn);
            Case::new(self.rules, &members)
        };
        let everyone = [Class::default()];
        let classes = match &self.plan {
            Some(plan) => plan.classes.as_slice(),
            None => &everyone,
        };
        let mut cases = classes.iter().map(case);
        Decision {
            policy: self.rules.policy,
            plan: self.plan.clone(),
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
        health: &HealthTable,
        withdrawn: bool,
    ) -> Vec<Member> {
        let member = |index: usize| {
            let set = self.sets.get(index)?;
            Some(set.member(
                index as u16,
                class.of_target(index),
                decisions,
                health,
                withdrawn,
            ))
        };
        match &class.sets {
            Some(sets) => sets.iter().copied().filter_map(member).collect(),
            None => (0..self.sets.len()).filter_map(member).collect(),
        }
    }
}

impl RouteSet {
    /// The set as its policy sees it, for clients that are of `class` in the record it leads to.
    pub(super) fn member(
        &self,
        number: u16,
        class: u32,
        decisions: &Decisions,
        health: &HealthTable,
        withdrawn: bool,
    ) -> Member {
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
            RouteData::Values(_) | RouteData::Fixed(_) | RouteData::Nowhere => true,
            RouteData::Listener(listener) => listener.is_healthy(health),
            RouteData::Group(group) => group.is_healthy(health),
            RouteData::Record(_) => target.is_some_and(|target| target.healthy),
        };
        let outcome = match &self.data {
            _ if withdrawn => Outcome::Nothing,
            RouteData::Nowhere => Outcome::Nothing,
            RouteData::Values(blob) => Outcome::Values(blob.clone()),
            RouteData::Fixed(blob) => Outcome::Fixed(*blob),
            RouteData::Listener(listener) => listener.outcome(),
            RouteData::Group(group) => group.outcome(health),
            RouteData::Record(record) => Outcome::Record(*record, class),
        };
        Member {
            set: number,
            healthy: !withdrawn && checked && target_healthy,
            withdrawn,
            weight: self.weight,
            role: self.role,
            outcome,
        }
    }
}

struct Context<'c> {
    config: &'c Config,
    slots: &'c SlotMap,
    table: &'c ZoneTable,
}

impl Context<'_> {
    fn check(&self, check: CheckIdx) -> Option<(CheckId, CheckIdx)> {
        let id = self.slots.check(&self.config.health_check(check).name)?;
        Some((id, check))
    }

    fn data(&self, zone: usize, record: &RoutedRecord, data: &RoutedData) -> RouteData {
        let (config, slots, rtype) = (self.config, self.slots, record.rtype);
        let RoutedAlias { target, .. } = match data {
            RoutedData::Alias(alias) => alias,
            RoutedData::Values(values) => {
                let rdatas = values.iter().map(|rdata| &**rdata);
                return RouteData::Values(Arc::new(Blob::new(rtype.0, record.ttl, rdatas)));
            }
        };
        match target {
            RoutedTarget::Listener(listener) => RouteData::Listener(ListenerAlias::new(
                config, slots, *listener, rtype, record.ttl,
            )),
            RoutedTarget::TargetGroup(group) => {
                RouteData::Group(GroupAlias::new(config, slots, *group, rtype, record.ttl))
            }
            RoutedTarget::Record(name) => match self.table.alias_target(zone, name, rtype) {
                Some(SetData::Fixed(blob)) => RouteData::Fixed(blob),
                Some(SetData::Routed(record)) => RouteData::Record(record),
                None => RouteData::Nowhere,
            },
        }
    }
}
