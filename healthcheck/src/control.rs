//! Routing controls and the safety rules that guard them (Route 53 ARC), without any I/O.
//!
//! Owned by the board, which is told the time. A change turns all of its controls or none: every
//! rule is asked before the first is turned. What `wait-period` counts from is not kept across a
//! restart.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use conf::{Config, ControlIdx, SafetyRule, SafetyRuleKind};
use tokio::time::Instant;

/// What is asked of the switches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlChange {
    /// The controls to turn, and to what: true is on.
    pub states: BTreeMap<String, bool>,
    /// Safety rules that are not asked (ARC `SafetyRulesToOverride`).
    pub overrides: Vec<String>,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such control.
    #[error("no routing control `{0}`")]
    UnknownControl(String),
    /// There is no such rule to override.
    #[error("no safety rule `{0}`")]
    UnknownRule(String),
    /// Rules refuse it; one sentence each, after the rule's name.
    #[error("refused by {}", sentences(.0))]
    Refused(Vec<(String, String)>),
    /// Earlier changes still wait to be saved.
    #[error("earlier changes of routing controls are still being saved")]
    Busy,
    /// The board has ended.
    #[error("the process is shutting down")]
    Ended,
}

fn sentences(refusals: &[(String, String)]) -> String {
    let sentence = |(rule, why): &(String, String)| format!("safety rule `{rule}`: {why}");
    let all: Vec<_> = refusals.iter().map(sentence).collect();
    all.join("; ")
}

/// A control as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlStatus {
    /// Its name.
    pub name: Arc<str>,
    /// How it is turned.
    pub on: bool,
    /// Since when; when it was first configured, if it was never turned.
    pub since: SystemTime,
}

/// A safety rule as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyRuleStatus {
    /// Its name.
    pub name: Arc<str>,
    /// How many of the controls it counts are on.
    pub on: usize,
    /// True when that meets the rule.
    pub met: bool,
}

/// One switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) on: bool,
    pub(crate) since: SystemTime,
    /// When it was last turned by this process.
    turned: Option<Instant>,
    /// False while it is as configured, because nobody has turned it yet.
    pub(crate) by_hand: bool,
}

impl Switch {
    /// A switch as it was left at `since`.
    pub(crate) fn left(on: bool, since: SystemTime) -> Self {
        Self {
            on,
            since,
            turned: None,
            by_hand: true,
        }
    }
}

/// One rule, by the names of its controls.
#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    counted: Vec<Arc<str>>,
    guarded: HashSet<Arc<str>>,
    rule: SafetyRule,
}

/// Every switch and every rule.
#[derive(Debug, Default)]
pub(crate) struct Switchboard {
    switches: BTreeMap<Arc<str>, Switch>,
    rules: Vec<Rule>,
}

impl Switchboard {
    /// Follows a configuration: switches that stay keep their state, new ones begin as `recalled`
    /// says, else as configured. The names of those that left.
    pub(crate) fn configure(
        &mut self,
        config: &Config,
        recalled: &HashMap<String, Switch>,
        now: SystemTime,
    ) -> Vec<Arc<str>> {
        let mut before = std::mem::take(&mut self.switches);
        for control in &config.routing_controls {
            let initial = Switch {
                by_hand: false,
                ..Switch::left(control.initially_on, now)
            };
            let (name, switch) = before.remove_entry(&*control.name).unwrap_or_else(|| {
                let switch = recalled.get(&control.name).copied();
                (control.name.as_str().into(), switch.unwrap_or(initial))
            });
            self.switches.insert(name, switch);
        }
        let name = |index: &ControlIdx| -> Arc<str> {
            config.routing_control(*index).name.as_str().into()
        };
        let rule = |rule: &SafetyRule| Rule {
            name: rule.name.as_str().into(),
            counted: rule.counted.iter().map(name).collect(),
            guarded: rule.guarded().iter().map(name).collect(),
            rule: rule.clone(),
        };
        self.rules = config.safety_rules.iter().map(rule).collect();
        before.into_keys().collect()
    }

    /// True while the control is on; false for one that is not there.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.switches.get(name).is_some_and(|switch| switch.on)
    }

    /// Every switch by name.
    pub(crate) fn switches(&self) -> &BTreeMap<Arc<str>, Switch> {
        &self.switches
    }

    /// Turns every control of `change`, or none. The names of those that were the other way before.
    ///
    /// # Errors
    /// What is unknown, or which rules refuse it and why.
    pub(crate) fn change(
        &mut self,
        change: &ControlChange,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Vec<Arc<str>>, ControlError> {
        let turned = self.judge(change, now)?;
        for name in &turned {
            if let Some(switch) = self.switches.get_mut(name) {
                *switch = Switch {
                    on: !switch.on,
                    since: wall,
                    turned: Some(now),
                    by_hand: true,
                };
            }
        }
        Ok(turned)
    }

    /// What `change` would turn.
    fn judge(&self, change: &ControlChange, now: Instant) -> Result<Vec<Arc<str>>, ControlError> {
        let mut turned = Vec::new();
        for (name, on) in &change.states {
            let found = self.switches.get_key_value(name.as_str());
            let (name, switch) = found.ok_or_else(|| ControlError::UnknownControl(name.clone()))?;
            if switch.on != *on {
                turned.push(name.clone());
            }
        }
        let known = |name: &&String| !self.rules.iter().any(|rule| *rule.name == ***name);
        if let Some(unknown) = change.overrides.iter().find(known) {
            return Err(ControlError::UnknownRule(unknown.clone()));
        }
        let rules = self.rules.iter();
        let asked = rules.filter(|rule| !change.overrides.iter().any(|name| **name == *rule.name));
        let refusal =
            |rule: &Rule| Some((rule.name.to_string(), self.refusal(rule, &turned, now)?));
        let refusals: Vec<_> = asked.filter_map(refusal).collect();
        match refusals.is_empty() {
            true => Ok(turned),
            false => Err(ControlError::Refused(refusals)),
        }
    }

    /// Why `rule` refuses that `turned` be turned.
    fn refusal(&self, rule: &Rule, turned: &[Arc<str>], now: Instant) -> Option<String> {
        let guarded = turned.iter().find(|name| rule.guarded.contains(*name))?;
        let recent = rule.guarded.iter().filter_map(|name| {
            let at = self.switches.get(name)?.turned?;
            Some((now.saturating_duration_since(at), name))
        });
        if let Some((ago, name)) = recent.min()
            && ago < rule.rule.wait_period
        {
            let left = rule.rule.wait_period - ago;
            return Some(format!(
                "`{name}` was turned just now; wait {:.1} s more",
                left.as_secs_f64().max(0.1)
            ));
        }
        let after = match rule.rule.kind {
            // A gate that is opened in the same change opens for the next one.
            SafetyRuleKind::Gating(_) => &[][..],
            SafetyRuleKind::Assertion => turned,
        };
        let on = self.on(rule, after);
        if rule.rule.is_met(on) {
            return None;
        }
        let limit = rule.rule.threshold;
        let wanted = match rule.rule.inverted {
            false => format!("at least {limit}"),
            true => format!("fewer than {limit}"),
        };
        let names: Vec<&str> = rule.counted.iter().map(|name| &**name).collect();
        let names = names.join(", ");
        Some(match rule.rule.kind {
            SafetyRuleKind::Gating(_) => {
                format!("`{guarded}` can be turned while {wanted} of {names} is on; {on} are")
            }
            SafetyRuleKind::Assertion => {
                format!("{wanted} of {names} must be on; {on} would be")
            }
        })
    }

    /// How many of the controls that `rule` counts are on once `turned` are turned.
    fn on(&self, rule: &Rule, turned: &[Arc<str>]) -> usize {
        let on = |name: &&Arc<str>| self.is_on(name) != turned.contains(*name);
        rule.counted.iter().filter(on).count()
    }

    /// Every control and every rule as it stands.
    pub(crate) fn status(&self) -> (Vec<ControlStatus>, Vec<SafetyRuleStatus>) {
        let control = |(name, switch): (&Arc<str>, &Switch)| ControlStatus {
            name: name.clone(),
            on: switch.on,
            since: switch.since,
        };
        let rule = |rule: &Rule| {
            let on = self.on(rule, &[]);
            SafetyRuleStatus {
                name: rule.name.clone(),
                on,
                met: rule.rule.is_met(on),
            }
        };
        (
            self.switches.iter().map(control).collect(),
            self.rules.iter().map(rule).collect(),
        )
    }
}

#[cfg(test)]
mod tests;
