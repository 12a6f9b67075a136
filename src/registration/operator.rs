//! What the operator registered and deregistered by the API (ELB RegisterTargets and
//! DeregisterTargets), kept across reloads and restarts.
//!
//! Owned by the [`Registry`](super::Registry). The file in the state folder holds two lists for each
//! group: targets that only the operator names, or names with attributes of their own, and targets
//! of other sources that were deregistered. It never grows old; a group that leaves the
//! configuration takes its lists with it. A damaged file counts as absent, and the log says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use conf::{Address, Config, Target};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::Offers;
use super::merge::{Deregistered, Offer, Origin, fault};

/// Targets of one group that the operator may register.
const MAX_REGISTERED: usize = 1000;
/// Larger files were not written here.
const MAX_BYTES: u64 = 32 << 20;

/// A target to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Registration {
    /// Where it listens.
    pub(crate) address: Address,
    /// Its weight, 0 to 1000; 1 when nobody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u16>,
    /// Its availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) availability_zone: Option<String>,
    /// Only used when no other target can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<bool>,
}

/// A change of a group's targets.
#[derive(Debug)]
pub(crate) enum Change {
    /// Targets come.
    Register(Vec<Registration>),
    /// Targets go.
    Deregister(Vec<Address>),
}

/// Why nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// No such group.
    #[error("no target group `{0}`")]
    UnknownGroup(String),
    /// Nothing can be sent there.
    #[error("`{0}` cannot be a target: {1}")]
    Unusable(Address, String),
    /// Too many of them.
    #[error("more than {MAX_REGISTERED} targets would be registered with group {0} by hand")]
    TooMany(String),
    /// It could not be applied.
    #[error("it cannot be served: {0}")]
    Refused(String),
}

/// Everything the operator registered and deregistered.
#[derive(Debug, Clone)]
pub(super) struct OperatorRegistrations {
    file: PathBuf,
    registered: HashMap<String, BTreeMap<Address, Registration>>,
    deregistered: Deregistered,
}

impl OperatorRegistrations {
    /// What was saved in `file`.
    pub(super) fn recall(file: PathBuf) -> Self {
        let found = match healthcheck::read_state(&file, MAX_BYTES) {
            Ok(Some(bytes)) => Text::from_bytes(&bytes),
            Ok(None) => Ok(Text::default()),
            Err(error) => Err(error.to_string()),
        };
        let text = found.unwrap_or_else(|error| {
            let file = file.display();
            tracing::error!(%file, %error, "saved registrations cannot be read: only the configuration's targets are registered");
            Text::default()
        });
        text.into_registrations(file)
    }

    /// Keeps nothing of groups that are gone, and no mark on targets that nobody names any more.
    pub(super) fn forget_strangers(&mut self, config: &Config) {
        let groups: HashMap<&str, (BTreeSet<Address>, bool)> = (config.target_groups.iter())
            .map(|group| {
                let targets = group.targets.iter().map(|target| target.address);
                // What names and files say now they may not say in a moment, and the other way round.
                let settled = group.sources.is_empty();
                (group.name.as_str(), (targets.collect(), settled))
            })
            .collect();
        self.registered.retain(|group, targets| {
            let stays = groups.contains_key(group.as_str());
            if !stays {
                let targets = targets.len();
                tracing::warn!(
                    "target group {group} is gone, and with it the {targets} targets that were \
                     registered by the API"
                );
            }
            stays
        });
        self.deregistered.retain(|group, targets| {
            let named = groups.get(group.as_str());
            targets.retain(|target| {
                named.is_some_and(|(named, settled)| !settled || named.contains(target))
            });
            !targets.is_empty()
        });
    }

    /// Targets that are left out, whoever names them.
    pub(super) fn deregistered(&self) -> &Deregistered {
        &self.deregistered
    }

    /// What the operator registered. Attributes that were not given are those of the file's target.
    pub(super) fn offers(&self, file: &Config) -> Offers {
        let mut offers = Offers::new();
        for group in &file.target_groups {
            let Some(registered) = self.registered.get(&group.name) else {
                continue;
            };
            let offer = |registration: &Registration| {
                let mut known = group.targets.iter();
                let known = known.find(|target| target.address == registration.address);
                let target = registration.over(known);
                Offer {
                    target,
                    origin: Origin::Operator,
                }
            };
            let offered = registered.values().map(offer).collect();
            offers.insert(group.name.clone(), offered);
        }
        offers
    }

    /// Makes a change; the targets for which it makes a difference. `others` tells whether another
    /// source names a target.
    pub(super) fn change(
        &mut self,
        config: &Config,
        group: &str,
        change: &Change,
        others: &dyn Fn(Address) -> bool,
    ) -> Result<Vec<Address>, ChangeError> {
        if !config.target_groups.iter().any(|known| known.name == group) {
            return Err(ChangeError::UnknownGroup(group.to_owned()));
        }
        let registered = self.registered.entry(group.to_owned()).or_default();
        let deregistered = self.deregistered.entry(group.to_owned()).or_default();
        let mut changed = Vec::new();
        match change {
            Change::Register(targets) => {
                for target in targets {
                    let address = target.address;
                    if let Some(why) = fault(config, group, address) {
                        return Err(ChangeError::Unusable(address, why));
                    }
                    let returns = deregistered.remove(&address);
                    // Another source's target stays that source's, unless it is to be different.
                    let owned = !others(address) || target.has_attributes();
                    let differs = owned
                        && registered.insert(address, target.clone()).as_ref() != Some(target);
                    if returns || differs {
                        changed.push(address);
                    }
                }
            }
            Change::Deregister(addresses) => {
                for &address in addresses {
                    let was_owned = registered.remove(&address).is_some();
                    let is_left_out = others(address) && deregistered.insert(address);
                    if was_owned || is_left_out {
                        changed.push(address);
                    }
                }
            }
        }
        if registered.len() > MAX_REGISTERED || deregistered.len() > MAX_REGISTERED {
            return Err(ChangeError::TooMany(group.to_owned()));
        }
        Ok(changed)
    }

    /// Saves it all; false when that failed, and the log says why.
    pub(super) async fn save(&self) -> bool {
        let bytes = Text::of(self).to_bytes();
        let file = self.file.clone();
        let written = spawn_blocking(move || healthcheck::replace_state(&file, &bytes)).await;
        let error = match written {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let file = self.file.display();
        tracing::error!(%file, %error, "registrations cannot be saved: a restart would forget the change");
        false
    }
}

impl Registration {
    fn has_attributes(&self) -> bool {
        self.weight.is_some() || self.availability_zone.is_some() || self.backup.is_some()
    }

    /// The target, with what it says over what `known` says.
    fn over(&self, known: Option<&Target>) -> Target {
        let mut target = known.map_or_else(|| Target::at(self.address), Target::clone);
        target.weight = self.weight.unwrap_or(target.weight);
        target.backup = self.backup.unwrap_or(target.backup);
        if let Some(zone) = &self.availability_zone {
            target.availability_zone.clone_from(zone);
        }
        target
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Text {
    target_groups: BTreeMap<String, GroupText>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct GroupText {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    registered: Vec<Registration>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    deregistered: BTreeSet<Address>,
}

impl Text {
    fn of(registrations: &OperatorRegistrations) -> Self {
        let mut text = Self::default();
        for (group, registered) in &registrations.registered {
            let group = text.target_groups.entry(group.clone()).or_default();
            group.registered = registered.values().cloned().collect();
        }
        for (group, deregistered) in &registrations.deregistered {
            let group = text.target_groups.entry(group.clone()).or_default();
            group.deregistered.clone_from(deregistered);
        }
        (text.target_groups)
            .retain(|_, group| !group.registered.is_empty() || !group.deregistered.is_empty());
        text
    }

    fn to_bytes(&self) -> Vec<u8> {
        // Strings and numbers always have a form in JSON.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    fn into_registrations(self, file: PathBuf) -> OperatorRegistrations {
        let mut found = OperatorRegistrations {
            file,
            registered: HashMap::new(),
            deregistered: Deregistered::new(),
        };
        for (group, text) in self.target_groups {
            let registered = text.registered.into_iter().take(MAX_REGISTERED);
            let registered = registered.filter(|target| {
                Target::unusable(target.address).is_none() && target.weight.unwrap_or(1) <= 1000
            });
            let registered = registered.map(|target| (target.address, target));
            found.registered.insert(group.clone(), registered.collect());
            found.deregistered.insert(group, text.deregistered);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(targets: &str) -> Config {
        let text = format!(
            "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:9\"\nprotocol = \"tcp\"\nforward = \"g\"\n\
             [[target-group]]\nname = \"g\"\nprotocol = \"tcp\"\ntargets = [{targets}]\n"
        );
        conf::load_text(Path::new("pointsman.toml"), &text).config
    }

    fn target(address: &str, weight: Option<u16>) -> Registration {
        Registration {
            address: address.parse().unwrap(),
            weight,
            availability_zone: None,
            backup: None,
        }
    }

    /// Changes against a file with 127.0.0.1:1, and how many made a difference.
    fn change(registrations: &mut OperatorRegistrations, change: &Change) -> usize {
        let others = |address: Address| address == "127.0.0.1:1".parse::<Address>().unwrap();
        let config = config("{ address = \"127.0.0.1:1\", weight = 5 }");
        let changed = registrations.change(&config, "g", change, &others);
        changed.unwrap().len()
    }

    fn weights(registrations: &OperatorRegistrations) -> Vec<(String, u16)> {
        let file = config("{ address = \"127.0.0.1:1\", weight = 5 }");
        let mut offers = registrations.offers(&file);
        let offers = offers.remove("g").unwrap_or_default().into_iter();
        let show = |offer: Offer| (offer.target.address.to_string(), offer.target.weight);
        offers.map(show).collect()
    }

    #[test]
    fn a_target_of_another_source_stays_its_unless_it_is_to_be_different() {
        let mut held = Text::default().into_registrations(PathBuf::new());
        let own = "127.0.0.1:1".parse().unwrap();
        let plain = Change::Register(vec![target("127.0.0.1:1", None)]);
        assert_eq!(change(&mut held, &plain), 0);
        assert_eq!(change(&mut held, &Change::Deregister(vec![own])), 1);
        assert_eq!(change(&mut held, &Change::Deregister(vec![own])), 0);
        assert!(held.deregistered()["g"].contains(&own));
        assert_eq!(change(&mut held, &plain), 1);
        assert!(held.deregistered()["g"].is_empty() && weights(&held).is_empty());
        let heavy = Change::Register(vec![target("127.0.0.1:1", Some(9))]);
        assert_eq!(change(&mut held, &heavy), 1);
        assert_eq!(change(&mut held, &heavy), 0);
        assert_eq!(weights(&held), [("127.0.0.1:1".to_owned(), 9)]);
    }

    #[test]
    fn new_targets_come_and_go_and_nonsense_is_refused_whole() {
        let mut held = Text::default().into_registrations(PathBuf::new());
        let two = Change::Register(vec![
            target("127.0.0.2:1", None),
            target("[::1]:2", Some(3)),
        ]);
        assert_eq!(change(&mut held, &two), 2);
        let there = [("127.0.0.2:1".to_owned(), 1), ("[::1]:2".to_owned(), 3)];
        assert_eq!(weights(&held), there);
        let gone = Change::Deregister(vec!["127.0.0.2:1".parse().unwrap()]);
        assert_eq!(change(&mut held, &gone), 1);
        assert_eq!(change(&mut held, &gone), 0);
        assert!(held.deregistered()["g"].is_empty());
        let bad = Change::Register(vec![target("127.0.0.2:0", None)]);
        let others = |_| false;
        let refused = held.clone().change(&config(""), "g", &bad, &others);
        assert!(matches!(refused, Err(ChangeError::Unusable(..))));
        let refused = held.clone().change(&config(""), "h", &gone, &others);
        assert!(matches!(refused, Err(ChangeError::UnknownGroup(_))));
        let address = |n: usize| target(&format!("127.1.{}.{}:1", n / 200, 1 + n % 200), None);
        let many = Change::Register((0..=MAX_REGISTERED).map(address).collect());
        let refused = held.change(&config(""), "g", &many, &others);
        assert!(matches!(refused, Err(ChangeError::TooMany(_))));
    }

    #[tokio::test]
    async fn what_is_saved_is_read_back_and_strangers_are_forgotten() {
        let folder = std::env::temp_dir().join(format!("pointsman-reg-{}", std::process::id()));
        let file = folder.join("registrations.json");
        let mut held = OperatorRegistrations::recall(file.clone());
        change(
            &mut held,
            &Change::Register(vec![target("[::1]:2", Some(3))]),
        );
        change(
            &mut held,
            &Change::Deregister(vec!["127.0.0.1:1".parse().unwrap()]),
        );
        assert!(held.save().await);
        let mut found = OperatorRegistrations::recall(file.clone());
        assert_eq!(weights(&found), weights(&held));
        assert_eq!(found.deregistered(), held.deregistered());
        // The file no longer names what was deregistered: should it come back, it is registered.
        found.forget_strangers(&config("\"127.0.0.3:1\""));
        assert!(found.deregistered().is_empty() && weights(&found).len() == 1);
        found.forget_strangers(&conf::load_text(Path::new("x.toml"), "").config);
        assert!(weights(&found).is_empty());
        std::fs::write(&file, "{").unwrap();
        assert!(weights(&OperatorRegistrations::recall(file)).is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
