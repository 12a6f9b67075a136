//! PROXY protocol headers: what a connection begins with to say whose it is (haproxy.org,
//! proxy-protocol.txt, versions 1 and 2).
//!
//! Writes them, for probes here and for connections to targets in `lb`; what `lb` needs to read them
//! (signature, kinds of TLVs, checksum) stands here too, so that both sides agree. Does no I/O.

mod crc32c;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use conf::ProxyProtocol;

pub use crc32c::crc32c;

/// What a version 2 header begins with; nothing else that is spoken over TCP does.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a version 2 header up to its addresses.
pub const FIXED: usize = 16;

/// Kinds of TLVs (proxy-protocol.txt section 2.2).
pub mod tlv {
    /// The protocol agreed on by ALPN.
    pub const ALPN: u8 = 0x01;
    /// The host name the client asked for (SNI).
    pub const AUTHORITY: u8 = 0x02;
    /// Checksum over the whole header.
    pub const CRC32C: u8 = 0x03;
    /// To be skipped.
    pub const NOOP: u8 = 0x04;
    /// Identifies the connection, up to 128 bytes.
    pub const UNIQUE_ID: u8 = 0x05;
    /// How the client encrypts.
    pub const SSL: u8 = 0x20;
    /// The version of TLS, as text; within [`SSL`].
    pub const SSL_VERSION: u8 = 0x21;
    /// The common name of the client's certificate; within [`SSL`].
    pub const SSL_CN: u8 = 0x22;
    /// The cipher suite, as text; within [`SSL`].
    pub const SSL_CIPHER: u8 = 0x23;
    /// AWS's own: the VPC endpoint that the client came through.
    pub const AWS: u8 = 0xEA;
}

/// What carries the client's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

/// A client's connection: what a header tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proxied {
    /// The client.
    pub source: SocketAddr,
    /// The address it used.
    pub destination: SocketAddr,
    /// Over what.
    pub transport: Transport,
}

/// Appends a header of `version` about `connection`, or, with `None`, one that says that nobody's
/// connection is passed on: receivers then use the addresses they see. Version 1 knows TCP alone and
/// no TLVs. Cost: no allocation beyond `out`'s.
pub fn write<'a>(
    out: &mut Vec<u8>,
    version: ProxyProtocol,
    connection: Option<Proxied>,
    tlvs: impl IntoIterator<Item = (u8, &'a [u8])>,
    checksum: bool,
) {
    match version {
        ProxyProtocol::Off => {}
        ProxyProtocol::V1 => write_v1(out, connection),
        ProxyProtocol::V2 => write_v2(out, connection, tlvs, checksum),
    }
}

fn write_v1(out: &mut Vec<u8>, connection: Option<Proxied>) {
    let Some((source, destination)) = connection.map(one_family) else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    );
}

fn write_v2<'a>(
    out: &mut Vec<u8>,
    connection: Option<Proxied>,
    tlvs: impl IntoIterator<Item = (u8, &'a [u8])>,
    checksum: bool,
) {
    let begin = out.len();
    out.extend_from_slice(&SIGNATURE);
    // Version 2 and the command: PROXY or LOCAL.
    out.push(0x20 | u8::from(connection.is_some()));
    let addresses = connection.map(|connection| (connection.transport, one_family(connection)));
    let family = match &addresses {
        None => 0x00,
        Some((_, (source, _))) if source.is_ipv4() => 0x10,
        Some(_) => 0x20,
    };
    let transport = match &addresses {
        None => 0,
        Some((Transport::Stream, _)) => 1,
        Some((Transport::Datagram, _)) => 2,
    };
    out.push(family | transport);
    // The length, once it is known.
    out.extend_from_slice(&[0, 0]);
    if let Some((_, (source, destination))) = addresses {
        write_ip(out, source.ip());
        write_ip(out, destination.ip());
        out.extend_from_slice(&source.port().to_be_bytes());
        out.extend_from_slice(&destination.port().to_be_bytes());
    }
    // Room for the checksum is kept: what does not fit into 16 bits of length is left out.
    let most = begin + FIXED + usize::from(u16::MAX) - CHECKSUM;
    for (kind, value) in tlvs {
        if out.len() + 3 + value.len() <= most {
            write_tlv(out, kind, value);
        }
    }
    if checksum {
        write_tlv(out, tlv::CRC32C, &[0; 4]);
    }
    let length = u16::try_from(out.len() - begin - FIXED).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(begin + 14..begin + FIXED) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    if checksum {
        let sum = crc32c([out.get(begin..).unwrap_or_default()]);
        let end = out.len();
        if let Some(place) = out.get_mut(end - 4..) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
    }
}

/// Bytes of the checksum's TLV.
const CHECKSUM: usize = 7;

/// Appends one TLV; a value longer than 65535 bytes has no place in a header.
pub fn write_tlv(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

/// Both addresses in one family, as headers need them: IPv4 when both are that, else IPv6, with an
/// IPv4 one mapped into it.
fn one_family(connection: Proxied) -> (SocketAddr, SocketAddr) {
    let canonical = |address: SocketAddr| {
        let ip = address.ip().to_canonical();
        SocketAddr::new(ip, address.port())
    };
    let both = (
        canonical(connection.source),
        canonical(connection.destination),
    );
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    match both.0.is_ipv4() == both.1.is_ipv4() {
        true => both,
        false => (mapped(both.0), mapped(both.1)),
    }
}
