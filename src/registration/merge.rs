//! The one place where targets of all sources come together. Pure.
//!
//! The file's targets stand first and in its order; then each source's, by address. The first to
//! name an address decides what it is like, but what the operator registered with attributes of its
//! own has those. What the operator deregistered is left out, whoever names it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use conf::{Address, Config, Target};

use super::Offers;

/// Targets of a group at most, from all sources together: a source gone mad must not take the
/// process with it.
const MAX_TARGETS: usize = 10_000;
/// Offers whose refusal is told.
const MAX_REFUSED: usize = 10;

/// Who registered a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `targets` in the file.
    File,
    /// The operator, by the API.
    Operator,
    /// The group's `targets-file`.
    TargetsFile,
    /// A name that was looked up.
    Name(Arc<str>),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Operator => f.write_str("operator"),
            Self::TargetsFile => f.write_str("targets-file"),
            Self::Name(name) => write!(f, "name {name}"),
        }
    }
}

/// A target that a source wants registered.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(super) target: Target,
    pub(super) origin: Origin,
}

/// Who registered each target of a configuration, and which are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins(HashMap<String, GroupOrigins>);

#[derive(Debug, Default, PartialEq, Eq)]
struct GroupOrigins {
    registered: HashMap<Address, Origin>,
    deregistered: BTreeSet<Address>,
    /// Offers that must not be taken, and why.
    refused: BTreeMap<Address, String>,
}

impl Origins {
    /// Who registered it.
    pub(crate) fn origin(&self, group: &str, address: Address) -> Option<&Origin> {
        self.0.get(group)?.registered.get(&address)
    }

    /// Targets that some source names and the operator deregistered.
    pub(crate) fn deregistered(&self, group: &str) -> impl Iterator<Item = Address> + '_ {
        let group = self.0.get(group).into_iter();
        group.flat_map(|group| group.deregistered.iter().copied())
    }
}

impl Origins {
    /// What sources offered in vain, and why.
    pub(crate) fn refused(&self, group: &str) -> impl Iterator<Item = (Address, &str)> + '_ {
        let group = self.0.get(group).into_iter();
        let refused = group.flat_map(|group| &group.refused);
        refused.map(|(address, why)| (*address, why.as_str()))
    }
}

/// Why a target at `address` must not be registered with a group.
pub(super) fn fault(config: &Config, group: &str, address: Address) -> Option<String> {
    if let Some(why) = Target::unusable(address) {
        return Some(why.to_owned());
    }
    let mut groups = config.target_groups.iter();
    let named = groups.find(|named| named.name == group);
    if let Some(misfit) = named.and_then(|group| group.misfit(address)) {
        return Some(misfit.why.to_owned());
    }
    let listener = config.forward_loop(group, address)?;
    let name = &listener.name;
    Some(format!(
        "it is listener {name} itself, which forwards to the group"
    ))
}

/// A configuration with the targets of every source.
#[derive(Debug)]
pub(crate) struct Merged {
    /// What is to be served.
    pub(crate) config: Arc<Config>,
    /// Whose its targets are.
    pub(crate) origins: Origins,
}

impl Merged {
    /// True when `config` has the same targets.
    pub(crate) fn has_targets_of(&self, config: &Config) -> bool {
        let ours = self.config.target_groups.iter();
        ours.map(|group| &group.targets)
            .eq(config.target_groups.iter().map(|group| &group.targets))
    }
}

/// What the operator deregistered, by group.
pub(super) type Deregistered = HashMap<String, BTreeSet<Address>>;

/// `file` with what `sources` offer, in their order, and without what was deregistered.
pub(super) fn merge(file: &Config, sources: &[&Offers], deregistered: &Deregistered) -> Merged {
    let mut config = file.clone();
    let mut origins = Origins::default();
    let nothing = BTreeSet::new();
    for group in &mut config.target_groups {
        let without = deregistered.get(&group.name).unwrap_or(&nothing);
        let mut members = Members::new(without);
        let offered = || {
            sources
                .iter()
                .flat_map(|source| source.get(&group.name))
                .flatten()
        };
        let by_operator: HashMap<_, _> = offered()
            .filter(|offer| offer.origin == Origin::Operator)
            .map(|offer| (offer.target.address, offer))
            .collect();
        for target in std::mem::take(&mut group.targets) {
            match by_operator.get(&target.address) {
                Some(offer) => members.add(offer.target.clone(), offer.origin.clone()),
                None => members.add(target, Origin::File),
            }
        }
        for offer in offered() {
            match fault(file, &group.name, offer.target.address) {
                None => members.add(offer.target.clone(), offer.origin.clone()),
                Some(why) => members.refuse(offer.target.address, why),
            }
        }
        group.targets = members.targets;
        origins.0.insert(group.name.clone(), members.origins);
    }
    Merged {
        config: Arc::new(config),
        origins,
    }
}

/// A group's targets as they come together.
struct Members<'d> {
    without: &'d BTreeSet<Address>,
    /// IPv4 addresses in IPv6 form are the same place.
    seen: BTreeSet<Address>,
    targets: Vec<Target>,
    origins: GroupOrigins,
}

impl<'d> Members<'d> {
    fn new(without: &'d BTreeSet<Address>) -> Self {
        Self {
            without,
            seen: BTreeSet::new(),
            targets: Vec::new(),
            origins: GroupOrigins::default(),
        }
    }

    fn refuse(&mut self, address: Address, why: String) {
        if self.origins.refused.len() < MAX_REFUSED {
            self.origins.refused.insert(address, why);
        }
    }

    fn add(&mut self, target: Target, origin: Origin) {
        let address = target.address;
        if !self.seen.insert(address.to_canonical()) {
            return;
        }
        if self.without.contains(&address) {
            self.origins.deregistered.insert(address);
        } else if self.targets.len() < MAX_TARGETS || origin == Origin::File {
            self.origins.registered.insert(address, origin);
            self.targets.push(target);
        } else {
            self.refuse(address, format!("the group has {MAX_TARGETS} targets"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(targets: &str) -> Config {
        let text = format!(
            "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:9\"\nprotocol = \"tcp\"\nforward = \"g\"\n\
             [[target-group]]\nname = \"g\"\nprotocol = \"tcp\"\ntargets = [{targets}]\n"
        );
        let loaded = conf::load_text(Path::new("pointsman.toml"), &text);
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        loaded.config
    }

    fn offers(addresses: &[(&str, u16)]) -> Offers {
        let offer = |&(address, weight): &(&str, u16)| Offer {
            target: Target {
                weight,
                ..Target::at(address.parse::<Address>().unwrap())
            },
            origin: Origin::Operator,
        };
        HashMap::from([("g".to_owned(), addresses.iter().map(offer).collect())])
    }

    fn shown(merged: &Merged) -> Vec<String> {
        let group = &merged.config.target_groups[0];
        let show = |target: &Target| {
            let origin = merged.origins.origin("g", target.address).unwrap();
            format!("{} {} {origin}", target.address, target.weight)
        };
        group.targets.iter().map(show).collect()
    }

    #[test]
    fn sources_add_to_the_file_and_the_operator_has_the_last_word() {
        let file = file("\"127.0.0.3:1\", \"127.0.0.2:1\"");
        let none = Deregistered::new();
        let merged = merge(&file, &[], &none);
        assert!(merged.has_targets_of(&file));
        assert_eq!(shown(&merged), ["127.0.0.3:1 1 file", "127.0.0.2:1 1 file"]);
        let more = offers(&[
            ("127.0.0.2:1", 7),
            ("127.0.0.1:1", 3),
            ("[::ffff:127.0.0.3]:1", 9),
        ]);
        let merged = merge(&file, &[&more], &none);
        assert!(!merged.has_targets_of(&file));
        let all = [
            "127.0.0.3:1 1 file",
            "127.0.0.2:1 7 operator",
            "127.0.0.1:1 3 operator",
        ];
        assert_eq!(shown(&merged), all);
        let without = BTreeSet::from([
            "127.0.0.3:1".parse().unwrap(),
            "127.0.0.9:1".parse().unwrap(),
        ]);
        let gone = Deregistered::from([("g".to_owned(), without)]);
        let merged = merge(&file, &[&more], &gone);
        assert_eq!(
            shown(&merged),
            ["127.0.0.2:1 7 operator", "127.0.0.1:1 3 operator"]
        );
        let left_out: Vec<_> = merged.origins.deregistered("g").collect();
        assert_eq!(left_out, ["127.0.0.3:1".parse::<Address>().unwrap()]);
    }

    #[test]
    fn a_group_has_a_bounded_number_of_targets() {
        let file = file("\"127.0.0.1:1\"");
        let address = |n: usize| format!("127.1.{}.{}:1", n / 200, 1 + n % 200);
        let many: Vec<String> = (0..MAX_TARGETS + 5).map(address).collect();
        let many: Vec<_> = many.iter().map(|address| (address.as_str(), 1)).collect();
        let merged = merge(&file, &[&offers(&many)], &Deregistered::new());
        assert_eq!(merged.config.target_groups[0].targets.len(), MAX_TARGETS);
        assert_eq!(merged.origins.refused("g").count(), 6);
    }

    #[test]
    fn what_must_not_be_a_target_is_refused_and_the_rest_taken() {
        let file = file("");
        let offered = offers(&[("127.0.0.1:9", 1), ("127.0.0.1:0", 1), ("127.0.0.1:8", 1)]);
        let merged = merge(&file, &[&offered], &Deregistered::new());
        assert_eq!(shown(&merged), ["127.0.0.1:8 1 operator"]);
        let refused: Vec<_> = merged.origins.refused("g").collect();
        let [(_, no_port), (_, listener)] = refused[..] else {
            panic!("{refused:?}");
        };
        assert!(no_port.contains("port") && listener.contains("listener l itself"));
    }
}
