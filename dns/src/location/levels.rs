//! Ranges for each length of prefix that a client may be known by.
//!
//! A block counts only for clients whose whole network is known to be inside it (Route 53: a query
//! prefix shorter than a block does not match it), so that a client of which 7 bits are known has
//! other ranges than one of which all are. Without blocks of different lengths there is one level.

use super::Found;
use super::ranges::{Address, Ranges};

/// Ranges by known bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Levels<A> {
    /// From this many known bits on these ranges hold; ascending, the first from 0.
    shorter: Vec<(u8, Ranges<A>)>,
    /// The least bits for the ranges below.
    least: u8,
    /// For clients of which all bits are known.
    full: Ranges<A>,
}

impl<A: Address> Levels<A> {
    /// The same ranges for everybody.
    pub(super) fn single(full: Ranges<A>) -> Self {
        Self {
            shorter: Vec::new(),
            least: 0,
            full,
        }
    }

    /// Ranges of blocks: (first address, length, value), in order of address and length, none
    /// twice.
    pub(super) fn of_blocks(blocks: &[(A, u8, u32)], outside: u32) -> Self {
        let mut lengths: Vec<u8> = blocks.iter().map(|(_, length, _)| *length).collect();
        lengths.push(0);
        lengths.sort_unstable();
        lengths.dedup();
        let up_to = |most: u8| {
            let shorter = blocks.iter().copied();
            Ranges::of_blocks(shorter.filter(|(_, length, _)| *length <= most), outside)
        };
        let least = lengths.pop().unwrap_or(0);
        Self {
            shorter: lengths
                .into_iter()
                .map(|most| (most, up_to(most)))
                .collect(),
            least,
            full: up_to(least),
        }
    }

    /// Memory they hold, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let shorter = self.shorter.iter().map(|(_, ranges)| ranges.bytes());
        shorter.sum::<usize>() + self.full.bytes()
    }

    /// The value for an address of which `length` bits are known.
    pub(super) fn find(&self, address: A, length: u8) -> Found {
        let (value, scope) = self.full.find(address);
        if length >= self.least {
            return Found { value, scope };
        }
        let (known, _) = self.level(length).find(address);
        let scope = if known == value {
            scope
        } else {
            scope.max(length.saturating_add(1))
        };
        Found {
            value: known,
            scope,
        }
    }

    fn level(&self, length: u8) -> &Ranges<A> {
        if length >= self.least {
            return &self.full;
        }
        let below = self.shorter.iter().rev();
        let mut below = below.filter(|(least, _)| *least <= length);
        below.next().map_or(&self.full, |(_, ranges)| ranges)
    }

    /// Both in one.
    pub(super) fn zip(&self, other: &Self, join: &mut dyn FnMut(u32, u32) -> u32) -> Self {
        let lengths = self.shorter.iter().chain(&other.shorter);
        let mut lengths: Vec<u8> = lengths.map(|(least, _)| *least).collect();
        let least = self.least.max(other.least);
        lengths.extend([self.least, other.least]);
        lengths.retain(|length| *length < least);
        lengths.sort_unstable();
        lengths.dedup();
        let mut at = |length| self.level(length).zip(other.level(length), join);
        Self {
            shorter: lengths
                .into_iter()
                .map(|length| (length, at(length)))
                .collect(),
            least,
            full: at(least),
        }
    }

    /// Addresses of known length and the values they find.
    pub(super) fn samples(&self) -> impl Iterator<Item = (A, u32)> + '_ {
        self.full.each()
    }
}
