//! Numbers in record data: plain ones, seconds with units, DNSSEC timestamps, and the mnemonics
//! that stand for numbers.

use super::fields::{Fields, RdataError, Word};

pub(super) fn read_u8(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a number")?;
    let value = number(&word, u64::from(u8::MAX))?;
    out.extend_from_slice(value.to_be_bytes().get(7..).unwrap_or_default());
    Ok(())
}

pub(super) fn read_u16(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a number")?;
    let value = number(&word, u64::from(u16::MAX))?;
    out.extend_from_slice(value.to_be_bytes().get(6..).unwrap_or_default());
    Ok(())
}

pub(super) fn read_u32(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a number")?;
    push_u32(number(&word, u64::from(u32::MAX))?, out);
    Ok(())
}

fn push_u32(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_be_bytes().get(4..).unwrap_or_default());
}

fn number(word: &Word<'_>, limit: u64) -> Result<u64, RdataError> {
    if word.raw.is_empty() || !word.raw.iter().all(u8::is_ascii_digit) {
        return Err(word.not("a number"));
    }
    match word.text().parse::<u64>() {
        Ok(value) if value <= limit => Ok(value),
        // NSD takes the low bits.
        _ => Err(word.not(&format!("in the range 0-{limit}")).tolerated()),
    }
}

/// Seconds: `3600`, `1h30m`, `2W`. `None` when the text is neither; sums over 32 bits are
/// returned as they are.
pub(crate) fn seconds(text: &[u8]) -> Option<u64> {
    if !text.first()?.is_ascii_digit() {
        return None;
    }
    let mut total = 0_u64;
    let mut value = 0_u64;
    for byte in text {
        let unit = match byte.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                value = value
                    .saturating_mul(10)
                    .saturating_add(u64::from(digit - b'0'));
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.saturating_add(value.saturating_mul(unit));
        value = 0;
    }
    Some(total.saturating_add(value))
}

pub(super) fn read_seconds(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a time in seconds")?;
    let value = seconds(word.raw).ok_or_else(|| word.not("a time such as 3600 or 1h30m"))?;
    if value > u64::from(u32::MAX) {
        return Err(word.not("in the range 0-4294967295 seconds").tolerated());
    }
    push_u32(value, out);
    Ok(())
}

/// DNSSEC algorithm mnemonics (IANA "DNS Security Algorithm Numbers").
const ALGORITHMS: &[(&str, u8)] = &[
    ("DELETE", 0),
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("ECC", 4),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Certificate type mnemonics (RFC 4398 section 2.1).
const CERTIFICATE_TYPES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

fn mnemonic<T: Copy>(word: &Word<'_>, table: &[(&str, T)]) -> Option<T> {
    let text = word.text();
    table
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&text))
        .map(|&(_, value)| value)
}

pub(super) fn read_algorithm(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    match fields.peek().and_then(|word| mnemonic(&word, ALGORITHMS)) {
        Some(value) => {
            fields.take();
            out.push(value);
            Ok(())
        }
        None => read_u8(fields, out),
    }
}

pub(super) fn read_certificate_type(
    fields: &mut Fields<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    let known = fields
        .peek()
        .and_then(|word| mnemonic(&word, CERTIFICATE_TYPES));
    match known {
        Some(value) => {
            fields.take();
            out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }
        None => read_u16(fields, out),
    }
}

pub(super) fn read_timestamp(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    const EXPECTED: &str = "a time as YYYYMMDDHHmmSS, or in seconds since 1970";
    let word = fields.expect(EXPECTED)?;
    let value = match word.raw.len() {
        14 => seconds_of_date(word.raw),
        _ => number(&word, u64::from(u32::MAX)).ok(),
    };
    push_u32(value.ok_or_else(|| word.not(EXPECTED))?, out);
    Ok(())
}

/// Seconds since 1970 of `YYYYMMDDHHmmSS`, modulo 2^32 (RFC 4034 section 3.1.5).
fn seconds_of_date(text: &[u8]) -> Option<u64> {
    let part = |range: std::ops::Range<usize>| -> Option<u64> {
        let digits = text.get(range)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) & u64::from(u32::MAX))
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: u64, month: u64) -> u64 {
    // Years that begin in March put the leap day last (the usual civil-date arithmetic).
    let (shifted_year, shifted_month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    shifted_year * 365 + leap_days + (153 * shifted_month + 2) / 5 - 719_468
}

pub(super) fn show_timestamp(seconds: u32) -> String {
    let (days, time) = (u64::from(seconds) / 86_400, seconds % 86_400);
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12)
        .rev()
        .find(|&month| days_before(year, month) <= days)
        .unwrap_or(1);
    let day = days - days_before(year, month) + 1;
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}
