//! LOC data (RFC 1876): latitude, longitude, altitude, size and precisions.

use super::fields::{Fields, RdataError};
use super::wire::{Cursor, Shown};

/// The equator and the prime meridian: 2^31 thousandths of an arc second.
const MIDDLE: u32 = 1 << 31;
/// Altitude 0 is 100 000 m above the zero of the wire form, in cm.
const ALTITUDE_BASE: i64 = 10_000_000;
/// Defaults in cm: size 1 m, horizontal precision 10 km, vertical precision 10 m.
const DEFAULTS: [u64; 3] = [100, 1_000_000, 1_000];

pub(super) fn read(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let latitude = read_angle(fields, 90, *b"NS")?;
    let longitude = read_angle(fields, 180, *b"EW")?;
    let altitude = read_altitude(fields)?;
    out.push(0);
    for default in DEFAULTS {
        out.push(read_size(fields, default)?);
    }
    for number in [latitude, longitude, altitude] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    Ok(())
}

/// `degrees [minutes [seconds[.fraction]]] N|S` (or `E|W`) on the wire scale.
fn read_angle(
    fields: &mut Fields<'_>,
    most_degrees: u32,
    directions: [u8; 2],
) -> Result<u32, RdataError> {
    let limits = [most_degrees * 1_000, 59_999, 59_999];
    let [positive, negative] = directions.map(char::from);
    let expected = format!("degrees, minutes, seconds and then {positive} or {negative}");
    let mut total = 0;
    for (part, limit) in limits.into_iter().enumerate() {
        let word = fields.expect(&expected)?;
        if part > 0 && is_direction(word.raw, directions).is_some() {
            return signed(total, is_direction(word.raw, directions), most_degrees)
                .ok_or_else(|| word.not(&expected));
        }
        let value = thousandths(word.raw).filter(|&n| part == 2 || n % 1_000 == 0);
        let value = value.ok_or_else(|| word.not(&expected))?;
        if value > limit {
            // NSD lets any number pass.
            return Err(word.not(&expected).tolerated());
        }
        total += match part {
            0 => value * 3_600,
            1 => value * 60,
            _ => value,
        };
    }
    let word = fields.expect(&expected)?;
    signed(total, is_direction(word.raw, directions), most_degrees)
        .ok_or_else(|| word.not(&expected))
}

/// Some(true) for the first direction, Some(false) for the second.
fn is_direction(raw: &[u8], [positive, negative]: [u8; 2]) -> Option<bool> {
    match raw {
        [letter] if letter.eq_ignore_ascii_case(&positive) => Some(true),
        [letter] if letter.eq_ignore_ascii_case(&negative) => Some(false),
        _ => None,
    }
}

fn signed(total: u32, positive: Option<bool>, most_degrees: u32) -> Option<u32> {
    if total > most_degrees * 3_600_000 {
        return None;
    }
    match positive? {
        true => MIDDLE.checked_add(total),
        false => MIDDLE.checked_sub(total),
    }
}

/// A decimal with up to three places, times 1000.
fn thousandths(raw: &[u8]) -> Option<u32> {
    u32::try_from(decimal(raw, 3)?).ok()
}

/// A decimal with up to `places` places, times 10^places.
fn decimal(raw: &[u8], places: usize) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || fraction.len() > places {
        return None;
    }
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}

fn read_altitude(fields: &mut Fields<'_>) -> Result<u32, RdataError> {
    const EXPECTED: &str = "an altitude from -100000m to 42849672.95m";
    let word = fields.expect(EXPECTED)?;
    let metres = word.raw.strip_suffix(b"m").unwrap_or(word.raw);
    let (sign, magnitude) = match metres.strip_prefix(b"-") {
        Some(rest) => (-1, rest),
        None => (1, metres.strip_prefix(b"+").unwrap_or(metres)),
    };
    decimal(magnitude, 2)
        .and_then(|centimetres| i64::try_from(centimetres).ok())
        .and_then(|centimetres| u32::try_from(ALTITUDE_BASE + sign * centimetres).ok())
        .ok_or_else(|| word.not(EXPECTED))
}

/// A size as one digit and a power of ten of centimetres, rounded down as RFC 1876's own code does.
fn read_size(fields: &mut Fields<'_>, default: u64) -> Result<u8, RdataError> {
    const EXPECTED: &str = "a size from 0m to 90000000m";
    let centimetres = match fields.take() {
        None => default,
        Some(word) => decimal(word.raw.strip_suffix(b"m").unwrap_or(word.raw), 2)
            .filter(|&value| value <= 9_000_000_000)
            .ok_or_else(|| word.not(EXPECTED))?,
    };
    let (mut digit, mut power) = (centimetres, 0_u8);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    Ok((u8::try_from(digit).unwrap_or(9) << 4) | power)
}

pub(super) fn show(wire: &mut Cursor<'_>, shown: &mut Shown) -> Option<()> {
    if wire.u8()? != 0 {
        return None;
    }
    let sizes = wire.array::<3>()?;
    let (latitude, longitude, altitude) = (wire.u32()?, wire.u32()?, wire.u32()?);
    show_angle(latitude, 90, *b"NS", shown)?;
    show_angle(longitude, 180, *b"EW", shown)?;
    let centimetres = i64::from(altitude) - ALTITUDE_BASE;
    let sign = if centimetres < 0 { "-" } else { "" };
    let magnitude = centimetres.unsigned_abs();
    shown.word(format_args!("{sign}{}m", metres(magnitude)));
    for size in sizes {
        let (digit, power) = (u64::from(size >> 4), u32::from(size & 15));
        // A digit of 0 has no power: it would not come back from text.
        if digit > 9 || power > 9 || (digit == 0 && power > 0) {
            return None;
        }
        shown.word(format_args!("{}m", metres(digit * 10_u64.pow(power))));
    }
    Some(())
}

fn metres(centimetres: u64) -> String {
    format!("{}.{:02}", centimetres / 100, centimetres % 100)
}

fn show_angle(
    value: u32,
    most: u32,
    [positive, negative]: [u8; 2],
    shown: &mut Shown,
) -> Option<()> {
    let magnitude = value.abs_diff(MIDDLE);
    if magnitude > most * 3_600_000 {
        return None;
    }
    let direction = if value >= MIDDLE { positive } else { negative };
    let (seconds, rest) = (magnitude / 1_000, magnitude % 1_000);
    shown.word(seconds / 3_600);
    shown.word(seconds / 60 % 60);
    shown.word(format_args!("{}.{rest:03}", seconds % 60));
    shown.word(char::from(direction));
    Some(())
}
