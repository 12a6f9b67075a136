//! Maglev's table (Eisenbud et al., NSDI 2016, section 3.4), weighted: from a hash to a target.
//!
//! Built by `compile` over every *registered* target of weight above 0, whatever its health, and
//! only when those or their weights change; shared by `Arc` between snapshots. Depends on
//! addresses and weights alone, not on their order, so that every process builds the same.
//!
//! Cost: a look-up is one remainder and one load; building is one pass over the table
//! (a few milliseconds), on the control thread.

use conf::Address;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::origin::address_hash;

/// Places of every table: a prime, so that every step walks the whole table; with 100 targets each
/// has 655. One size for all groups, because another size is another mapping: a group that crossed
/// a boundary between sizes by one target would move nearly every client.
const SIZE: usize = 65_537;

/// Turns are due at multiples of this divided by the weight.
const TURN: u64 = 1 << 32;

/// A target's identity and weight.
pub(super) type Entry = (Address, u16);

/// From a hash to a place in the list of entries.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    places: Vec<u16>,
}

impl Table {
    /// A table over `entries`, which must be sorted and of weight above 0. Entries past the
    /// 65,535th, more than the descriptor budget lets anybody probe, get no place.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let places = if entries.is_empty() {
            Vec::new()
        } else {
            fill(&entries)
        };
        Self { entries, places }
    }

    /// What it was built from.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry a hash belongs to; `None` when there is none at all.
    pub(super) fn at(&self, hash: u64) -> Option<usize> {
        let size = self.places.len() as u64;
        let place = hash.checked_rem(size)?;
        self.places.get(place as usize).copied().map(usize::from)
    }
}

/// Lets every entry take its next free place in turn, heavier ones more often, until all are taken.
fn fill(entries: &[Entry]) -> Vec<u16> {
    const FREE: u16 = u16::MAX;
    let mut places = vec![FREE; SIZE];
    let mut walks: Vec<Walk> = entries.iter().map(|entry| Walk::new(entry.0)).collect();
    let takers = entries.iter().take(usize::from(FREE)).enumerate();
    let mut turns: BinaryHeap<_> = takers.map(|(i, entry)| due(0, i, entry)).collect();
    for _ in 0..SIZE {
        let Some(Reverse((_, index, taken))) = turns.pop() else {
            break;
        };
        let place = walks[index].find(|place| places[*place] == FREE);
        if let Some(place) = place {
            places[place] = index as u16;
        }
        turns.push(due(taken + 1, index, &entries[index]));
    }
    places
}

/// When an entry that has taken so many places takes its next one.
fn due(taken: u64, index: usize, entry: &Entry) -> Reverse<(u64, usize, u64)> {
    // The middle of the turn: a heavy target does not wait for the light ones' first.
    let at = (2 * taken + 1) * TURN / u64::from(entry.1).max(1);
    Reverse((at, index, taken))
}

/// An entry's preferences: every place of the table once, then over again.
struct Walk {
    next: usize,
    step: usize,
}

impl Walk {
    fn new(address: Address) -> Self {
        let within = |stream, limit: usize| (address_hash(address, stream) % limit as u64) as usize;
        Self {
            next: within(1, SIZE),
            step: within(2, SIZE - 1) + 1,
        }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.next;
        self.next = (place + self.step) % SIZE;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::origin::address_hash;
    use super::*;

    fn entries(count: usize) -> Vec<Entry> {
        let entry = |n: usize| {
            let [high, low] = (n as u16).to_be_bytes();
            (
                std::net::SocketAddr::from(([10, 1, high, low], 80)).into(),
                1,
            )
        };
        (0..count).map(entry).collect()
    }

    fn shares(table: &Table) -> Vec<f64> {
        let mut shares = vec![0.0; table.entries.len()];
        for place in &table.places {
            shares[usize::from(*place)] += 1.0 / table.places.len() as f64;
        }
        shares
    }

    #[test]
    fn hundred_targets_share_within_two_percent() {
        let shares = shares(&Table::new(entries(100)));
        let most = shares.iter().copied().fold(0.0, f64::max);
        assert!(most * 100.0 <= 1.02, "{most}");
    }

    #[test]
    fn places_follow_weights() {
        let mut weighted = entries(3);
        weighted[0].1 = 1000;
        weighted[1].1 = 100;
        let table = Table::new(weighted);
        for (share, weight) in shares(&table).into_iter().zip([1000.0, 100.0, 1.0]) {
            let off = (share - weight / 1101.0).abs() * table.places.len() as f64;
            assert!(off <= 1.5, "{share} of {weight}");
        }
    }

    #[test]
    fn largest_group_fills_the_largest_table() {
        let table = Table::new(entries(8192));
        let shares = shares(&table);
        assert!(shares.iter().all(|share| *share > 0.0));
    }

    /// Nodes agree on where clients go only while none builds another table from the same targets:
    /// what this test sees change, changes every user's mapping.
    #[test]
    fn tables_never_change() {
        let mut weighted = entries(20);
        weighted
            .iter_mut()
            .zip(1..)
            .for_each(|(entry, weight)| entry.1 = weight);
        let table = Table::new(weighted);
        let digest = table
            .places
            .iter()
            .zip(0..)
            .fold(0u64, |digest, (place, at)| {
                let entry = table.entries[usize::from(*place)].0;
                digest.rotate_left(1) ^ address_hash(entry, at)
            });
        assert_eq!(digest, 956_902_105_223_095_188);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Losing one of N moves the lost target's keys and at most two percent of the others.
        #[test]
        fn losing_one_moves_little_more_than_its_keys(count in 2usize..300, lost in any::<prop::sample::Index>()) {
            let before = Table::new(entries(count));
            let lost = lost.index(count);
            let mut left = entries(count);
            left.remove(lost);
            let after = Table::new(left);
            let address = |table: &Table, place: usize| table.entries[usize::from(table.places[place])].0;
            let moved = (0..SIZE).filter(|place| address(&before, *place) != address(&after, *place));
            let share = moved.count() as f64 / SIZE as f64;
            prop_assert!(share <= 1.0 / count as f64 + 0.02, "{share} of {count}");
        }
    }
}
