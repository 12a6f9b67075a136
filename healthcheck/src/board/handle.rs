//! The way to the board from every other thread.
//!
//! A handle is cheap to clone. Reading the table costs one watch borrow; commands go through a
//! bounded queue and are answered by the board task. After the board has ended, commands answer
//! as an empty board would.

use std::sync::Arc;

use conf::{Address, Config};
use prometheus::proto::MetricFamily;
use tokio::sync::{mpsc, oneshot, watch};

use super::controls::Turned;
use crate::allocation::{Acknowledgements, Ticket};
use crate::log::LogControl;
use crate::metrics::Metrics;
use crate::{
    CheckDetails, GroupStatus, HealthTable, OperatorState, PassiveReport, Plane, Reporter,
};
use crate::{ControlChange, ControlError, ControlOutcome, ControlStatus, SafetyRuleStatus};
use crate::{SlotMap, TargetDetails};

/// A target that is not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no target {target} is registered in group {group}")]
pub struct UnknownTarget {
    /// The target group asked for.
    pub group: String,
    /// The target asked for.
    pub target: Address,
}

/// A configuration whose ids are reserved. Invisible until [`BoardHandle::commit`]; dropping it
/// gives the ids back.
#[derive(Debug)]
pub struct Prepared {
    pub(super) config: Arc<Config>,
    pub(super) slots: Arc<SlotMap>,
    /// While it lives, the ids stay reserved.
    pub(super) _ticket: Arc<Ticket>,
}

impl Prepared {
    /// Where each target, group and check of the configuration lives.
    pub fn slots(&self) -> &Arc<SlotMap> {
        &self.slots
    }

    /// The configuration generation.
    pub fn generation(&self) -> u64 {
        self.slots.config_generation
    }
}

/// What the board is asked.
#[derive(Debug)]
pub(super) enum Command {
    Prepare(Arc<Config>, u64, oneshot::Sender<Prepared>),
    Commit(Prepared, oneshot::Sender<Arc<HealthTable>>),
    Operator(TargetName, OperatorState, oneshot::Sender<Option<u64>>),
    Weight(TargetName, Option<u16>, oneshot::Sender<Option<u64>>),
    Target(TargetName, oneshot::Sender<Option<TargetDetails>>),
    Check(String, oneshot::Sender<Option<CheckDetails>>),
    Turn(ControlChange, oneshot::Sender<Turned>),
    Controls(oneshot::Sender<(Vec<ControlStatus>, Vec<SafetyRuleStatus>)>),
    FirstRound(oneshot::Sender<FirstRound>),
    Shutdown(oneshot::Sender<()>),
}

/// How far the first round of probes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstRound {
    /// Targets and checks that are probed and have had no result yet.
    pub left: usize,
    /// The health table that shows every result so far, when none is left.
    pub generation: u64,
}

/// A target as people name it.
pub(super) type TargetName = (String, Address);

/// The way to the board.
#[derive(Debug, Clone)]
pub struct BoardHandle {
    commands: mpsc::Sender<Command>,
    events: mpsc::Sender<PassiveReport>,
    table: watch::Receiver<Arc<HealthTable>>,
    acknowledgements: Arc<Acknowledgements>,
    metrics: Arc<Metrics>,
    log: LogControl,
}

impl BoardHandle {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        events: mpsc::Sender<PassiveReport>,
        table: watch::Receiver<Arc<HealthTable>>,
        acknowledgements: Arc<Acknowledgements>,
        metrics: Arc<Metrics>,
        log: LogControl,
    ) -> Self {
        Self {
            commands,
            events,
            table,
            acknowledgements,
            metrics,
            log,
        }
    }

    /// Reserves ids for everything the configuration names. `generation` grows with every
    /// configuration that is committed.
    pub async fn prepare(&self, config: &Arc<Config>, generation: u64) -> Prepared {
        let asked = |reply| Command::Prepare(config.clone(), generation, reply);
        self.ask(asked).await.unwrap_or_else(|| Prepared {
            config: config.clone(),
            slots: Arc::new(SlotMap::new(generation)),
            _ticket: Arc::new(Ticket),
        })
    }

    /// Makes a prepared configuration the one that is served: new targets are probed at once,
    /// targets it does not name any more begin to drain. Returns the table that shows it.
    pub async fn commit(&self, prepared: Prepared) -> Arc<HealthTable> {
        let table = self.ask(|reply| Command::Commit(prepared, reply)).await;
        table.unwrap_or_else(|| self.table())
    }

    /// Every table from now on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<HealthTable>> {
        self.table.clone()
    }

    /// The latest table.
    pub fn table(&self) -> Arc<HealthTable> {
        self.table.borrow().clone()
    }

    /// A worker's way to report failed traffic.
    pub fn reporter(&self) -> Reporter {
        Reporter::new(self.events.clone())
    }

    /// Drains a target or takes it back. Returns the generation of the table that shows it.
    ///
    /// # Errors
    /// [`UnknownTarget`] when no such target is registered.
    pub async fn set_operator(
        &self,
        group: &str,
        target: impl Into<Address>,
        state: OperatorState,
    ) -> Result<u64, UnknownTarget> {
        let target = target.into();
        let name = (group.to_owned(), target);
        let shown = self.ask(|reply| Command::Operator(name, state, reply));
        found(shown.await.flatten(), group, target)
    }

    /// Overrides a target's weight (0-1000), or lets the configured one hold again. Returns the
    /// generation of the table that shows it.
    ///
    /// # Errors
    /// [`UnknownTarget`] when no such target is registered.
    pub async fn set_weight(
        &self,
        group: &str,
        target: impl Into<Address>,
        weight: Option<u16>,
    ) -> Result<u64, UnknownTarget> {
        let target = target.into();
        let name = (group.to_owned(), target);
        let shown = self.ask(|reply| Command::Weight(name, weight, reply));
        found(shown.await.flatten(), group, target)
    }

    /// A plane's word that it reads nothing older than this configuration generation any more.
    /// Every plane must give it for every generation, one that does not run included, or ids are
    /// never used again.
    pub fn acknowledge(&self, plane: Plane, config_generation: u64) {
        self.acknowledgements.acknowledge(plane, config_generation);
    }

    /// A target in full; `None` when it is neither registered nor draining.
    pub async fn details(&self, group: &str, target: impl Into<Address>) -> Option<TargetDetails> {
        let name = (group.to_owned(), target.into());
        self.ask(|reply| Command::Target(name, reply)).await?
    }

    /// A standalone check in full; `None` when there is no such check.
    pub async fn check_details(&self, check: &str) -> Option<CheckDetails> {
        let name = check.to_owned();
        self.ask(|reply| Command::Check(name, reply)).await?
    }

    /// Turns routing controls, all that are named or none. Returns when that is saved.
    ///
    /// # Errors
    /// What is unknown, which safety rules refuse it, or that this process cannot do it now.
    pub async fn turn(&self, change: ControlChange) -> Result<ControlOutcome, ControlError> {
        let turned = self.ask(|reply| Command::Turn(change, reply)).await;
        let (mut outcome, saved) = turned.unwrap_or(Err(ControlError::Ended))?;
        if let Some(saved) = saved {
            outcome.saved = saved.await.unwrap_or(false);
        }
        Ok(outcome)
    }

    /// Every routing control, by name, and every safety rule, in the order of the file.
    pub async fn controls(&self) -> (Vec<ControlStatus>, Vec<SafetyRuleStatus>) {
        self.ask(Command::Controls).await.unwrap_or_default()
    }

    /// How the first round of probes goes: whatever is probed, once each.
    pub async fn first_round(&self) -> FirstRound {
        // A board that has ended probes nothing.
        let found = self.ask(Command::FirstRound).await;
        found.unwrap_or(FirstRound {
            left: 0,
            generation: 0,
        })
    }

    /// Every group with its targets, of one table.
    pub fn groups(&self) -> Vec<GroupStatus> {
        let table = self.table();
        let roster = table.roster();
        let status = |(id, name): &(_, Arc<str>)| {
            let first = roster.targets.partition_point(|(_, group, _)| group < name);
            let targets = roster.targets.iter().skip(first);
            let health = |(slot, _, address): &(_, _, Address)| {
                Some((*address, table.target(*slot)?.clone()))
            };
            Some(GroupStatus {
                name: name.clone(),
                health: table.group(*id)?,
                targets: (targets.take_while(|(_, group, _)| group == name))
                    .filter_map(health)
                    .collect(),
            })
        };
        roster.groups.iter().filter_map(status).collect()
    }

    /// The metrics of health.
    pub fn collect(&self) -> Vec<MetricFamily> {
        self.metrics.collect(&self.table())
    }

    /// Opens the health check log's file anew (after it was renamed).
    pub fn reopen_logs(&self) {
        self.log.reopen();
    }

    /// Ends the board: no probe runs when this returns.
    pub async fn shutdown(&self) {
        // `None` when it has ended already.
        let _ended = self.ask(Command::Shutdown).await;
    }

    /// Sends a command and waits for its answer; `None` when the board has ended.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}

fn found(generation: Option<u64>, group: &str, target: Address) -> Result<u64, UnknownTarget> {
    generation.ok_or_else(|| UnknownTarget {
        group: group.to_owned(),
        target,
    })
}
