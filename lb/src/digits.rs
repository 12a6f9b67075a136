//! Numbers as text, appended to a line of a log or of a head. The formatting machinery of the standard
//! library takes longer for the numbers of a log's line than everything else in it does, and some 270
//! instructions for the port in a head.
//!
//! Cost: a division by a constant for every two digits, one copy of a length that is known for numbers
//! below 100,000; no allocation once the line has room.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Digits of the largest number.
const MOST: usize = 20;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `number`.
#[inline]
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    // Copies of known length are no calls.
    match number {
        0..10 => out.push(digit(number)),
        10..100 => out.extend_from_slice(&pair(number)),
        100..1000 => {
            let [b, c] = pair(number % 100);
            out.extend_from_slice(&[digit(number / 100), b, c]);
        }
        _ => push_long(out, number),
    }
}

fn push_long(out: &mut Vec<u8>, number: u64) {
    let ([b, c], [d, e]) = (pair(number / 100 % 100), pair(number % 100));
    match number {
        0..10_000 => out.extend_from_slice(&[b, c, d, e]),
        10_000..100_000 => out.extend_from_slice(&[digit(number / 10_000), b, c, d, e]),
        _ => {
            let mut digits = [b'0'; MOST];
            let (mut left, mut start) = (number, MOST);
            for (place, digit) in digits.iter_mut().enumerate().rev() {
                *digit = self::digit(left % 10);
                left /= 10;
                start = place;
                if left == 0 {
                    break;
                }
            }
            out.extend_from_slice(digits.get(start..).unwrap_or_default());
        }
    }
}

/// The digit of a number below 10.
fn digit(number: u64) -> u8 {
    b'0' + number as u8
}

/// The digits of a number below 100.
pub(crate) fn pair(number: u64) -> [u8; 2] {
    [digit(number / 10), digit(number % 10)]
}

/// Appends seconds with six places.
#[inline]
pub(crate) fn push_seconds(out: &mut Vec<u8>, time: Duration) {
    push_number(out, time.as_secs());
    let micros = u64::from(time.subsec_micros());
    let [a, b] = pair(micros / 10_000);
    let [c, d] = pair(micros / 100 % 100);
    let [e, f] = pair(micros % 100);
    out.extend_from_slice(&[b'.', a, b, c, d, e, f]);
}

/// Appends the last `DIGITS` hexadecimal digits of `number`.
pub(crate) fn push_hex<const DIGITS: usize>(out: &mut Vec<u8>, number: u128) {
    let mut digits = [0; DIGITS];
    let mut left = number;
    for digit in digits.iter_mut().rev() {
        *digit = HEX[(left % 16) as usize];
        left /= 16;
    }
    out.extend_from_slice(&digits);
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
            for n in [step * 7, number, number.wrapping_sub(1), u64::MAX - step] {
                assert_eq!(shown(|out| push_number(out, n)), format!(">{n}"));
            }
            number = number.wrapping_mul(7).wrapping_add(step);
        }
    }

    #[test]
    fn hexadecimal_digits_are_the_last_ones_with_zeros_before() {
        let number = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        assert_eq!(
            shown(|out| push_hex::<24>(out, number)),
            ">89abcdeffedcba9876543210"
        );
        assert_eq!(shown(|out| push_hex::<4>(out, 0xfa)), ">00fa");
    }

    #[test]
    fn times_and_addresses_are_whole() {
        for (seconds, nanos, text) in [
            (0, 0, ">0.000000"),
            (1, 42_999, ">1.000042"),
            (70, 123_456_789, ">70.123456"),
            (100_000, 999_999_999, ">100000.999999"),
        ] {
            let time = Duration::new(seconds, nanos);
            assert_eq!(shown(|out| push_seconds(out, time)), text);
        }
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
