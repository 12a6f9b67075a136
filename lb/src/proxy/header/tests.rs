//! Headers whole, in pieces, and wrong.

use conf::ProxyProtocol;
use healthcheck::proxy_header::{self, Proxied, Transport};
use proptest::prelude::*;

use super::*;

fn of(source: &str, destination: &str) -> Proxied {
    Proxied {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        transport: Transport::Stream,
    }
}

fn v2(connection: Option<Proxied>, tlvs: &[(u8, &[u8])], checksum: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let tlvs = tlvs.iter().copied();
    proxy_header::write(&mut out, ProxyProtocol::V2, connection, tlvs, checksum);
    out
}

fn addresses_in(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    match parse(bytes) {
        Ok(Parsed::Header(length, header)) => {
            assert_eq!(length, bytes.len());
            header.addresses
        }
        other => panic!("{other:?}"),
    }
}

/// A header and its beginnings, byte by byte, and with a request after it.
fn in_pieces(header: &[u8]) {
    let signature = if header[0] == b'P' { 6 } else { 12 };
    for length in 0..header.len() {
        let parsed = parse(&header[..length]);
        assert_eq!(
            parsed,
            Ok(Parsed::Incomplete(length >= signature)),
            "{length}"
        );
    }
    let whole = parse(header);
    let followed = parse(&[header, b"GET / HTTP/1.1\r\n\r\n"].concat());
    assert!(matches!(whole, Ok(Parsed::Header(length, _)) if length == header.len()));
    assert_eq!(whole, followed);
}

#[test]
fn lines_of_version_1() {
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n";
    let expected = of("192.0.2.1:4711", "198.51.100.2:80");
    let expected = Some((expected.source, expected.destination));
    assert_eq!(addresses_in(line), expected);
    in_pieces(line);
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 4711 80\r\n";
    assert_eq!(addresses_in(mapped), expected);
    for unknown in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN ::1 ::2 1 2 and more\r\n",
    ] {
        assert_eq!(addresses_in(unknown), None);
        in_pieces(unknown);
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE - 16));
    assert_eq!(addresses_in(long.as_bytes()), None);
}

#[test]
fn lines_that_break_the_rules() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80 \r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 080\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 +80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 65536\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.2 4711 80\r\n",
        "PROXY TCP4 ::1 ::2 4711 80\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\n\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Fault::Malformed), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(MAX_LINE));
    assert_eq!(parse(endless.as_bytes()), Err(Fault::TooLarge));
}

#[test]
fn what_is_no_header() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PROPFIND / HTTP/1.1",
        b"PROXY/",
        b"\r\n\r\nx",
        b"\0",
    ] {
        assert_eq!(parse(bytes), Ok(Parsed::Absent));
    }
}

#[test]
fn version_2_with_tlvs_and_checksum() {
    let connection = of("192.0.2.1:4711", "198.51.100.2:80");
    let tlvs = [
        (tlv::AWS, &b"\x01vpce-08d2bf15fac5001c9"[..]),
        (tlv::NOOP, b""),
    ];
    for checksum in [false, true] {
        let bytes = v2(Some(connection), &tlvs, checksum);
        in_pieces(&bytes);
        let Ok(Parsed::Header(_, header)) = parse(&bytes) else {
            panic!("a header");
        };
        assert_eq!(
            header.addresses,
            Some((connection.source, connection.destination))
        );
        let told = header.tlvs.unwrap();
        let told: Vec<_> = told.iter().take(2).collect();
        assert_eq!(told, tlvs);
    }
    let six = of("[2001:db8::1]:1", "[2001:db8::2]:65535");
    assert_eq!(
        addresses_in(&v2(Some(six), &[], true)),
        Some((six.source, six.destination))
    );
}

#[test]
fn a_changed_byte_breaks_the_checksum() {
    let connection = of("192.0.2.1:4711", "198.51.100.2:80");
    let bytes = v2(Some(connection), &[(tlv::AUTHORITY, b"a.test")], true);
    for place in 16..28 {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        assert_eq!(parse(&changed), Err(Fault::Checksum), "{place}");
    }
}

#[test]
fn local_and_others_have_no_addresses() {
    assert_eq!(addresses_in(&v2(None, &[], false)), None);
    let fixed = |command: u8, family: u8, block: &[u8]| {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, block].concat()
    };
    // LOCAL with whatever: to be skipped.
    assert_eq!(addresses_in(&fixed(0x20, 0x11, &[9; 30])), None);
    // No family, a datagram's, a unix socket's.
    assert_eq!(addresses_in(&fixed(0x21, 0x00, b"\x04\0\0")), None);
    assert_eq!(addresses_in(&fixed(0x21, 0x12, &[1; 12])), None);
    assert_eq!(addresses_in(&fixed(0x21, 0x31, &[1; 216])), None);
    for wrong in [
        fixed(0x11, 0x11, &[1; 12]),
        fixed(0x22, 0x11, &[1; 12]),
        fixed(0x21, 0x13, &[1; 12]),
        fixed(0x21, 0x41, &[1; 12]),
        fixed(0x21, 0x11, &[1; 11]),
        fixed(0x21, 0x21, &[1; 35]),
        fixed(0x21, 0x31, &[1; 215]),
        // TLVs that lead past the end, and a checksum of three bytes.
        fixed(0x21, 0x00, b"\x04\0"),
        fixed(0x21, 0x00, b"\x04\0\x01"),
        fixed(0x21, 0x00, b"\x03\0\x03abc"),
    ] {
        assert_eq!(parse(&wrong), Err(Fault::Malformed), "{wrong:?}");
    }
    let large = fixed(0x21, 0x00, &[0; MAX_HEADER]);
    assert_eq!(parse(&large[..16]), Err(Fault::TooLarge));
}

proptest! {
    #[test]
    fn any_bytes_after_a_signature_do_no_harm(rest in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&[&SIGNATURE[..], &rest].concat());
        let _ = parse(&[WORD, &rest].concat());
    }
}
