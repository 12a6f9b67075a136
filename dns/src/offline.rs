//! A configuration without a process: its answers under any health that is said.
//!
//! For `pointsman dns answer -c FILE`, `pointsman test` and this crate's tests. Everything is
//! healthy unless said otherwise; nothing is probed, bound or sent.

use std::sync::Arc;
use std::time::SystemTime;

use conf::Config;
use healthcheck::{
    CheckHealth, CheckId, GroupHealth, GroupId, HealthTable, OperatorState, Signal, SlotId,
    SlotMap, Source, TargetHealth, TargetState,
};

use crate::compile::Compiled;
use crate::explain::Explainer;
use crate::load::Zones;
use crate::policy::Under;
use crate::snapshot::Snapshot;

/// A configuration and the health it is asked under.
#[derive(Debug)]
pub struct Offline {
    pub(crate) config: Arc<Config>,
    pub(crate) slots: Arc<SlotMap>,
    pub(crate) compiled: Compiled,
    pub(crate) health: Arc<HealthTable>,
    /// What is decided now; what was before counts for records that remember.
    decided: Arc<Snapshot>,
    /// Seconds since 1970.
    now: u32,
}

/// The time at first: any but 0, which stands for long ago.
const BEGINNING: u32 = 1_000_000;

/// A name or a word that stands for no health.
#[derive(Debug, thiserror::Error)]
pub enum UnknownHealth {
    /// No check, target or group has the name.
    #[error("there is no health check, target (group/address) or target group called `{0}`")]
    Name(String),
    /// Not a state.
    #[error("`{0}` is no state: up, down, healthy, unhealthy, draining, initial or weight-0")]
    State(String),
}

impl Offline {
    /// Zones that loaded without an error; everything is healthy.
    pub fn new(config: Arc<Config>, zones: &Zones) -> Self {
        let slots = slots_of(&config);
        let compiled = Compiled::new(&config, zones, 1, &slots);
        let mut offline = Self {
            decided: Arc::new(compiled.snapshot(&HealthTable::default(), false)),
            compiled,
            config,
            slots: Arc::new(slots),
            health: Arc::default(),
            now: BEGINNING,
        };
        offline.publish(&[]);
        // With nothing before it.
        let settled = offline.compiled.snapshot(&offline.health, false);
        offline.decided = Arc::new(settled);
        offline
    }

    /// What is named is as said from now on, everything else healthy. Names are those of checks and
    /// target groups, and targets as `group/address`; states `up`, `down`, and of targets `healthy`,
    /// `unhealthy`, `draining`, `initial` and `weight-0`.
    ///
    /// # Errors
    /// For the first name or state that is unknown; health stays as it was then.
    pub fn set(&mut self, said: &[(&str, &str)]) -> Result<(), UnknownHealth> {
        for (name, state) in said {
            if !self.knows(name) {
                return Err(UnknownHealth::Name((*name).to_owned()));
            }
            if target_state(state).is_none() {
                return Err(UnknownHealth::State((*state).to_owned()));
            }
        }
        self.publish(said);
        self.decide();
        Ok(())
    }

    /// So many seconds pass.
    pub(crate) fn pass(&mut self, seconds: u32) {
        self.now = self.now.saturating_add(seconds);
        self.decide();
    }

    fn decide(&mut self) {
        let before = self.decided.clone();
        let next = self.snapshot_after(&before, false);
        self.decided = Arc::new(next);
    }

    fn snapshot_after(&self, before: &Snapshot, withdrawn: bool) -> Snapshot {
        let under = Under {
            health: &self.health,
            withdrawn,
            now: self.now,
        };
        self.compiled.snapshot_after(Some(&before.decisions), under)
    }

    /// Ready to be asked. `withdrawn`: the own listeners have left DNS.
    pub fn explainer(&self, withdrawn: bool) -> Explainer {
        Explainer {
            compiled: self.compiled.clone(),
            snapshot: match withdrawn {
                false => self.decided.clone(),
                true => Arc::new(self.snapshot_after(&self.decided, true)),
            },
            health: self.health.clone(),
            withdrawn,
            now: Some(self.now),
        }
    }

    fn knows(&self, name: &str) -> bool {
        let is_target = |group: &conf::TargetGroup| {
            let mut targets = group.targets.iter();
            targets.any(|target| name == format!("{}/{}", group.name, target.address))
        };
        self.slots.check(name).is_some()
            || self.slots.group(name).is_some()
            || self.config.target_groups.iter().any(is_target)
    }

    fn publish(&mut self, said: &[(&str, &str)]) {
        let mut next = self.health.next();
        let word = |name: &str| said.iter().find(|(n, _)| *n == name).map(|(_, word)| *word);
        for check in &self.config.health_checks {
            let state = word(&check.name).and_then(target_state);
            let health = CheckHealth {
                healthy: state.is_none_or(|(state, _)| state == TargetState::Healthy),
                description: Arc::from(""),
                since: SystemTime::UNIX_EPOCH,
            };
            if let Some(id) = self.slots.check(&check.name) {
                next.check(id, Some(health));
            }
        }
        for group in &self.config.target_groups {
            let of_group = word(&group.name);
            let mut rollup = GroupHealth::default();
            for target in &group.targets {
                let own = word(&format!("{}/{}", group.name, target.address));
                let health = target_health(own.or(of_group));
                let counts = u32::from(group.uses(target));
                let is = |state| counts * u32::from(health.state == state);
                rollup.registered += counts;
                rollup.healthy += is(TargetState::Healthy);
                rollup.initial += is(TargetState::Initial);
                if let Some((slot, _)) = self.slots.target(&group.name, target.address) {
                    next.target(slot, Some(health));
                }
            }
            let (healthy, registered) = (rollup.healthy as usize, rollup.registered as usize);
            rollup.fail_open = !group.unhealthy_state_routing.is_met(healthy, registered);
            rollup.dns_healthy = group.dns_failover.is_met(healthy, registered) && registered > 0;
            if let Some(id) = self.slots.group(&group.name) {
                next.group(id, Some(rollup));
            }
        }
        self.health = next.publish();
    }
}

/// State and weight that a word stands for.
fn target_state(word: &str) -> Option<(TargetState, u16)> {
    Some(match word {
        "up" | "healthy" => (TargetState::Healthy, 1),
        "weight-0" => (TargetState::Healthy, 0),
        "down" | "unhealthy" => (TargetState::Unhealthy, 1),
        "draining" => (TargetState::Draining, 1),
        "initial" => (TargetState::Initial, 1),
        _ => return None,
    })
}

fn target_health(word: Option<&str>) -> TargetHealth {
    let healthy = (TargetState::Healthy, 1);
    let (state, weight) = word.and_then(target_state).unwrap_or(healthy);
    TargetHealth {
        state,
        reason: None,
        source: Source::Probe,
        operator: OperatorState::Ready,
        weight,
        registered: true,
        probed_unhealthy: state == TargetState::Unhealthy,
        deadline: None,
        description: Arc::from(""),
        slow_start: None,
        anomaly: None,
        agent_limit: 0,
        since: SystemTime::UNIX_EPOCH,
    }
}

fn slots_of(config: &Config) -> SlotMap {
    let mut slots = SlotMap::new(1);
    let mut next = 0..;
    for (index, group) in (0..).zip(&config.target_groups) {
        slots.insert_group(&group.name, GroupId(index));
        for (target, number) in group.targets.iter().zip(&mut next) {
            let signal = Arc::new(Signal::default());
            slots.insert_target(&group.name, target.address, SlotId(number), signal);
        }
    }
    for (index, check) in (0..).zip(&config.health_checks) {
        slots.insert_check(&check.name, CheckId(index));
    }
    slots
}
