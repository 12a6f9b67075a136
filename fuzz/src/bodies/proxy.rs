//! PROXY headers at the beginning of connections.

use conf::ProxyProtocol;
use healthcheck::proxy_header::{self, Proxied, SIGNATURE, Transport, tlv};
use lb::proxy::{MAX_HEADER, Parsed, parse};

use super::{Body, outcome};

const WORDS: &[&[u8]] = &[
    b"PROXY ",
    b"TCP4 ",
    b"TCP6 ",
    b"UNKNOWN",
    b"\r\n",
    &SIGNATURE,
    b"\x20\0\0\0",
    b"\x21\x11\0\x0c",
    b"\x21\x21\0\x24",
    b"\x03\0\x04",
    b"::ffff:192.0.2.1",
];

fn seeds() -> Vec<Vec<u8>> {
    let written = |version, connection, checksum| {
        let mut out = Vec::new();
        let tlvs = [(tlv::AUTHORITY, &b"a.test"[..]), (tlv::AWS, b"\x01vpce-1")];
        proxy_header::write(&mut out, version, connection, tlvs, checksum);
        out.extend_from_slice(b"GET / HTTP/1.1\r\n");
        out
    };
    let connection = |source: &str, destination: &str| {
        Some(Proxied {
            source: source.parse().ok()?,
            destination: destination.parse().ok()?,
            transport: Transport::Stream,
        })
    };
    let four = connection("192.0.2.1:4711", "198.51.100.2:80");
    let six = connection("[2001:db8::1]:4711", "[2001:db8::2]:80");
    vec![
        written(ProxyProtocol::V1, four, false),
        written(ProxyProtocol::V1, six, false),
        written(ProxyProtocol::V1, None, false),
        written(ProxyProtocol::V2, four, true),
        written(ProxyProtocol::V2, six, false),
        written(ProxyProtocol::V2, None, false),
    ]
}

pub(super) fn body() -> Body {
    Body {
        name: "proxy",
        seeds: seeds(),
        words: WORDS,
        run: Box::new(run),
    }
}

/// A header is the same one in any pieces and whatever follows, and is no longer than what is read.
fn run(input: &[u8]) -> u64 {
    let parsed = parse(input);
    if let Ok(Parsed::Header(length, header)) = &parsed {
        assert!(*length <= input.len() && *length <= MAX_HEADER);
        let (whole, _) = input.split_at(*length);
        assert_eq!(parse(whole), parsed);
        let begun = &whole[..length - 1];
        assert!(matches!(parse(begun), Ok(Parsed::Incomplete(true))));
        if let Some((source, destination)) = header.addresses {
            assert_eq!(again(source, destination), Some((source, destination)));
        }
    }
    outcome(match parsed {
        Ok(Parsed::Incomplete(begun)) => (0, begun),
        Ok(Parsed::Absent) => (1, false),
        Ok(Parsed::Header(_, header)) => (2, header.addresses.is_some()),
        Err(fault) => (3 + fault as u8, false),
    })
}

/// What is read of a header that was written for these addresses. Families differ only where one
/// is an IPv4 address in IPv6's clothes, and then it comes back as what it is.
fn again(
    source: std::net::SocketAddr,
    destination: std::net::SocketAddr,
) -> Option<(std::net::SocketAddr, std::net::SocketAddr)> {
    let mut out = Vec::new();
    let proxied = Proxied {
        source,
        destination,
        transport: Transport::Stream,
    };
    proxy_header::write(&mut out, ProxyProtocol::V2, Some(proxied), [], true);
    match parse(&out) {
        Ok(Parsed::Header(_, header)) => header.addresses,
        _ => None,
    }
}
