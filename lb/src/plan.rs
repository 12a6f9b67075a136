//! What follows from the configuration alone: listeners with their routes, and the indices that
//! `compile` and the accept loops use. Made by the control task at commit, once per configuration.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use conf::{Action, Config};
use healthcheck::SlotMap;

use crate::limits::ListenerLoad;
use crate::metrics::Registry;
use crate::snapshot::{GroupIndex, Listener, Plan, Route};
use crate::sockets::{SocketKey, binds};

/// What listeners of all configurations share by name.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) counters: Registry,
    /// Open connections; entries stay while connections do.
    pub(crate) loads: HashMap<Arc<str>, Arc<ListenerLoad>>,
}

impl Names {
    /// No listeners yet.
    pub(crate) fn new(counters: Registry) -> Self {
        Self {
            counters,
            loads: HashMap::new(),
        }
    }
}

impl Plan {
    /// The plan of `config`, whose listeners take over counters and limits by name. `bound` are
    /// the open sockets' real addresses.
    pub(crate) fn new(
        config: &Config,
        generation: u64,
        slots: Arc<SlotMap>,
        bound: &HashMap<SocketKey, SocketAddr>,
        names: &mut Names,
    ) -> Self {
        let mut addresses: HashMap<usize, Vec<SocketAddr>> = HashMap::new();
        let mut routes = HashMap::new();
        for bind in binds(config) {
            if let Some(address) = bound.get(&bind.key) {
                addresses.entry(bind.index).or_default().push(*address);
                routes.insert(bind.key, bind.index);
            }
        }
        let listeners = config
            .listeners
            .iter()
            .enumerate()
            .map(|(index, listener)| {
                let bound = addresses.remove(&index).unwrap_or_default();
                Arc::new(compile_listener(config, listener, index, bound, names))
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

fn compile_listener(
    config: &Config,
    listener: &conf::Listener,
    index: usize,
    bound: Vec<SocketAddr>,
    names: &mut Names,
) -> Listener {
    let name: Arc<str> = listener.name.as_str().into();
    let Action::Forward(group) = listener.default_action;
    let group_name: Arc<str> = config.group(group).name.as_str().into();
    let load = names.loads.entry(name.clone()).or_default().clone();
    load.set_limit(listener.max_connections);
    Listener {
        index,
        protocol: listener.protocol,
        default_route: Route {
            group: GroupIndex(group.0),
            counters: names.counters.exchange(&name, &group_name),
            group_name,
        },
        idle_timeout: listener.idle_timeout,
        header_timeout: listener.header_timeout,
        max_header_bytes: listener.max_header_bytes,
        bound,
        load,
        counters: names.counters.listener(&name),
        name,
    }
}
