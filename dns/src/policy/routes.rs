//! Routed records resolved to slots, and the decisions that follow from a health table.
//!
//! Made once per configuration generation; asked by the control task whenever health changes. A
//! change costs what the records that name the changed target, group or check cost, and the
//! records whose aliases lead to those, never the whole configuration. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use conf::{CheckIdx, Config, Policy, RecordType};
use healthcheck::{Changes, CheckId, GroupId, SlotId, SlotMap};

use super::alias::{GroupAlias, ListenerAlias};
use super::hints::HintedValues;
use super::plan::{Places, Plan};
use super::route::{Route, RouteData, RouteSet, Under};
use super::sticky;
use super::{Decision, Decisions, Rules};
use crate::load::{RoutedAlias, RoutedData, RoutedRecord, RoutedTarget, Zones};
use crate::location::{Geography, Latencies, Located, Measured};
use crate::name::Name;
use crate::wire::Blob;
use crate::zone::{RoutedIdx, SetData, ZoneTable};

/// Every routed record of a configuration generation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    pub(super) records: Vec<Route>,
    /// Where clients are, if any record asks.
    pub(crate) geography: Option<Arc<Geography>>,
    /// How long packets take.
    pub(super) latencies: Latencies,
    /// Round-trip times of clients that the latencies know of.
    pub(crate) measured: Measured,
    /// Aliases after what they lead to.
    order: Vec<RoutedIdx>,
    /// Each record's position in `order`.
    rank: Vec<usize>,
    /// The aliases that lead to each record.
    aliases: Vec<Vec<RoutedIdx>>,
    /// Records whose sets grow to their weights.
    growing: Vec<RoutedIdx>,
    by_target: HashMap<SlotId, Vec<RoutedIdx>>,
    by_group: HashMap<GroupId, Vec<RoutedIdx>>,
    by_check: HashMap<CheckId, Vec<RoutedIdx>>,
}

impl Routes {
    /// Resolves the routed records of `zones`, in their order.
    pub(crate) fn new(
        config: &Config,
        zones: &Zones,
        slots: &SlotMap,
        table: &ZoneTable,
        measured: Measured,
    ) -> Self {
        let context = Context {
            config,
            slots,
            table,
        };
        let mut routes = Self {
            measured,
            ..Self::default()
        };
        for (zone_index, zone) in zones.zones.iter().enumerate() {
            for record in &zone.routed {
                let sets = record.sets.iter();
                let sets = sets.map(|set| RouteSet {
                    id: set.id.as_str().into(),
                    weight: set.weight,
                    role: set.failover,
                    audience: set.audience,
                    dial: set.dial,
                    fallback: set.fallback,
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
                        beyond: record.beyond,
                        key: sticky::number(record.owner.to_lower().as_wire()),
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

    /// The same records with other times of clients.
    pub(crate) fn remeasured(
        &self,
        config: &Config,
        located: Option<&Located>,
        measured: Measured,
    ) -> Self {
        let mut routes = Self {
            measured,
            ..self.clone()
        };
        routes.plan(config, located);
        routes
    }

    /// True when any record goes by round-trip times.
    pub(crate) fn go_by_latency(&self) -> bool {
        let mut records = self.records.iter();
        records.any(|route| route.rules.policy == Policy::Latency)
    }

    /// Makes every record's plan, aliases after what they lead to.
    fn plan(&mut self, config: &Config, located: Option<&Located>) {
        let geography = || match located {
            Some(located) => Geography::new(config, located, &self.measured),
            None => Geography::new(config, &Located::built_in(), &self.measured),
        };
        let mut places = Places::new(&geography);
        self.latencies = Latencies::new(config, &self.measured);
        for &record in &self.order {
            let index = record as usize;
            let Some(route) = self.records.get(index) else {
                continue;
            };
            let collection = route.collection.map(|at| config.cidr_collection(at));
            let own = route.own_plan(&mut places, collection, &self.latencies);
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

    /// Decides every record. `before`: what was decided for the same records, if anything.
    pub(crate) fn decide_all(&self, before: Option<&Decisions>, under: Under<'_>) -> Decisions {
        let undecided = Arc::new(Decision::nothing());
        let mut decisions = match before {
            Some(before) if before.0.len() == self.records.len() => before.clone(),
            _ => Decisions(vec![undecided; self.records.len()]),
        };
        for &record in &self.order {
            self.decide(record, &mut decisions, under);
        }
        decisions
    }

    /// What another generation remembered of records that are in this one too.
    pub(crate) fn inherit(&self, from: &Self, decided: &Decisions) -> Decisions {
        let nothing = Arc::new(Decision::nothing());
        let remember = |route: &Route| route.rules.remember();
        let mut theirs: HashMap<(Name, RecordType), usize> = HashMap::new();
        if self.records.iter().any(remember) {
            let records = from.records.iter().enumerate();
            let records = records.filter(|(_, route)| remember(route));
            theirs.extend(records.map(|(at, route)| ((route.owner.clone(), route.rtype), at)));
        }
        let inherited = self.records.iter().map(|route| {
            let at = theirs.get(&(route.owner.clone(), route.rtype));
            let found = at.and_then(|at| Some((from.records.get(*at)?, decided.0.get(*at)?)));
            found.map_or_else(
                || nothing.clone(),
                |(other, decision)| {
                    let number = |set: u16| {
                        let id = &other.sets.get(usize::from(set))?.id;
                        let at = route.sets.iter().position(|set| set.id == *id)?;
                        u16::try_from(at).ok()
                    };
                    Arc::new(decision.remembered(number))
                },
            )
        });
        Decisions(inherited.collect())
    }

    /// Decides again the records whose sets grow; `None` when none does.
    pub(crate) fn decide_growing(&self, before: &Decisions, under: Under<'_>) -> Option<Decisions> {
        let growing = self.growing.iter().copied();
        let growing: Vec<RoutedIdx> = growing
            .filter(|record| {
                let route = self.records.get(*record as usize);
                let decided = route.zip(before.get(*record));
                decided.is_some_and(|(route, decision)| decision.is_growing(route.rules, under.now))
            })
            .collect();
        if growing.is_empty() {
            return None;
        }
        let mut decisions = before.clone();
        for record in growing {
            self.decide(record, &mut decisions, under);
        }
        Some(decisions)
    }

    /// Decides again what `changes` touch; `None` when every decision is as it was.
    pub(crate) fn decide_changed<'c>(
        &self,
        previous: &Decisions,
        changes: impl Iterator<Item = &'c Changes>,
        under: Under<'_>,
    ) -> Option<Decisions> {
        let touched = self.touched(changes);
        if touched.is_empty() {
            return None;
        }
        let mut decisions = previous.clone();
        for (_, record) in touched {
            self.decide(record, &mut decisions, under);
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

    /// In `decisions` stands what was decided before.
    fn decide(&self, record: RoutedIdx, decisions: &mut Decisions, under: Under<'_>) {
        let Some(route) = self.records.get(record as usize) else {
            return;
        };
        let before = decisions.0.get(record as usize).cloned();
        let decision = route.decide(before.as_deref(), decisions, under);
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
            if route.rules.beyond.slow_start > 0 {
                self.growing.push(record);
            }
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
                    // Both families have the same targets.
                    RouteData::Hinted(values) => {
                        for target in &values.v4.targets {
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
                if let Some(group) = record.hints {
                    let family = |family| GroupAlias::new(config, slots, group, family, record.ttl);
                    return RouteData::Hinted(Box::new(HintedValues {
                        v4: family(RecordType::A),
                        v6: family(RecordType::AAAA),
                        rtype,
                        ttl: record.ttl,
                        values: values.clone(),
                    }));
                }
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
