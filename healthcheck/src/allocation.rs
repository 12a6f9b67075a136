//! Ids by identity: who gets which place in the health table, and when a place is free again.
//!
//! Used by the board when a configuration is prepared, committed, or acknowledged. A place is given
//! to another identity only when no configuration names it, no prepared one reserves it, it is not
//! draining, and every plane acknowledged a generation without it: until then some plane may still
//! read the table through its id.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use crate::Plane;

/// Held by a prepared configuration: while it lives, what it reserved stays reserved.
#[derive(Debug, Default)]
pub(crate) struct Ticket;

/// The generations that planes acknowledged. Written by the planes, read by the board.
#[derive(Debug, Default)]
pub(crate) struct Acknowledgements {
    planes: [AtomicU64; 3],
    changed: Notify,
}

impl Acknowledgements {
    /// The plane reads nothing older than `generation` any more.
    pub(crate) fn acknowledge(&self, plane: Plane, generation: u64) {
        let [lb, dns, admin] = &self.planes;
        let cell = match plane {
            Plane::Lb => lb,
            Plane::Dns => dns,
            Plane::Admin => admin,
        };
        cell.fetch_max(generation, Ordering::AcqRel);
        self.changed.notify_one();
    }

    /// The oldest generation that some plane may read.
    pub(crate) fn oldest(&self) -> u64 {
        let read = |cell: &AtomicU64| cell.load(Ordering::Acquire);
        self.planes.iter().map(read).min().unwrap_or(0)
    }

    /// Waits until some plane acknowledged.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[derive(Debug)]
struct Place {
    index: u32,
    /// Named by the committed configuration.
    live: bool,
    /// The generation that was committed without it.
    left: u64,
    reserved: Vec<Weak<Ticket>>,
}

/// The places of one kind of identity.
#[derive(Debug)]
pub(crate) struct Allocation<K> {
    places: HashMap<K, Place>,
    free: Vec<u32>,
    next: u32,
}

impl<K> Default for Allocation<K> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            free: Vec::new(),
            next: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Allocation<K> {
    /// The identity's place, reserved for as long as the ticket lives.
    pub(crate) fn reserve(&mut self, key: &K, ticket: &Arc<Ticket>) -> u32 {
        if let Some(place) = self.places.get_mut(key) {
            place.reserved.retain(|ticket| ticket.strong_count() > 0);
            place.reserved.push(Arc::downgrade(ticket));
            return place.index;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        let place = Place {
            index,
            live: false,
            left: 0,
            reserved: vec![Arc::downgrade(ticket)],
        };
        self.places.insert(key.clone(), place);
        index
    }

    /// The identities for which `named` is true are the configuration of `generation`; returns the
    /// places that left with it.
    pub(crate) fn commit(&mut self, generation: u64, named: impl Fn(&K) -> bool) -> Vec<u32> {
        let mut left = Vec::new();
        for (key, place) in &mut self.places {
            let live = named(key);
            if place.live && !live {
                place.left = generation;
                left.push(place.index);
            }
            place.live = live;
        }
        left
    }

    /// Frees every place that nobody can read any more; returns them.
    pub(crate) fn reclaim(&mut self, oldest: u64, draining: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut freed = Vec::new();
        self.places.retain(|_, place| {
            place.reserved.retain(|ticket| ticket.strong_count() > 0);
            let keep = place.live
                || !place.reserved.is_empty()
                || place.left > oldest
                || draining(place.index);
            if !keep {
                freed.push(place.index);
            }
            keep
        });
        self.free.extend(&freed);
        freed
    }

    /// The place of an identity that has one.
    pub(crate) fn find(&self, key: &K) -> Option<u32> {
        self.places.get(key).map(|place| place.index)
    }
}
