//! How a record tells its clients apart: classes of clients, and which sets are for each.
//!
//! Made once per configuration generation, aliases after what they lead to. A record that only
//! leads to one that tells clients apart does so too: its plan joins the plans of all it leads to,
//! so that one look-up per query decides the whole tree, health included, and the scope is exact.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use conf::{Audience, CidrCollection, Policy, Whereabouts};
use ipnet::IpNet;

use crate::location::{Client, Found, Geography, Map};

/// The class of all clients where a record does not tell them apart.
pub(crate) const EVERYONE: u32 = 0;

/// A record's classes of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    map: Arc<Map>,
    pub(super) classes: Vec<Class>,
}

/// Clients that are treated alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Class {
    /// The sets that are for them, the most exact first; `None`: all are.
    pub(super) sets: Option<Vec<usize>>,
    /// Their class in the record that a set leads to, by set, where it is not [`EVERYONE`].
    targets: Vec<(usize, u32)>,
}

impl Class {
    /// Their class in the record that a set leads to.
    pub(super) fn of_target(&self, set: usize) -> u32 {
        let found = self.targets.iter().find(|(of, _)| *of == set);
        found.map_or(EVERYONE, |(_, class)| *class)
    }
}

impl Plan {
    /// A client's class.
    pub(crate) fn find(&self, client: Client) -> Found {
        self.map.find(client)
    }

    /// For each class a client of it.
    pub(crate) fn samples(&self) -> Vec<std::net::IpAddr> {
        let samples = self.map.samples().into_iter();
        samples.map(|(address, _)| address).collect()
    }

    /// By where clients are: `order` says which sets are for those who are there, the first choice
    /// first.
    pub(super) fn of_whereabouts(
        places: &mut Places<'_>,
        alike: Alike,
        order: impl Fn(&Whereabouts) -> Vec<usize>,
    ) -> Self {
        if let Some(plan) = places.plans.get(&alike) {
            return plan.clone();
        }
        let plan = Self::made_of_whereabouts(places, order);
        places.plans.insert(alike, plan.clone());
        plan
    }

    fn made_of_whereabouts(
        places: &mut Places<'_>,
        order: impl Fn(&Whereabouts) -> Vec<usize>,
    ) -> Self {
        let mut classes = Interned::default();
        let geography = places.geography();
        let whereabouts = geography.whereabouts.iter();
        let by_place: Vec<u32> = whereabouts
            .map(|there| classes.number(Class::of(order(there))))
            .collect();
        match places.map(&by_place) {
            Some(map) => Self {
                map,
                classes: classes.all,
            },
            None => {
                let class = |number: &u32| classes.all.get(*number as usize).cloned();
                Self {
                    map: geography.map.clone(),
                    classes: by_place.iter().filter_map(class).collect(),
                }
            }
        }
    }

    /// By the sets' locations in a CIDR collection.
    pub(super) fn of_collection(audiences: &[Audience], collection: &CidrCollection) -> Self {
        let set_of = |location| {
            let wanted = Audience::CidrLocation(location);
            audiences.iter().position(|audience| *audience == wanted)
        };
        let mut blocks: Vec<(IpNet, Option<usize>)> = Vec::new();
        for (index, location) in collection.locations.iter().enumerate() {
            let set = set_of(Some(index));
            blocks.extend(location.cidrs.iter().map(|cidr| (*cidr, set)));
        }
        blocks.sort_unstable_by_key(|(block, _)| std::cmp::Reverse(block.prefix_len()));
        let default = set_of(None);
        let mut classes = Interned::default();
        let outside = classes.number(Class::of(default.into_iter().collect()));
        let classed: Vec<(IpNet, u32)> = blocks
            .iter()
            .map(|(block, _)| {
                let around = blocks.iter().filter(|(other, _)| other.contains(block));
                let mut sets: Vec<usize> = Vec::new();
                for set in around.filter_map(|(_, set)| *set).chain(default) {
                    if !sets.contains(&set) {
                        sets.push(set);
                    }
                }
                (*block, classes.number(Class::of(sets)))
            })
            .collect();
        Self {
            map: Arc::new(Map::of_blocks(&classed, outside)),
            classes: classes.all,
        }
    }

    /// The same with a set that is for all classes, after their own.
    pub(super) fn with_set(mut self, set: usize) -> Self {
        for class in &mut self.classes {
            if let Some(sets) = &mut class.sets {
                sets.retain(|other| *other != set);
                sets.push(set);
            }
        }
        self
    }

    /// `own` (if the record's policy tells clients apart) joined with the plans of the records
    /// that sets lead to; `None` when nothing tells clients apart.
    pub(super) fn join<'p>(
        own: Option<Self>,
        targets: impl Iterator<Item = (usize, &'p Self)>,
    ) -> Option<Self> {
        let mut joined = own;
        for (set, target) in targets {
            joined = Some(match joined {
                None => Self::through(set, target),
                Some(plan) => plan.with(set, target),
            });
        }
        joined
    }

    /// Only one set's target tells clients apart: its map is this record's too.
    fn through(set: usize, target: &Self) -> Self {
        let class = |class| Class {
            sets: None,
            targets: vec![(set, class)],
        };
        Self {
            map: target.map.clone(),
            classes: (0..target.classes.len() as u32).map(class).collect(),
        }
    }

    fn with(self, set: usize, target: &Self) -> Self {
        let mut classes = Interned::default();
        let map = self.map.zip(&target.map, &mut |mine, theirs| {
            let mut class = self.class(mine).clone();
            // What is told apart for other clients than these must not divide these.
            if class.sets.as_ref().is_none_or(|sets| sets.contains(&set)) {
                class.targets.push((set, theirs));
            }
            classes.number(class)
        });
        Self {
            map: Arc::new(map),
            classes: classes.all,
        }
    }

    fn class(&self, number: u32) -> &Class {
        const ALL: &Class = &Class {
            sets: None,
            targets: Vec::new(),
        };
        self.classes.get(number as usize).unwrap_or(ALL)
    }
}

impl Class {
    fn of(sets: Vec<usize>) -> Self {
        Self {
            sets: Some(sets),
            targets: Vec::new(),
        }
    }
}

/// Memory in bytes that maps of places may hold. Beyond it a record looks places up in the map that
/// all share: right answers still, with scopes as narrow as that map's.
const MAPS_BYTES: usize = 64 << 20;

/// What two records have in common that tell the same clients apart in the same way: their policy,
/// and ids and audiences of their sets.
pub(super) type Alike = (Policy, Vec<(Box<str>, Audience)>);

/// Maps of places, shared by records that tell the same clients apart. The geography is made when
/// the first record asks for it: most configurations need none.
pub(super) struct Places<'g> {
    make: &'g dyn Fn() -> Geography,
    geography: Option<Arc<Geography>>,
    maps: HashMap<Vec<u32>, Arc<Map>>,
    bytes: usize,
    /// A database of cities has hundreds of thousands of places: what was found for one record is
    /// not found again for others like it.
    plans: HashMap<Alike, Plan>,
}

impl<'g> Places<'g> {
    pub(super) fn new(make: &'g dyn Fn() -> Geography) -> Self {
        Self {
            make,
            geography: None,
            maps: HashMap::new(),
            bytes: 0,
            plans: HashMap::new(),
        }
    }

    /// The geography, if any record asked for it.
    pub(super) fn made(self) -> Option<Arc<Geography>> {
        self.geography
    }

    fn geography(&mut self) -> Arc<Geography> {
        let make = self.make;
        self.geography
            .get_or_insert_with(|| Arc::new(make()))
            .clone()
    }

    /// The map that leads clients to the class of where they are; `None` when there is no room.
    fn map(&mut self, by_place: &[u32]) -> Option<Arc<Map>> {
        if let Some(map) = self.maps.get(by_place) {
            return Some(map.clone());
        }
        let class = |place: u32| by_place.get(place as usize).copied().unwrap_or(EVERYONE);
        let map = self.geography().map.map(&mut |place| class(place));
        self.bytes += map.bytes();
        if self.bytes > MAPS_BYTES {
            self.bytes -= map.bytes();
            return None;
        }
        let map = Arc::new(map);
        self.maps.insert(by_place.to_vec(), map.clone());
        Some(map)
    }
}

/// Numbers for things, each thing once.
struct Interned<T> {
    all: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Hash + Eq + Clone> Interned<T> {
    fn number(&mut self, thing: T) -> u32 {
        let next = self.all.len() as u32;
        *self.numbers.entry(thing).or_insert_with_key(|thing| {
            self.all.push(thing.clone());
            next
        })
    }
}
