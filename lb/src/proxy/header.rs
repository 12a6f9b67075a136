//! Reads a PROXY header off the beginning of a connection (haproxy.org, proxy-protocol.txt, versions
//! 1 and 2).
//!
//! Sans-io: [`parse`] looks at the bytes that are there and says what they begin with, whatever pieces
//! they came in; `receive` does the waiting. Strict: what the text does not allow is a fault.
//!
//! Cost: one allocation for a header with TLVs, none for others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use healthcheck::proxy_header::{FIXED, SIGNATURE, crc32c, tlv};

use super::Tlvs;

/// Longest line of version 1, its end included (section 2.1).
const MAX_LINE: usize = 107;

/// Longest header that is read: certificates' names and the like fit many times over, and no sender
/// makes this process remember more than that.
pub const MAX_HEADER: usize = 4096;

/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// What bytes begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// More must come before anything can be said of the first byte that is not a header's: they may
    /// still turn out not to be a header (`false`), or are part of one (`true`).
    Incomplete(bool),
    /// Something else than a header.
    Absent,
    /// A header of this many bytes.
    Header(usize, Header),
}

/// What a header tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Client, and the address it used; `None` when the sender speaks for itself (`LOCAL`), or does
    /// not say (`UNKNOWN`, no TCP): the connection's own addresses count.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// What else it tells.
    pub(crate) tlvs: Option<Tlvs>,
}

/// Why bytes that begin as a header are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It breaks the protocol's rules.
    Malformed,
    /// It is longer than this program reads, or than a line may be.
    TooLarge,
    /// Its checksum is not that of its bytes.
    Checksum,
}

/// Looks at the first `bytes` of a connection.
///
/// # Errors
/// A [`Fault`] in what is certainly meant to be a header.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    if bytes.starts_with(&SIGNATURE) {
        return parse_v2(bytes);
    }
    if bytes.starts_with(WORD) {
        return parse_v1(bytes);
    }
    let may_become = SIGNATURE.starts_with(bytes) || WORD.starts_with(bytes);
    Ok(match may_become {
        true => Parsed::Incomplete(false),
        false => Parsed::Absent,
    })
}

fn parse_v1(bytes: &[u8]) -> Result<Parsed, Fault> {
    let line = bytes.get(..bytes.len().min(MAX_LINE)).unwrap_or_default();
    let Some(end) = memchr::memmem::find(line, b"\r\n") else {
        return match line.len() < MAX_LINE {
            true => Ok(Parsed::Incomplete(true)),
            false => Err(Fault::TooLarge),
        };
    };
    let text = line.get(WORD.len()..end).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| Fault::Malformed)?;
    let header = Header {
        addresses: addresses_of_line(text)?,
        tlvs: None,
    };
    Ok(Parsed::Header(end + 2, header))
}

fn addresses_of_line(text: &str) -> Result<Option<(SocketAddr, SocketAddr)>, Fault> {
    let mut words = text.split(' ');
    let family = words.next().unwrap_or_default();
    // What follows UNKNOWN means nothing (section 2.1).
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let mut next = || words.next().ok_or(Fault::Malformed);
    let ips = (next()?, next()?);
    let ports = (port(next()?)?, port(next()?)?);
    if words.next().is_some() {
        return Err(Fault::Malformed);
    }
    let ip = |word: &str| match family {
        "TCP4" => word.parse::<Ipv4Addr>().map(IpAddr::from).ok(),
        "TCP6" => word.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
        _ => None,
    };
    let address = |word, port| {
        let ip = ip(word).ok_or(Fault::Malformed)?;
        Ok(SocketAddr::new(ip.to_canonical(), port))
    };
    Ok(Some((address(ips.0, ports.0)?, address(ips.1, ports.1)?)))
}

/// Decimal digits without leading zeros.
fn port(word: &str) -> Result<u16, Fault> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let leads = word.len() > 1 && word.starts_with('0');
    match word.parse() {
        Ok(port) if digits && !leads => Ok(port),
        _ => Err(Fault::Malformed),
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Parsed, Fault> {
    let Some((fixed, _)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Parsed::Incomplete(true));
    };
    let [.., command, family, high, low] = *fixed;
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Fault::Malformed),
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_HEADER {
        return Err(Fault::TooLarge);
    }
    let Some(whole) = bytes.get(..length) else {
        return Ok(Parsed::Incomplete(true));
    };
    let block = whole.get(FIXED..).unwrap_or_default();
    let header = match is_local {
        // The family is to be ignored, so what follows cannot be told apart (section 2.2).
        true => Header {
            addresses: None,
            tlvs: None,
        },
        false => told(whole, family, block)?,
    };
    Ok(Parsed::Header(length, header))
}

/// What a header of command PROXY tells.
fn told(whole: &[u8], family: u8, block: &[u8]) -> Result<Header, Fault> {
    let (own, rest) = match family {
        // Nothing said.
        0x00 => (0, block),
        0x11 | 0x12 => (12, block.get(12..).ok_or(Fault::Malformed)?),
        0x21 | 0x22 => (36, block.get(36..).ok_or(Fault::Malformed)?),
        // Unix sockets: two paths of 108 bytes.
        0x31 | 0x32 => (216, block.get(216..).ok_or(Fault::Malformed)?),
        _ => return Err(Fault::Malformed),
    };
    let addresses = match family {
        0x11 => Some(addresses::<4>(block)?),
        0x21 => Some(addresses::<16>(block)?),
        // Not of a TCP connection: of no use here.
        _ => None,
    };
    let tlvs = Tlvs::new(rest).ok_or(Fault::Malformed)?;
    check_sum(whole, FIXED + own, &tlvs)?;
    Ok(Header {
        addresses,
        tlvs: Some(tlvs).filter(|tlvs| !tlvs.is_empty()),
    })
}

fn addresses<const N: usize>(block: &[u8]) -> Result<(SocketAddr, SocketAddr), Fault>
where
    IpAddr: From<[u8; N]>,
{
    let split = block.split_first_chunk::<N>().and_then(|(source, rest)| {
        let (destination, rest) = rest.split_first_chunk::<N>()?;
        let (&[a, b, c, d], _) = rest.split_first_chunk()?;
        let address = |ip: &[u8; N], port| {
            let ip = IpAddr::from(*ip).to_canonical();
            SocketAddr::new(ip, u16::from_be_bytes(port))
        };
        Some((address(source, [a, b]), address(destination, [c, d])))
    });
    split.ok_or(Fault::Malformed)
}

/// Compares the checksum, if there is one (section 2.2.3). `place` is where TLVs begin.
fn check_sum(whole: &[u8], mut place: usize, tlvs: &Tlvs) -> Result<(), Fault> {
    let mut sum = None;
    for (kind, value) in tlvs.iter() {
        place += 3;
        if kind == tlv::CRC32C {
            let given: [u8; 4] = value.try_into().map_err(|_| Fault::Malformed)?;
            if sum.replace((place, u32::from_be_bytes(given))).is_some() {
                return Err(Fault::Malformed);
            }
        }
        place += value.len();
    }
    let Some((place, given)) = sum else {
        return Ok(());
    };
    let before = whole.get(..place).unwrap_or_default();
    let after = whole.get(place + 4..).unwrap_or_default();
    match crc32c([before, &[0; 4], after]) == given {
        true => Ok(()),
        false => Err(Fault::Checksum),
    }
}

#[cfg(test)]
mod tests;
