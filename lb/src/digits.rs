//! Numbers as text, appended to a line of a log or of a head. The formatting machinery of the standard
//! library takes longer for the numbers of a log's line than everything else in it does, and some 270
//! instructions for the port in a head.
//!
//! Cost: a division by a constant for each digit; no allocation once the line has room.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Digits of the largest number.
const MOST: usize = 20;

/// Appends `number`.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    push_padded::<1>(out, number);
}

/// Appends `number`, with zeros before it if it has fewer than `WIDTH` digits.
pub(crate) fn push_padded<const WIDTH: usize>(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; MOST];
    let (mut left, mut start) = (number, MOST);
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            start = place;
            break;
        }
    }
    let start = start.min(MOST.saturating_sub(WIDTH));
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends seconds with six places.
pub(crate) fn push_seconds(out: &mut Vec<u8>, time: Duration) {
    push_number(out, time.as_secs());
    out.push(b'.');
    push_padded::<6>(out, u64::from(time.subsec_micros()));
}

/// Appends an address with its port.
pub(crate) fn push_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(address) => {
            push_ipv4(out, *address.ip());
            out.push(b':');
            push_number(out, u64::from(address.port()));
        }
        SocketAddr::V6(address) => {
            use std::io::Write;
            // Writing to a vector cannot fail.
            let _ = write!(out, "{address}");
        }
    }
}

fn push_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let [first, others @ ..] = address.octets();
    push_number(out, u64::from(first));
    for octet in others {
        out.push(b'.');
        push_number(out, u64::from(octet));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b">".to_vec();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_what_the_standard_library_writes() {
        let mut number = 1u64;
        for step in 0..200 {
            for n in [0, number, number.wrapping_sub(1), u64::MAX - step] {
                assert_eq!(shown(|out| push_number(out, n)), format!(">{n}"));
                assert_eq!(shown(|out| push_padded::<2>(out, n)), format!(">{n:02}"));
                assert_eq!(shown(|out| push_padded::<6>(out, n)), format!(">{n:06}"));
            }
            number = number.wrapping_mul(7).wrapping_add(step);
        }
    }

    #[test]
    fn times_and_addresses_are_whole() {
        let time = Duration::new(1, 42_999);
        assert_eq!(shown(|out| push_seconds(out, time)), ">1.000042");
        for address in [
            "0.0.0.0:0",
            "127.0.0.1:8080",
            "255.255.255.255:65535",
            "[::1]:5",
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(
                shown(|out| push_address(out, parsed)),
                format!(">{address}")
            );
        }
    }
}
