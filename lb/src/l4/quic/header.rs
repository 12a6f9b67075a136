//! The invariant part of a packet's header (RFC 8999), and of Google's versions before it.
//!
//! Only the first packet of a datagram is looked at: those coalesced behind it have the same
//! destination connection ID (RFC 9000 section 12.2). Reads nothing past the connection IDs, and
//! nothing into the first byte but its highest bit: the next one may have any value (RFC 9287).

/// Google's version that writes both lengths into one byte: "Q046".
const Q046: u32 = 0x5130_3436;

/// Says that a packet has a long header (RFC 8999 section 5.1).
const LONG: u8 = 0x80;

/// What a packet shows of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'d> {
    /// Both connection IDs, with their lengths.
    Long {
        /// The version; 0 is version negotiation.
        version: u32,
        /// Whom it is for.
        destination: &'d [u8],
        /// Whom it is from.
        source: &'d [u8],
    },
    /// The destination's connection ID comes first, its length is not told. Q043 and before, which
    /// has flags in the first byte, puts the connection's ID there too.
    Short {
        /// Everything after the first byte.
        rest: &'d [u8],
    },
}

impl<'d> Header<'d> {
    /// The header of a datagram's first packet; `None` when it is cut off.
    pub fn parse(datagram: &'d [u8]) -> Option<Self> {
        let (first, rest) = datagram.split_first()?;
        if first & LONG == 0 {
            return Some(Self::Short { rest });
        }
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let version = u32::from_be_bytes(*version);
        if version == Q046 {
            return google_long(version, rest);
        }
        let (destination, rest) = with_length(rest)?;
        let (source, _) = with_length(rest)?;
        Some(Self::Long {
            version,
            destination,
            source,
        })
    }

    /// The ID to hash when every ID of a connection has `length` bytes, as with Google's versions;
    /// of a long header, which tells it, the whole one.
    pub fn fixed_id(&self, length: usize) -> Option<&'d [u8]> {
        match self {
            Self::Long { destination, .. } if !destination.is_empty() => Some(destination),
            Self::Long { .. } => None,
            Self::Short { rest } => rest.get(..length),
        }
    }
}

fn with_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// One byte holds both lengths, four bits each: 0, or 3 less than the length.
fn google_long(version: u32, rest: &[u8]) -> Option<Header<'_>> {
    let (lengths, rest) = rest.split_first()?;
    let length = |bits: u8| if bits == 0 { 0 } else { usize::from(bits) + 3 };
    let (destination, rest) = rest.split_at_checked(length(lengths >> 4))?;
    let (source, _) = rest.split_at_checked(length(lengths & 0x0f))?;
    Some(Header::Long {
        version,
        destination,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_headers_tell_both_ids() {
        let datagram = [0xc3, 0, 0, 0, 1, 3, 1, 2, 3, 2, 8, 9, 0xff];
        let long = Header::Long {
            version: 1,
            destination: &[1, 2, 3],
            source: &[8, 9],
        };
        assert_eq!(Header::parse(&datagram), Some(long));
        assert_eq!(long.fixed_id(8), Some(&[1, 2, 3][..]));
        for len in 0..12 {
            assert_eq!(Header::parse(&datagram[..len]), None, "{len}");
        }
    }

    #[test]
    fn short_headers_leave_the_length_open() {
        let header = Header::parse(&[0x41, 1, 2, 3, 4]).unwrap();
        assert_eq!(header.fixed_id(3), Some(&[1, 2, 3][..]));
        assert_eq!(header.fixed_id(5), None);
    }

    #[test]
    fn google_versions_have_ids_of_eight_bytes() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        let q043 = [&[0x08], &id[..], &[0x99]].concat();
        assert_eq!(Header::parse(&q043).unwrap().fixed_id(8), Some(&id[..]));
        let q046 = [&[0xc3], &b"Q046"[..], &[0x50], &id[..], &[0x99]].concat();
        assert_eq!(Header::parse(&q046).unwrap().fixed_id(8), Some(&id[..]));
        let q050 = [&[0xc3], &b"Q050"[..], &[8], &id[..], &[0, 0x99]].concat();
        assert_eq!(Header::parse(&q050).unwrap().fixed_id(8), Some(&id[..]));
        let short = [&[0x43], &id[..], &[0x99]].concat();
        assert_eq!(Header::parse(&short).unwrap().fixed_id(8), Some(&id[..]));
    }
}
