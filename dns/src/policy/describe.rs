//! A routed record as its policy sees it, in words: for explanations only.
//!
//! The sets' health, order and weights come from the functions that decisions are made by; this
//! file adds names and reasons, and decides nothing.

use conf::{Audience, Config, FailoverRole, Place, Policy, Whereabouts};
use healthcheck::HealthTable;

use super::Routes;
use super::order::distance_km;
use super::plan::EVERYONE;
use super::route::{Route, RouteData, RouteSet, Under};
use super::{Decisions, Member};
use crate::location::{Latencies, Rtt};
use crate::zone::RoutedIdx;

/// A record in words.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) rtype: String,
    pub(crate) policy: &'static str,
    pub(crate) reason: &'static str,
    /// The sum of the weights drawn from.
    pub(crate) weights: Option<u32>,
    pub(crate) sets: Vec<DescribedSet>,
}

/// A set in words.
#[derive(Debug)]
pub(crate) struct DescribedSet {
    pub(crate) id: String,
    /// Its place among the client's choices, from 1.
    pub(crate) choice: Option<usize>,
    pub(crate) healthy: bool,
    pub(crate) health: Vec<String>,
    pub(crate) details: Vec<String>,
    pub(crate) leads_to: String,
}

/// What a description goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Background<'b> {
    pub(crate) config: &'b Config,
    pub(crate) decisions: &'b Decisions,
    pub(crate) health: &'b HealthTable,
    pub(crate) withdrawn: bool,
    /// Seconds since 1970.
    pub(crate) now: u32,
    /// Where the client is.
    pub(crate) there: Whereabouts,
}

impl Routes {
    /// A record for a class of its clients.
    pub(crate) fn describe(
        &self,
        record: RoutedIdx,
        class: u32,
        background: Background<'_>,
    ) -> Option<Described> {
        let route = self.records.get(record as usize)?;
        let decision = background.decisions.get(record)?;
        let class_number = class;
        let class = route.class(class_number);
        let Background {
            decisions,
            health,
            withdrawn,
            now,
            ..
        } = background;
        let under = Under {
            health,
            withdrawn,
            now,
        };
        let members = route.members(&class, decisions, under);
        let sets = route.sets.iter().enumerate().map(|(index, set)| {
            let choice = members
                .iter()
                .position(|member| usize::from(member.set) == index);
            let member = match choice.and_then(|at| members.get(at)) {
                Some(member) => member.clone(),
                None => set.member(index as u16, EVERYONE, decisions, under),
            };
            let choice = match set.fallback {
                true => Some(members.len()),
                false => choice,
            };
            self.describe_set((route, set), &member, choice.map(|at| at + 1), background)
        });
        Some(Described {
            name: route.owner.to_string(),
            rtype: route.rtype.to_string(),
            policy: route.rules.policy.as_str(),
            reason: decision.reason(class_number).as_str(),
            weights: decision.weights(class_number),
            sets: sets.collect(),
        })
    }

    fn describe_set(
        &self,
        (route, set): (&Route, &RouteSet),
        member: &Member,
        choice: Option<usize>,
        background: Background<'_>,
    ) -> DescribedSet {
        DescribedSet {
            id: set.id.to_string(),
            choice,
            healthy: member.healthy,
            health: self.health_words(set, member, background),
            details: detail_words(route, set, background, &self.latencies),
            leads_to: self.target_words(&set.data, background.config),
        }
    }

    /// Why a set is as healthy as it is.
    fn health_words(
        &self,
        set: &RouteSet,
        member: &Member,
        background: Background<'_>,
    ) -> Vec<String> {
        let (config, health) = (background.config, background.health);
        let mut words = Vec::new();
        if member.withdrawn {
            words.push("the own listeners have left DNS".to_owned());
        }
        if let Some((id, at)) = set.check {
            let name = &config.health_check(at).name;
            words.push(match health.check(id) {
                Some(check) if check.healthy => format!("check `{name}` is up"),
                Some(check) if check.description.is_empty() => format!("check `{name}` is down"),
                Some(check) => format!("check `{name}` is down: {}", check.description),
                None => format!("check `{name}` has no result"),
            });
        }
        let evaluated = match &set.data {
            RouteData::Values(_)
            | RouteData::Hinted(_)
            | RouteData::Fixed(_)
            | RouteData::Nowhere => {
                if set.check.is_none() {
                    words.push("no check".to_owned());
                }
                return words;
            }
            _ if !set.evaluate => "its target's health is not evaluated".to_owned(),
            RouteData::Listener(listener) => met(
                listener.is_healthy(health),
                "dns-failover of all its target groups",
            ),
            RouteData::Group(group) => met(group.is_healthy(health), "dns-failover of the group"),
            RouteData::Record(target) => {
                let target = self.records.get(*target as usize).map(Route::title);
                let target = target.unwrap_or_default();
                match member.healthy || set.check.is_some_and(|(id, _)| !up(health, id)) {
                    true => format!("{target} counts by what this client would get from it"),
                    false => format!("{target} has nothing healthy for this client"),
                }
            }
        };
        words.push(evaluated);
        words
    }

    fn target_words(&self, data: &RouteData, config: &Config) -> String {
        match data {
            RouteData::Values(blob) => match blob.view().count() {
                1 => "one value".to_owned(),
                count => format!("{count} values"),
            },
            RouteData::Hinted(values) => {
                let group = &config.group(values.v4.at).name;
                format!("values with addresses of target group `{group}`")
            }
            RouteData::Listener(alias) => {
                format!("listener `{}`", config.listener(alias.listener).name)
            }
            RouteData::Group(alias) => format!("target group `{}`", config.group(alias.at).name),
            RouteData::Fixed(_) => "a record that is not routed".to_owned(),
            RouteData::Record(record) => {
                let target = self.records.get(*record as usize).map(Route::title);
                format!("record {}", target.unwrap_or_default())
            }
            RouteData::Nowhere => "a record that is not served".to_owned(),
        }
    }
}

impl Route {
    fn title(&self) -> String {
        format!("{} {}", self.owner, self.rtype)
    }
}

fn up(health: &HealthTable, check: healthcheck::CheckId) -> bool {
    health.check(check).is_none_or(|check| check.healthy)
}

fn met(is_met: bool, what: &str) -> String {
    match is_met {
        true => format!("{what} is met"),
        false => format!("{what} is not met"),
    }
}

/// What else the policy sees of a set.
fn detail_words(
    route: &Route,
    set: &RouteSet,
    background: Background<'_>,
    latencies: &Latencies,
) -> Vec<String> {
    let Background { config, there, .. } = background;
    let mut words = Vec::new();
    match set.role {
        Some(FailoverRole::Primary) => words.push("primary".to_owned()),
        Some(FailoverRole::Secondary) => words.push("secondary".to_owned()),
        None => {}
    }
    if set.fallback {
        words.push("fallback".to_owned());
        return words;
    }
    match set.audience {
        Audience::Everyone if route.rules.policy == Policy::Weighted => {
            words.push(format!("weight {}", set.weight));
        }
        Audience::Everyone => {}
        Audience::Place(place) if place == Place::default() => words.push("default".to_owned()),
        Audience::Place(place) => words.push(place_words(place)),
        Audience::CidrLocation(None) => words.push("location *".to_owned()),
        Audience::CidrLocation(Some(at)) => {
            let collection = route.collection.map(|index| config.cidr_collection(index));
            let location = collection.and_then(|collection| collection.locations.get(at));
            words.extend(location.map(|location| format!("location {}", location.name)));
        }
        Audience::Region(region) => {
            let name = &config.region(region).name;
            words.push(format!("region {name}"));
            words.push(match latencies.rtt(region, &there) {
                Rtt::Given(ms, whose) => {
                    let unit = format!("ms by [[latency]] of its {}", whose.as_str());
                    measured(ms, &unit)
                }
                Rtt::Measured(ms) => measured(ms, "ms, measured"),
                Rtt::Modelled(ms) => measured(ms, "ms"),
            });
        }
        Audience::Near { coordinates, bias } => {
            let (north, east) = (coordinates.latitude(), coordinates.longitude());
            words.push(format!("at {north:.2} {east:.2}, bias {bias}"));
            words.push(measured(
                distance_km(set.audience, &there),
                "km as it seems",
            ));
        }
    }
    if set.dial < 100 {
        words.push(format!("dial {} %", set.dial));
    }
    words
}

fn place_words(place: Place) -> String {
    match (place.country, place.subdivision, place.continent) {
        (Some(country), Some(state), _) => format!("{country}-{state}"),
        (Some(country), None, _) => country.to_string(),
        (None, _, Some(continent)) => format!("continent {}", continent.as_str()),
        (None, _, None) => "default".to_owned(),
    }
}

fn measured(number: f64, unit: &str) -> String {
    match number.is_finite() {
        true => format!("{number:.1} {unit}"),
        false => format!("unknown {unit}"),
    }
}
