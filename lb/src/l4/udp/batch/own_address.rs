//! The address of this machine that a client sent a datagram to: what its answers leave from.
//!
//! Known only of sockets on a wildcard address; the others have one address, and the kernel uses
//! it unasked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::l4::udp) struct OwnAddress {
    ip: IpAddr,
    /// 0 = any. Link-local IPv6 addresses mean nothing without.
    interface: u32,
}

impl OwnAddress {
    pub(in crate::l4::udp) fn v4(ip: Ipv4Addr) -> Self {
        Self {
            ip: ip.into(),
            interface: 0,
        }
    }

    /// An address that a datagram reached through `interface`.
    pub(in crate::l4::udp) fn v6(ip: Ipv6Addr, interface: u32) -> Self {
        Self {
            ip: ip.into(),
            interface: if ip.is_unicast_link_local() {
                interface
            } else {
                0
            },
        }
    }

    pub(in crate::l4::udp) fn ip(&self) -> IpAddr {
        self.ip
    }

    pub(in crate::l4::udp) fn interface(&self) -> u32 {
        self.interface
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_link_local_addresses_keep_their_interface() {
        assert_eq!(OwnAddress::v6("fe80::1".parse().unwrap(), 3).interface(), 3);
        assert_eq!(
            OwnAddress::v6("2001:db8::1".parse().unwrap(), 3).interface(),
            0
        );
        assert_eq!(OwnAddress::v4(Ipv4Addr::LOCALHOST).interface(), 0);
    }
}
