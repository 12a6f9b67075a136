//! What follows from the configuration alone: listeners with their routes, and the indices that
//! `compile` and the accept loops use. Made by the control task at commit, once per configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use conf::{Address, Config};
use healthcheck::SlotMap;

use crate::filter::Filter;
use crate::jwt::{Keyrings, Validator};
use crate::l4::Sources;
use crate::l7::desync::Strictness;
use crate::l7::headers::{RequestEdits, ResponseEdits};
use crate::l7::{ErrorPages, PaceLimits};
use crate::limits::ListenerLoad;
use crate::metrics::Registry;
use crate::rules::{
    Action, Branch, FixedResponse, Forward, Gate, Limit, Redirect, Rule, Rules, Usage,
};
use crate::snapshot::{GroupIndex, Listener, Plan, Route, Tally};
use crate::sockets::{SocketKey, binds};
use crate::sticky::{KeyRing, Sticky};
use crate::target::Padded;
use crate::tls::Terminators;

/// What listeners of all configurations share by name.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) counters: Registry,
    /// Open connections; entries stay while connections do.
    pub(crate) loads: HashMap<Arc<str>, Arc<ListenerLoad>>,
    /// UDP flows by client address, of listeners that limit them; entries stay while flows do.
    pub(crate) sources: HashMap<Arc<str>, Arc<Sources>>,
    /// Connections by client address, of listeners that limit them; entries stay while connections
    /// do.
    connection_sources: HashMap<Arc<str>, Arc<Sources>>,
    /// Whose turn it is in weighted forwards of the newest configuration.
    turns: HashMap<TurnKey, Turn>,
    /// What was used of the rate limits of the newest configuration.
    usages: HashMap<UsageKey, Arc<Usage>>,
    /// Opened when the first configuration needs it.
    ring: Option<Arc<KeyRing>>,
    /// Keys that tokens are verified with.
    pub(crate) keyrings: Keyrings,
}

/// A weighted forward: its listener's name, and its rule's priority or `None` for the default.
type TurnKey = (Arc<str>, Option<u16>);

/// Whose requests a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum LimitScope {
    /// All of the listener.
    Listener,
    /// Those of the rule with this priority; `None` for the default action.
    Action(Option<u16>),
}

/// A limit: its listener's name, whose requests it counts, its place among theirs and its key.
type UsageKey = (Arc<str>, LimitScope, usize, conf::LimitKey);

type Turn = Arc<Padded<AtomicU64>>;

impl Names {
    /// No listeners yet.
    pub(crate) fn new(counters: Registry) -> Self {
        Self {
            counters,
            loads: HashMap::new(),
            sources: HashMap::new(),
            connection_sources: HashMap::new(),
            turns: HashMap::new(),
            usages: HashMap::new(),
            ring: None,
            keyrings: Keyrings::default(),
        }
    }

    /// The keys of stickiness cookies, once they are needed.
    pub(crate) fn ring(&self) -> Option<&Arc<KeyRing>> {
        self.ring.as_ref()
    }
}

impl Plan {
    /// The plan of `config`, whose listeners take over counters and limits by name. `bound` are
    /// the open sockets' real addresses.
    pub(crate) fn new(
        config: &Config,
        generation: u64,
        slots: Arc<SlotMap>,
        bound: &HashMap<SocketKey, Address>,
        names: &mut Names,
        terminators: &Terminators,
    ) -> Self {
        let mut addresses: HashMap<usize, Vec<Address>> = HashMap::new();
        let mut routes = HashMap::new();
        for bind in binds(config) {
            if let Some(address) = bound.get(&bind.key) {
                let addresses = addresses.entry(bind.index).or_default();
                // A port for both transports is one address.
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
                routes.insert(bind.key, bind.index);
            }
        }
        let previous_turns = std::mem::take(&mut names.turns);
        let previous_usages = std::mem::take(&mut names.usages);
        let listeners = config
            .listeners
            .iter()
            .enumerate()
            .map(|(index, listener)| {
                let bound = addresses.remove(&index).unwrap_or_default();
                let mut compiler = Compiler {
                    config,
                    name: listener.name.as_str().into(),
                    scheme: listener.protocol.scheme(),
                    previous_turns: &previous_turns,
                    previous_usages: &previous_usages,
                    names,
                    validators: Vec::new(),
                    terminators,
                };
                Arc::new(compiler.listener(listener, index, bound))
            });
        let listeners = listeners.collect();
        let group_names = config.target_groups.iter().enumerate();
        let group_names = group_names.map(|(index, group)| (group.name.as_str().into(), index));
        let mut groups_by_slot = HashMap::new();
        let mut groups_by_id = HashMap::new();
        for (index, group) in config.target_groups.iter().enumerate() {
            groups_by_id.extend(slots.group(&group.name).map(|id| (id, index)));
            let slot = |target: &conf::Target| slots.target(&group.name, target.address);
            let members = group.targets.iter().filter_map(slot);
            groups_by_slot.extend(members.map(|(slot, _)| (slot, index)));
        }
        Self {
            group_names: group_names.collect(),
            groups: config.target_groups.clone(),
            generation,
            slots,
            listeners,
            routes,
            groups_by_slot,
            groups_by_id,
        }
    }
}

/// Compiles one listener.
struct Compiler<'a> {
    config: &'a Config,
    /// The listener's.
    name: Arc<str>,
    scheme: conf::Scheme,
    previous_turns: &'a HashMap<TurnKey, Turn>,
    previous_usages: &'a HashMap<UsageKey, Arc<Usage>>,
    names: &'a mut Names,
    /// Those of this listener so far.
    validators: Vec<(Arc<conf::JwtValidation>, Arc<Validator>)>,
    terminators: &'a Terminators,
}

impl Compiler<'_> {
    fn listener(
        &mut self,
        listener: &conf::Listener,
        index: usize,
        bound: Vec<Address>,
    ) -> Listener {
        let workers = self.names.counters.workers();
        let shared_limits = self.limits(&listener.limits, LimitScope::Listener).into();
        let rules = listener.rules.iter().map(|rule| {
            let action = self.action(&rule.action, Some(rule.priority));
            let gate = self.gate(&rule.gate, &shared_limits, Some(rule.priority));
            Rule::new(rule, action, gate, workers)
        });
        let rules = Rules::new(rules.collect());
        let default = Branch {
            label: "default".into(),
            action: self.action(&listener.default_action, None),
            gate: self.gate(&listener.gate, &shared_limits, None),
        };
        let unrouted = self.unrouted(listener, &default);
        let sources = self.sources(listener);
        let connection_sources = self.connection_sources(listener);
        let load = self.names.loads.entry(self.name.clone()).or_default();
        load.set_limit(listener.max_connections);
        Listener {
            index,
            protocol: listener.protocol,
            filter: Filter::new(&listener.filter),
            rules,
            default,
            unrouted,
            proxy_in: Some(&listener.proxy_in)
                .filter(|proxy_in| proxy_in.mode != conf::ProxyInMode::Off)
                .cloned(),
            idle_timeout: listener.idle_timeout,
            header_timeout: listener.header_timeout,
            max_header_bytes: listener.max_header_bytes,
            http2: listener.http2,
            client_keep_alive: listener.client_keep_alive,
            max_requests: (listener.http1_requests, listener.http2_requests),
            max_request_body: match listener.max_request_body {
                0 => u64::MAX,
                limit => limit,
            },
            strictness: Strictness {
                mode: listener.desync.mode,
                framing: listener.desync.strict_framing,
            },
            request_edits: RequestEdits::new(&listener.header_edits),
            response_edits: ResponseEdits::new(&listener.header_edits.response),
            pace: PaceLimits::new(listener),
            error_pages: ErrorPages::new(&listener.error_pages),
            tls: self.terminators.get(&index).cloned(),
            udp: listener.udp,
            connection_sources,
            max_connections_per_source: listener.max_connections_per_source,
            sources,
            bound: bound
                .iter()
                .filter_map(|bound| bound.socket_addr())
                .collect(),
            unix: bound.iter().filter_map(|bound| bound.unix()).collect(),
            load: load.clone(),
            counters: self.names.counters.listener(&self.name),
            name: self.name.clone(),
        }
    }

    /// The counts of client addresses, for listeners that limit them.
    fn sources(&mut self, listener: &conf::Listener) -> Option<Arc<Sources>> {
        let limits = listener.udp.max_flows_per_source > 0;
        let known = &mut self.names.sources;
        limits.then(|| known.entry(self.name.clone()).or_default().clone())
    }

    fn connection_sources(&mut self, listener: &conf::Listener) -> Option<Arc<Sources>> {
        let known = &mut self.names.connection_sources;
        (listener.max_connections_per_source > 0)
            .then(|| known.entry(self.name.clone()).or_default().clone())
    }

    fn action(&mut self, action: &conf::Action, priority: Option<u16>) -> Action {
        match action {
            conf::Action::Forward(forward) => {
                let sticky = self.sticky(forward, priority);
                let routes = routes_of(forward).map(|weighted| {
                    let name = self.config.group(weighted.group).name.as_str();
                    let route = Route {
                        group: GroupIndex(weighted.group.0),
                        tally: self.tally(name),
                    };
                    (route, weighted.weight)
                });
                let routes = routes.collect();
                Action::Forward(Forward::new(routes, self.turn(priority), sticky))
            }
            conf::Action::Redirect(redirect) => {
                Action::Redirect(Redirect::new(redirect, self.scheme))
            }
            conf::Action::FixedResponse(response) => {
                Action::FixedResponse(FixedResponse::new(response))
            }
        }
    }

    fn gate(
        &mut self,
        gate: &conf::Gate,
        shared_limits: &Arc<[Limit]>,
        priority: Option<u16>,
    ) -> Option<Box<Gate>> {
        let limits = self.limits(&gate.limits, LimitScope::Action(priority));
        let workers = self.names.counters.workers();
        let validator = gate.jwt.as_ref().map(|jwt| self.validator(jwt));
        Gate::new(gate, shared_limits, limits.into(), validator, workers)
    }

    /// One for all rules that inherit their listener's.
    fn validator(&mut self, jwt: &Arc<conf::JwtValidation>) -> Arc<Validator> {
        let known = self.validators.iter();
        let mut known = known.filter(|(settings, _)| Arc::ptr_eq(settings, jwt));
        if let Some((_, validator)) = known.next() {
            return validator.clone();
        }
        let keyring = self.names.keyrings.of(&jwt.keys);
        let workers = self.names.counters.workers();
        let validator = Arc::new(Validator::new(jwt, keyring, workers));
        self.validators.push((jwt.clone(), validator.clone()));
        validator
    }

    fn limits(&mut self, limits: &[conf::RequestLimit], scope: LimitScope) -> Vec<Limit> {
        let compiled = limits.iter().enumerate().map(|(place, limit)| {
            let key = (self.name.clone(), scope, place, limit.key.clone());
            let previous = self.previous_usages.get(&key).cloned();
            let limit = Limit::new(limit, previous);
            self.names.usages.insert(key, limit.usage().clone());
            limit
        });
        compiled.collect()
    }

    fn sticky(&mut self, forward: &conf::Forward, priority: Option<u16>) -> Option<Box<Sticky>> {
        let name = match priority {
            Some(priority) => format!("{} {priority}", self.name),
            None => self.name.to_string(),
        };
        let groups = routes_of(forward).map(|weighted| self.config.group(weighted.group));
        let (ring, state_dir) = (&mut self.names.ring, &self.config.state_dir);
        Sticky::new(&name, forward.stickiness.as_ref(), groups, || {
            let open = || KeyRing::open(state_dir, SystemTime::now());
            ring.get_or_insert_with(open).clone()
        })
    }

    fn turn(&mut self, priority: Option<u16>) -> Turn {
        let key = (self.name.clone(), priority);
        let turn = self.previous_turns.get(&key).cloned().unwrap_or_default();
        self.names.turns.insert(key, turn.clone());
        turn
    }

    fn tally(&mut self, group: &str) -> Tally {
        let group_name: Arc<str> = group.into();
        Tally {
            counters: self.names.counters.exchange(&self.name, &group_name),
            group_name,
        }
    }

    /// With one group for everything, requests that reach none are counted as its own.
    fn unrouted(&mut self, listener: &conf::Listener, default: &Branch) -> Tally {
        match &default.action {
            Action::Forward(forward) if listener.rules.is_empty() => {
                let only = forward.only_route().map(|route| route.tally.clone());
                only.unwrap_or_else(|| self.tally(""))
            }
            _ => self.tally(""),
        }
    }
}

/// The groups of a forward by their turns: those that have none last, and only where a client may
/// still have one of them.
fn routes_of(forward: &conf::Forward) -> impl Iterator<Item = &conf::WeightedGroup> {
    let groups = || forward.groups.iter();
    let kept = forward.stickiness.is_some();
    let without = groups().filter(move |weighted| kept && weighted.weight == 0);
    groups()
        .filter(|weighted| weighted.weight > 0)
        .chain(without)
}
