//! Where clients are: from an address to what was said of the network it is in.
//!
//! Maps are compiled once per configuration generation and asked once per query for a record whose
//! answer depends on it. A map also says how much of the address decided: the depth of the leaf in
//! the binary tree of prefixes, neighbours of one value merged, which is the ECS scope.
//! Cost of a look-up: a binary search; no allocation, no lock.

mod country;
pub(crate) mod distance;
mod geography;
mod latency;
mod levels;
mod located;
mod measured;
mod mmdb;
mod ranges;

use std::net::IpAddr;

pub use country::built_in_date;
pub(crate) use geography::Geography;
use ipnet::IpNet;
pub(crate) use latency::{Latencies, Rtt};
use levels::Levels;
pub use located::Located;
pub(crate) use located::Stamp;
pub(crate) use measured::Measured;
pub use measured::MeasuredRtt;
pub use mmdb::Fault;
use ranges::Ranges;

/// Who asks: the packet's sender, or the network an ECS option names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address; bits beyond `length` are zero.
    pub(crate) address: IpAddr,
    /// Bits of it that are known.
    pub(crate) length: u8,
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        // A socket for both families shows IPv4 clients as mapped addresses.
        let address = address.to_canonical();
        Self {
            address,
            length: if address.is_ipv4() { 32 } else { 128 },
        }
    }
}

/// What was found for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The value.
    pub(crate) value: u32,
    /// Leading bits of the address that decided; more than the client's known bits when more of
    /// them would be needed to decide for good (RFC 7871 section 7.2.1).
    pub(crate) scope: u8,
}

/// A value for every client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Map {
    v4: Levels<u32>,
    v6: Levels<u128>,
}

impl Map {
    /// Values by the longest of `blocks` that holds all of the client's network; `outside` where
    /// none does.
    pub(crate) fn of_blocks(blocks: &[(IpNet, u32)], outside: u32) -> Self {
        let (v4, v6) = split(blocks);
        Self {
            v4: Levels::of_blocks(&v4, outside),
            v6: Levels::of_blocks(&v6, outside),
        }
    }

    /// Values by the longest of `blocks` that holds the client's address, however many of its bits
    /// are known; `outside` where none does.
    pub(crate) fn of_networks(blocks: &[(IpNet, u32)], outside: u32) -> Self {
        let (v4, v6) = split(blocks);
        Self {
            v4: Levels::single(Ranges::of_blocks(v4.into_iter(), outside)),
            v6: Levels::single(Ranges::of_blocks(v6.into_iter(), outside)),
        }
    }

    /// Memory it holds, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }

    /// The value for a client.
    pub(crate) fn find(&self, client: Client) -> Found {
        match client.address {
            IpAddr::V4(v4) => self.v4.find(u32::from(v4), client.length),
            IpAddr::V6(v6) => self.v6.find(u128::from(v6), client.length),
        }
    }

    /// Every value changed by `change`; neighbours that become alike are merged.
    pub(crate) fn map(&self, change: &mut dyn FnMut(u32) -> u32) -> Self {
        self.zip(&Self::of_networks(&[], 0), &mut |value, _| change(value))
    }

    /// Both maps in one, the values of both made one by `join`.
    pub(crate) fn zip(&self, other: &Self, join: &mut dyn FnMut(u32, u32) -> u32) -> Self {
        Self {
            v4: self.v4.zip(&other.v4, join),
            v6: self.v6.zip(&other.v6, join),
        }
    }

    /// For each value a client that finds it, in the order of their addresses.
    pub(crate) fn samples(&self) -> Vec<(IpAddr, u32)> {
        let v4 = self
            .v4
            .samples()
            .map(|(at, value)| (IpAddr::from(at.to_be_bytes()), value));
        let v6 = self
            .v6
            .samples()
            .map(|(at, value)| (IpAddr::from(at.to_be_bytes()), value));
        let mut samples: Vec<(IpAddr, u32)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (address, value) in v4.chain(v6) {
            if seen.insert(value) {
                samples.push((address, value));
            }
        }
        samples
    }
}

type Blocks<A> = Vec<(A, u8, u32)>;

/// Blocks by family, in order of address and length.
fn split(blocks: &[(IpNet, u32)]) -> (Blocks<u32>, Blocks<u128>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for &(block, value) in blocks {
        match block {
            IpNet::V4(block) => v4.push((u32::from(block.network()), block.prefix_len(), value)),
            IpNet::V6(block) => v6.push((u128::from(block.network()), block.prefix_len(), value)),
        }
    }
    v4.sort_unstable();
    v6.sort_unstable();
    (v4, v6)
}

#[cfg(test)]
mod tests;
