//! Where work comes from: the client, the address it used, the transport. What hashing pickers
//! take their key from.
//!
//! Made once per connection or flow by the data paths; hashed once per choice, and only by the
//! algorithms that need it. The hash has no seed: every worker, process and restart gives the same
//! key the same place, which is what makes several balancers agree. A client can therefore aim at
//! a target; limits are what protects targets, not the hash.
//!
//! Cost: no allocation; some ten multiplications per hash.

use std::net::{IpAddr, SocketAddr};

use conf::Address;

use super::kept::Kept;

/// IP protocol number (IANA) of TCP.
const TCP: u8 = 6;

/// IP protocol number (IANA) of UDP.
const UDP: u8 = 17;

/// Where a connection or flow comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    client: SocketAddr,
    /// The address it used.
    local: SocketAddr,
    transport: u8,
    /// Hash of a QUIC connection ID, or of what `request-hash` goes by.
    connection: Option<u64>,
    /// The target its session has.
    kept: Option<Kept>,
}

impl Origin {
    /// The origin of what `client` sent to `local` over TCP.
    pub fn tcp(client: SocketAddr, local: SocketAddr) -> Self {
        Self {
            client,
            local,
            transport: TCP,
            connection: None,
            kept: None,
        }
    }

    /// The origin of what `client` sent to `local` over UDP.
    pub fn udp(client: SocketAddr, local: SocketAddr) -> Self {
        Self {
            transport: UDP,
            ..Self::tcp(client, local)
        }
    }

    /// The same for a QUIC connection with this ID.
    pub(crate) fn with_connection(self, id: &[u8]) -> Self {
        self.with_hash(hash_of(id))
    }

    /// The same with what it is hashed by, hashed by [`hash_of`].
    pub(crate) fn with_hash(self, hash: u64) -> Self {
        Self {
            connection: Some(hash),
            ..self
        }
    }

    /// The same for a request whose session has this target.
    pub(crate) fn with_target(self, address: Address, honours_draining: bool) -> Self {
        let kept = Some(Kept {
            address,
            honours_draining,
        });
        Self { kept, ..self }
    }

    /// The target its session has.
    pub(super) fn kept(&self) -> Option<Kept> {
        self.kept
    }

    /// Hash of the connection ID; of the 5-tuple for what has none.
    pub(super) fn connection_hash(&self) -> u64 {
        self.connection.unwrap_or_else(|| self.flow_hash())
    }

    /// Hash of the client's IP address.
    pub(super) fn source_hash(&self) -> u64 {
        absorb_ip(START, self.client.ip())
    }

    /// Hash of the 5-tuple.
    pub(super) fn flow_hash(&self) -> u64 {
        let hash = absorb(self.source_hash(), u64::from(self.client.port()));
        let hash = absorb(hash, u64::from(self.transport));
        absorb_address(hash, self.local)
    }
}

/// Hash of some bytes; without a seed, as the others.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let bytes = chunk.iter();
        bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
    });
    words.fold(START ^ bytes.len() as u64, absorb)
}

/// Any number will do, as long as it never changes: the fraction of the golden ratio.
const START: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hash of an address, for `stream`s of numbers that must differ.
pub(super) fn address_hash(address: Address, stream: u64) -> u64 {
    let hash = absorb(START, stream);
    match address {
        Address::Ip(address) => absorb_address(hash, address),
        Address::Unix(name) => absorb(hash, hash_of(name.as_str().as_bytes())),
    }
}

fn absorb_address(hash: u64, address: SocketAddr) -> u64 {
    absorb(absorb_ip(hash, address.ip()), u64::from(address.port()))
}

/// An IPv4 address and the same one mapped into IPv6 are one client.
fn absorb_ip(hash: u64, ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => absorb(hash, u64::from(ip.to_bits())),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            absorb(absorb(hash, (bits >> 64) as u64), bits as u64)
        }
    }
}

fn absorb(hash: u64, value: u64) -> u64 {
    mix(hash.rotate_left(23) ^ value.wrapping_add(START))
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): every input bit moves half of the output's.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(START);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(client: &str, local: &str) -> Origin {
        Origin::tcp(client.parse().unwrap(), local.parse().unwrap())
    }

    #[test]
    fn hashes_never_change() {
        let origin = origin("192.0.2.7:4711", "198.51.100.1:80");
        let hashes = (origin.source_hash(), origin.flow_hash());
        assert_eq!(hashes, (0x0ad6_06f9_5aa2_1041, 0xdc78_6556_1726_effb));
    }

    #[test]
    fn source_hash_is_the_address_alone_and_flow_hash_everything() {
        let one = origin("192.0.2.7:1", "198.51.100.1:80");
        let port = origin("192.0.2.7:2", "198.51.100.1:80");
        let local = origin("192.0.2.7:1", "198.51.100.1:81");
        let udp = Origin {
            transport: 17,
            ..one
        };
        for other in [port, local, udp] {
            assert_eq!(one.source_hash(), other.source_hash());
            assert_ne!(one.flow_hash(), other.flow_hash());
        }
        let mapped = origin("[::ffff:192.0.2.7]:1", "198.51.100.1:80");
        assert_eq!(one.flow_hash(), mapped.flow_hash());
    }
}
