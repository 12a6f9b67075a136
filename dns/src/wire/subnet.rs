//! The client subnet option of EDNS (RFC 7871): read strictly, echoed exactly.
//!
//! Used by the parser and the response builder. Whether the sender is believed is decided by the
//! answer path. No allocation; never panics on any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::location::Client;

/// The option's code on the wire.
pub(super) const OPTION_SUBNET: u16 = 8;
/// Code, length, family, source and scope.
const HEAD_LEN: usize = 8;
const ADDRESS_LEN: usize = 16;
const FAMILY_IPV4: u16 = 1;
const FAMILY_IPV6: u16 = 2;

/// What a query's option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    family: u16,
    source: u8,
    /// The bytes that `source` needs, then zeroes.
    address: [u8; ADDRESS_LEN],
}

impl Subnet {
    /// Reads an option's data. `None` for what RFC 7871 section 6 forbids: another family, a
    /// length beyond its addresses, a scope in a query, more or fewer bytes than the length needs,
    /// bits beyond it. Family 0 may go with length 0, which some clients send to say "nothing".
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let (&[high, low, source, scope], given) = data.split_first_chunk::<4>()?;
        let family = u16::from_be_bytes([high, low]);
        let longest = match family {
            FAMILY_IPV4 => 32,
            FAMILY_IPV6 => 128,
            0 => 0,
            _ => return None,
        };
        if scope != 0 || source > longest || given.len() != bytes(source) {
            return None;
        }
        let mut address = [0; ADDRESS_LEN];
        address.get_mut(..given.len())?.copy_from_slice(given);
        let beyond = u128::MAX.checked_shr(u32::from(source)).unwrap_or(0);
        (u128::from_be_bytes(address) & beyond == 0).then_some(Self {
            family,
            source,
            address,
        })
    }

    /// The network it names; `None` when the client does not want to be told apart (length 0).
    pub(crate) fn client(&self) -> Option<Client> {
        if self.source == 0 {
            return None;
        }
        let [a, b, c, d, ..] = self.address;
        let address = match self.family {
            FAMILY_IPV4 => IpAddr::from(Ipv4Addr::new(a, b, c, d)),
            _ => IpAddr::from(Ipv6Addr::from(self.address)),
        };
        Some(Client {
            address,
            length: self.source,
        })
    }

    /// Length of the whole option, in bytes.
    pub(super) fn option_len(&self) -> usize {
        HEAD_LEN + bytes(self.source)
    }

    /// The option as it is sent back; without a source there is no scope either (section 7.2.1).
    pub(super) fn option(&self, scope: u8) -> SubnetOption {
        let [family_high, family_low] = self.family.to_be_bytes();
        let mut wire = [0; HEAD_LEN + ADDRESS_LEN];
        let (head, address) = wire.split_at_mut(HEAD_LEN);
        let scope = if self.source == 0 { 0 } else { scope };
        head.copy_from_slice(&[
            0,
            8,
            0,
            4 + bytes(self.source) as u8,
            family_high,
            family_low,
            self.source,
            scope,
        ]);
        address.copy_from_slice(&self.address);
        SubnetOption {
            wire,
            len: self.option_len(),
        }
    }
}

/// An option ready to be sent.
pub(super) struct SubnetOption {
    wire: [u8; HEAD_LEN + ADDRESS_LEN],
    len: usize,
}

impl SubnetOption {
    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.wire.get(..self.len).unwrap_or_default()
    }
}

/// Bytes that so many bits need.
fn bytes(bits: u8) -> usize {
    usize::from(bits).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_rfc_allows_is_read() {
        let good: [&[u8]; 7] = [
            &[0, 1, 24, 0, 192, 0, 2],
            &[0, 1, 32, 0, 192, 0, 2, 1],
            &[0, 1, 20, 0, 192, 0, 0x10],
            &[0, 1, 0, 0],
            &[0, 0, 0, 0],
            &[0, 2, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 1],
            &[0, 2, 1, 0, 0x80],
        ];
        for data in good {
            let subnet = Subnet::read(data).unwrap();
            let option = subnet.option(0);
            assert_eq!(&option.bytes()[4..], data);
            assert_eq!(option.bytes()[..4], [0, 8, 0, data.len() as u8]);
            assert_eq!(option.bytes().len(), subnet.option_len());
        }
        let bad: [(&str, &[u8]); 10] = [
            ("too short", &[0, 1, 0]),
            ("family", &[0, 3, 8, 0, 10]),
            ("family 0 with an address", &[0, 0, 8, 0, 10]),
            ("length of IPv4", &[0, 1, 33, 0, 10, 0, 0, 0, 0]),
            (
                "length of IPv6",
                &[
                    0, 2, 129, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0,
                ],
            ),
            ("scope", &[0, 1, 24, 24, 192, 0, 2]),
            ("too few bytes", &[0, 1, 24, 0, 192, 0]),
            ("too many bytes", &[0, 1, 24, 0, 192, 0, 2, 0]),
            ("bits beyond", &[0, 1, 20, 0, 192, 0, 0x18]),
            ("bytes for no bits", &[0, 1, 0, 0, 0]),
        ];
        for (why, data) in bad {
            assert_eq!(Subnet::read(data), None, "{why}");
        }
    }

    #[test]
    fn clients_are_as_long_as_they_say() {
        let of = |data: &[u8]| Subnet::read(data).unwrap().client();
        let v4 = of(&[0, 1, 20, 0, 192, 0, 0x10]).unwrap();
        assert_eq!(
            (v4.address.to_string().as_str(), v4.length),
            ("192.0.16.0", 20)
        );
        let v6 = of(&[0, 2, 16, 0, 0x20, 1]).unwrap();
        assert_eq!((v6.address.to_string().as_str(), v6.length), ("2001::", 16));
        assert_eq!(of(&[0, 1, 0, 0]), None);
    }
}
