//! What health remembers across a restart of this process, as text.
//!
//! Written by the board while it runs, read once before it begins. A process that restarts must
//! neither announce what was down nor hide what was up, and must not undo what the operator said.
//! Bounded in entries and bytes; older than its age, from the future, or damaged, it counts as
//! absent.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conf::Address;
use serde::{Deserialize, Serialize};

use crate::machine::Recollection;
use crate::{AgentReport, AgentState, OperatorState, ReasonCode};

/// Entries of a memory; a process with more remembers the first ones.
const MAX_ENTRIES: usize = 50_000;
/// Larger files were not written here.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// Characters of a description that are kept.
const MAX_DESCRIPTION: usize = 256;
/// A clock that was set back by less does not make a memory one from the future.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// Where health is kept, and for how long it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySettings {
    /// The file. Its folder is made if it is not there.
    pub file: PathBuf,
    /// A memory saved longer ago is not used.
    pub age: Duration,
}

/// Everything remembered.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    targets: HashMap<(String, Address), TargetMemory>,
    checks: HashMap<String, CheckMemory>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetMemory {
    /// What probes had found; `None` when nothing was decided.
    pub(crate) probed: Option<Recollection>,
    pub(crate) operator: OperatorState,
    /// The operator's weight.
    pub(crate) weight: Option<u16>,
    pub(crate) agent: AgentReport,
}

/// One standalone check with probes of its own, before `disabled` and `inverted`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckMemory {
    pub(crate) healthy: bool,
    pub(crate) description: Arc<str>,
}

impl Memory {
    /// Adds a target.
    pub(crate) fn target(&mut self, group: &str, address: Address, target: TargetMemory) {
        if self.targets.len() < MAX_ENTRIES {
            self.targets.insert((group.to_owned(), address), target);
        }
    }

    /// Adds a check.
    pub(crate) fn check(&mut self, name: &str, check: CheckMemory) {
        if self.checks.len() < MAX_ENTRIES {
            self.checks.insert(name.to_owned(), check);
        }
    }

    /// Takes a target out.
    pub(crate) fn take_target(&mut self, group: &str, address: Address) -> Option<TargetMemory> {
        self.targets.remove(&(group.to_owned(), address))
    }

    /// Takes a check out.
    pub(crate) fn take_check(&mut self, name: &str) -> Option<CheckMemory> {
        self.checks.remove(name)
    }

    /// How much there is.
    pub(crate) fn len(&self) -> usize {
        self.targets.len() + self.checks.len()
    }

    /// The file's bytes, saved at `now`.
    pub(crate) fn to_bytes(&self, now: SystemTime) -> Vec<u8> {
        let target = |((group, address), target): (&(String, Address), &TargetMemory)| {
            let probed = target.probed.as_ref();
            TargetText {
                group: group.clone(),
                target: *address,
                healthy: probed.map(|probed| probed.healthy),
                at_once: probed.is_some_and(|probed| probed.at_once),
                reason: probed.and_then(|probed| Some(probed.reason?.as_str().to_owned())),
                description: probed.map(|probed| cut(&probed.description)),
                drained: target.operator == OperatorState::Drain,
                weight: target.weight,
                agent: agent_word(target.agent.state.unwrap_or_default()).to_owned(),
                percent: target.agent.percent.unwrap_or(100),
                max_in_flight: target.agent.max_in_flight.unwrap_or(0),
            }
        };
        let check = |(name, check): (&String, &CheckMemory)| CheckText {
            name: name.clone(),
            healthy: check.healthy,
            description: cut(&check.description),
        };
        let mut text = Text {
            saved_unix_ms: unix_ms(now),
            targets: self.targets.iter().map(target).collect(),
            checks: self.checks.iter().map(check).collect(),
        };
        // The same memory is the same file.
        (text.targets).sort_by(|a, b| (&a.group, a.target).cmp(&(&b.group, b.target)));
        text.checks.sort_by(|a, b| a.name.cmp(&b.name));
        // Strings, numbers and booleans always have a form in JSON.
        serde_json::to_vec_pretty(&text).unwrap_or_default()
    }

    /// Reads a file's bytes at `now`.
    ///
    /// # Errors
    /// Why the memory does not count, for people.
    pub(crate) fn from_bytes(bytes: &[u8], now: SystemTime, age: Duration) -> Result<Self, String> {
        let text: Text = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let saved = UNIX_EPOCH + Duration::from_millis(text.saved_unix_ms);
        match now.duration_since(saved) {
            Ok(old) if old > age => return Err(format!("it is {} s old", old.as_secs())),
            Err(ahead) if ahead.duration() > CLOCK_SLACK => {
                return Err("it is from the future".to_owned());
            }
            Ok(_) | Err(_) => {}
        }
        let mut memory = Self::default();
        for target in text.targets {
            let reason = target.reason.as_deref();
            let reason = ReasonCode::ALL
                .into_iter()
                .find(|code| Some(code.as_str()) == reason);
            let described = target.description.unwrap_or_default();
            let probed = target.healthy.map(|healthy| Recollection {
                healthy,
                at_once: target.at_once,
                reason,
                description: described.into(),
            });
            let remembered = TargetMemory {
                probed,
                operator: match target.drained {
                    true => OperatorState::Drain,
                    false => OperatorState::Ready,
                },
                weight: target.weight.filter(|weight| *weight <= 1000),
                agent: AgentReport {
                    state: Some(agent_state(&target.agent)),
                    percent: Some(target.percent),
                    max_in_flight: Some(target.max_in_flight),
                },
            };
            memory.target(&target.group, target.target, remembered);
        }
        for check in text.checks {
            let remembered = CheckMemory {
                healthy: check.healthy,
                description: check.description.into(),
            };
            memory.check(&check.name, remembered);
        }
        Ok(memory)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Text {
    saved_unix_ms: u64,
    targets: Vec<TargetText>,
    checks: Vec<CheckText>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TargetText {
    group: String,
    target: Address,
    healthy: Option<bool>,
    at_once: bool,
    reason: Option<String>,
    description: Option<String>,
    drained: bool,
    weight: Option<u16>,
    agent: String,
    percent: u16,
    /// Absent in files of earlier versions.
    #[serde(default)]
    max_in_flight: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct CheckText {
    name: String,
    healthy: bool,
    description: String,
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_DESCRIPTION).collect()
}

fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn agent_word(state: AgentState) -> &'static str {
    match state {
        AgentState::Ready => "ready",
        AgentState::Drain => "drain",
        AgentState::Maintenance => "maint",
    }
}

fn agent_state(word: &str) -> AgentState {
    match word {
        "drain" => AgentState::Drain,
        "maint" => AgentState::Maintenance,
        _ => AgentState::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        let mut memory = Memory::default();
        let target = TargetMemory {
            probed: Some(Recollection {
                healthy: false,
                at_once: true,
                reason: Some(ReasonCode::Timeout),
                description: "Request timed out".into(),
            }),
            operator: OperatorState::Drain,
            weight: Some(7),
            agent: AgentReport {
                state: Some(AgentState::Maintenance),
                percent: Some(30),
                max_in_flight: Some(7),
            },
        };
        memory.target("app", "[::1]:80".parse().unwrap(), target);
        let check = CheckMemory {
            healthy: false,
            description: "x".repeat(1000).into(),
        };
        memory.check("up", check);
        memory
    }

    #[test]
    fn what_is_saved_is_read_back() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let bytes = memory().to_bytes(now);
        assert_eq!(bytes, memory().to_bytes(now));
        let age = Duration::from_secs(600);
        let mut found = Memory::from_bytes(&bytes, now + age, age).unwrap();
        let address = "[::1]:80".parse().unwrap();
        let target = found.take_target("app", address).unwrap();
        assert_eq!(target, memory().take_target("app", address).unwrap());
        let check = found.take_check("up").unwrap();
        assert!(!check.healthy && check.description.len() == MAX_DESCRIPTION);
        assert_eq!(found.len(), 0);
    }

    #[test]
    fn old_future_and_damaged_memories_do_not_count() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let bytes = memory().to_bytes(now);
        let age = Duration::from_secs(600);
        let second = Duration::from_secs(1);
        for (at, why) in [
            (now + age + second, "it is 601 s old"),
            (now - CLOCK_SLACK - second, "it is from the future"),
        ] {
            let refused = Memory::from_bytes(&bytes, at, age).unwrap_err();
            assert_eq!(refused, why);
        }
        assert!(Memory::from_bytes(&bytes, now - CLOCK_SLACK, age).is_ok());
        for cut in 0..bytes.len() {
            assert!(
                Memory::from_bytes(&bytes[..cut], now, age).is_err(),
                "{cut}"
            );
        }
    }
}
