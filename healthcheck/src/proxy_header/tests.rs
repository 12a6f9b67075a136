//! Headers byte by byte.

use super::*;

fn proxied(source: &str, destination: &str) -> Option<Proxied> {
    Some(Proxied {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        transport: Transport::Stream,
    })
}

fn written(version: ProxyProtocol, connection: Option<Proxied>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, version, connection, [], false);
    out
}

#[test]
fn checksum_is_the_known_one() {
    // The check value of CRC-32C in the catalogue of CRC algorithms.
    assert_eq!(crc32c([&b"12345"[..], b"6789"]), 0xe306_9283);
}

#[test]
fn version_1_is_a_line() {
    let v1 = |connection| String::from_utf8(written(ProxyProtocol::V1, connection)).unwrap();
    let tcp4 = proxied("192.0.2.1:5", "198.51.100.2:80");
    assert_eq!(v1(tcp4), "PROXY TCP4 192.0.2.1 198.51.100.2 5 80\r\n");
    let tcp6 = proxied("[2001:db8::1]:5", "[2001:db8::2]:80");
    assert_eq!(v1(tcp6), "PROXY TCP6 2001:db8::1 2001:db8::2 5 80\r\n");
    let mapped = proxied("[::ffff:192.0.2.1]:5", "198.51.100.2:80");
    assert_eq!(v1(mapped), "PROXY TCP4 192.0.2.1 198.51.100.2 5 80\r\n");
    let mixed = proxied("192.0.2.1:5", "[2001:db8::2]:80");
    assert_eq!(
        v1(mixed),
        "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 5 80\r\n"
    );
    assert_eq!(v1(None), "PROXY UNKNOWN\r\n");
}

#[test]
fn version_2_is_binary() {
    assert_eq!(
        written(ProxyProtocol::V2, None),
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
    );
    let tcp4 = proxied("192.0.2.1:258", "198.51.100.2:80");
    assert_eq!(
        written(ProxyProtocol::V2, tcp4),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x01\x02\0\x50"
    );
    let udp6 = proxied("[2001:db8::1]:5", "[2001:db8::2]:80").map(|tcp| Proxied {
        transport: Transport::Datagram,
        ..tcp
    });
    let bytes = written(ProxyProtocol::V2, udp6);
    assert_eq!(bytes[12..16], [0x21, 0x22, 0, 36]);
    assert_eq!(bytes.len(), 52);
}

#[test]
fn tlvs_follow_and_the_checksum_covers_everything() {
    let mut out = b"before".to_vec();
    let tlvs = [(tlv::AUTHORITY, &b"a.test"[..]), (tlv::AWS, b"\x01vpce-1")];
    let connection = proxied("192.0.2.1:258", "198.51.100.2:80");
    write(&mut out, ProxyProtocol::V2, connection, tlvs, true);
    let mut header = out.split_off(6);
    assert_eq!(out, b"before");
    assert_eq!(header[14..16], [0, 12 + 9 + 10 + 7]);
    assert_eq!(&header[28..37], b"\x02\0\x06a.test");
    assert_eq!(&header[37..47], b"\xea\0\x07\x01vpce-1");
    assert_eq!(header[47..50], [3, 0, 4]);
    let sum = header.split_off(50);
    assert_eq!(crc32c([&header[..], &[0; 4]]).to_be_bytes(), sum[..]);
}

#[test]
fn tlvs_that_do_not_fit_are_left_out() {
    let mut out = Vec::new();
    let large = vec![1; 40_000];
    let tlvs = [(0xe0, &large[..]), (0xe1, &large), (0xe2, b"x")];
    write(&mut out, ProxyProtocol::V2, None, tlvs, true);
    assert_eq!(out.len(), 16 + 40_003 + 4 + 7);
}
