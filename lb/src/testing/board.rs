//! A board that plays health: slots by identity, tables by the test's word.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use conf::{Address, Config};
use healthcheck::{
    CheckId, GroupHealth, GroupId, HealthTable, OperatorState, PassiveEvent, PassiveReport,
    Reporter, Signal, SlotId, SlotMap, Source, TargetHealth, TargetState,
};
use tokio::sync::{mpsc, watch};

use crate::start::Feed;

/// A configuration that must be fine.
pub(crate) fn load(text: &str) -> Arc<Config> {
    let loaded = conf::load_text(Path::new("test.toml"), text);
    assert!(
        !loaded.has_errors(),
        "{}",
        conf::render_human(&loaded.diagnostics, &loaded.sources, false)
    );
    Arc::new(loaded.config)
}

/// One tcp listener on a port of the kernel's choice, one group `app`.
pub(crate) fn app_config(targets: &[SocketAddr], listener: &str, group: &str) -> Arc<Config> {
    let targets: Vec<_> = targets.iter().map(|target| format!("{target:?}")).collect();
    let targets = targets
        .iter()
        .map(|target| format!("\"{target}\""))
        .collect::<Vec<_>>();
    load(&format!(
        "[logs]\naccess = \"off\"\n\
         [[listener]]\nname = \"in\"\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\n\
         forward = \"app\"\n{listener}\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"tcp\"\ntargets = [{}]\n{group}\n",
        targets.join(", ")
    ))
}

/// Plays the board.
pub(crate) struct PlayedBoard {
    tables: watch::Sender<Arc<HealthTable>>,
    events: mpsc::Receiver<PassiveReport>,
    sender: mpsc::Sender<PassiveReport>,
    slots: HashMap<(String, Address), (SlotId, Arc<Signal>)>,
    groups: HashMap<String, GroupId>,
}

impl PlayedBoard {
    pub(crate) fn new() -> Self {
        let (sender, events) = mpsc::channel(64);
        Self {
            tables: watch::channel(Arc::default()).0,
            events,
            sender,
            slots: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    pub(crate) fn feed(&self) -> Feed {
        Feed {
            health: self.tables.subscribe(),
            reporter: Reporter::new(self.sender.clone()),
            acknowledge: Box::new(|_| {}),
        }
    }

    pub(crate) fn table(&self) -> Arc<HealthTable> {
        self.tables.borrow().clone()
    }

    /// The next failure that a worker reported.
    pub(crate) async fn event(&mut self) -> PassiveEvent {
        match self.events.recv().await.unwrap() {
            PassiveReport::Unreached(event) => event,
            PassiveReport::InARow(slot) => panic!("failures in a row of {slot:?}"),
        }
    }

    /// Ids for everything in `config`; those given before stay.
    pub(crate) fn slots(&mut self, config: &Config, generation: u64) -> Arc<SlotMap> {
        let mut map = SlotMap::new(generation);
        for group in &config.target_groups {
            let next = GroupId(self.groups.len() as u32);
            let id = *self.groups.entry(group.name.clone()).or_insert(next);
            map.insert_group(&group.name, id);
            for target in &group.targets {
                let next = SlotId(self.slots.len() as u32);
                let entry = self.slots.entry((group.name.clone(), target.address));
                let (slot, signal) = entry.or_insert_with(|| (next, Arc::default())).clone();
                map.insert_target(&group.name, target.address, slot, signal);
            }
        }
        Arc::new(map)
    }

    pub(crate) fn slot(&self, group: &str, target: impl Into<Address>) -> SlotId {
        self.slots[&(group.to_owned(), target.into())].0
    }

    pub(crate) fn signal(&self, group: &str, target: impl Into<Address>) -> &Arc<Signal> {
        &self.slots[&(group.to_owned(), target.into())].1
    }

    /// Publishes `group`'s targets with these healths, and the roll-up of them. Returns the table's
    /// generation.
    pub(crate) fn publish<A: Copy + Into<Address>>(
        &self,
        group: &str,
        targets: &[(A, TargetHealth)],
    ) -> u64 {
        let mut next = self.table().next();
        for (target, health) in targets {
            next.target(self.slot(group, *target), Some(health.clone()));
        }
        let count = |wanted: &dyn Fn(&TargetHealth) -> bool| {
            targets.iter().filter(|(_, health)| wanted(health)).count() as u32
        };
        let healthy = count(&|health| health.state == TargetState::Healthy);
        next.group(
            self.groups[group],
            Some(GroupHealth {
                registered: count(&|health| health.registered),
                healthy,
                initial: count(&|health| health.state == TargetState::Initial),
                fail_open: healthy < 1,
                dns_healthy: healthy >= 1,
            }),
        );
        self.send(next.publish())
    }

    /// Publishes a change that concerns no group.
    pub(crate) fn publish_unrelated(&self) -> u64 {
        let mut next = self.table().next();
        next.check(CheckId(0), None);
        self.send(next.publish())
    }

    fn send(&self, table: Arc<HealthTable>) -> u64 {
        let generation = table.generation();
        self.tables.send_replace(table);
        generation
    }
}

/// A registered target's health, of weight 1.
pub(crate) fn health(state: TargetState) -> TargetHealth {
    TargetHealth {
        state,
        reason: None,
        source: Source::Probe,
        operator: OperatorState::Ready,
        weight: 1,
        registered: true,
        probed_unhealthy: matches!(
            state,
            TargetState::Unhealthy | TargetState::UnhealthyDraining
        ),
        deadline: None,
        description: "".into(),
        slow_start: None,
        anomaly: None,
        agent_limit: 0,
        since: SystemTime::UNIX_EPOCH,
    }
}
