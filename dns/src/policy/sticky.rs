//! The same set for the same clients: by a hash of the client's prefix, without remembering anyone.
//!
//! Rendezvous hashing by weight: every set has a score for every prefix, the highest answers. A set
//! that fails gives away its own clients only, and gets them back. The hash knows the record's name
//! but not its type, and sets by their ids, so that A and AAAA of one name lead a client to the same
//! endpoint; it is the same on every machine and in every version.
//! Cost: a hash and a logarithm for each set; no allocation, no lock.

use std::net::IpAddr;

use super::multivalue::MAX_DRAWN;
use super::{Choice, Member, Pick};
use crate::location::Client;

/// Bits of a client's address that name its network: what resolvers send by ECS (RFC 7871 section
/// 11.1), and what Route 53's logs show.
const V4_BITS: u8 = 24;
const V6_BITS: u8 = 48;

/// The network that a client is in, as a number, and the bits of it that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    hash: u64,
    /// Its length.
    pub(super) bits: u8,
}

impl Prefix {
    /// That of a client. Bits that are not known count as zeros.
    pub(super) fn of(client: Client) -> Self {
        let (bits, known) = match client.address {
            IpAddr::V4(v4) => {
                let keep = u32::MAX << (32 - V4_BITS);
                (V4_BITS, u64::from(u32::from(v4) & keep))
            }
            IpAddr::V6(v6) => (V6_BITS, (u128::from(v6) >> (128 - V6_BITS)) as u64),
        };
        Self {
            hash: mixed(known ^ u64::from(bits) << 56),
            bits,
        }
    }

    /// A number for the prefix and a thing, each alike among all 64-bit numbers.
    fn with(self, key: u64) -> u64 {
        mixed(self.hash ^ mixed(key))
    }

    /// True for so many per cent of all prefixes.
    pub(super) fn is_within(self, key: u64, percent: u8) -> bool {
        let point = (u128::from(self.with(key)) * 10_000) >> 64;
        point < u128::from(percent) * 100
    }
}

/// A set with its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weighed {
    id: u64,
    weight: u32,
    pub(super) pick: Pick,
}

/// The choice by prefix in place of one by chance.
pub(super) fn instead(choice: Choice, members: &[&Member], key: u64) -> Choice {
    let weighed = |pick: Pick, weight| {
        let member = members.iter().find(|member| member.set == pick.set);
        Weighed {
            id: member.map_or(0, |member| member.id),
            weight,
            pick,
        }
    };
    match choice {
        Choice::Weighted(entries) => {
            let mut below = 0;
            let picks = entries.into_iter().map(|(sum, pick)| {
                let weight = sum - below;
                below = sum;
                weighed(pick, weight)
            });
            let picks = picks.collect();
            Choice::Sticky {
                key,
                picks,
                most: 1,
            }
        }
        Choice::Some { picks, most } => {
            let picks = picks.into_iter().map(|pick| weighed(pick, 1)).collect();
            Choice::Sticky { key, picks, most }
        }
        other => other,
    }
}

/// Up to `most` of the sets for a prefix, the highest score first.
pub(super) fn chosen<'p>(
    picks: &'p [Weighed],
    most: u8,
    key: u64,
    prefix: Prefix,
) -> impl Iterator<Item = &'p Pick> + use<'p> {
    let most = usize::from(most).min(MAX_DRAWN);
    let mut best: [(f64, usize); MAX_DRAWN] = [(f64::NEG_INFINITY, usize::MAX); MAX_DRAWN];
    for (index, weighed) in picks.iter().enumerate() {
        let score = score(weighed, key, prefix);
        let place = best.iter().take(most).position(|(other, _)| score > *other);
        if let Some(room) = place.and_then(|place| best.get_mut(place..most)) {
            room.rotate_right(1);
            if let Some(first) = room.first_mut() {
                *first = (score, index);
            }
        }
    }
    let found = best.into_iter().take(most);
    found.filter_map(|(_, index)| picks.get(index).map(|weighed| &weighed.pick))
}

/// Weighted rendezvous hashing: weight / -ln(u), u uniform in (0, 1).
fn score(weighed: &Weighed, key: u64, prefix: Prefix) -> f64 {
    let hash = prefix.with(key ^ weighed.id);
    let uniform = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(weighed.weight) / uniform.ln()
}

/// A number for a text (FNV-1a, mixed).
pub(super) fn number(text: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mixed(text.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The finalizer of splitmix64.
fn mixed(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
