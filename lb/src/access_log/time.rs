//! RFC 3339 timestamps in UTC with milliseconds, without a calendar library.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// Appends `time`, as `2026-11-20T10:29:00.123Z`. Times before 1970 show as 1970.
pub(super) fn write_rfc3339(out: &mut Vec<u8>, time: SystemTime) {
    write_seconds(out, time);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::from(since.subsec_millis());
    let (hundreds, tens_ones) = (tens_and_ones(millis / 100).1, tens_and_ones(millis));
    out.extend_from_slice(&[b'.', hundreds, tens_ones.0, tens_ones.1, b'Z']);
}

/// Appends `time`, as `2026-11-20T10:29:00`, still in UTC.
pub(super) fn write_seconds(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (
        since.as_secs() / SECONDS_PER_DAY,
        since.as_secs() % SECONDS_PER_DAY,
    );
    let (year, month, day) = civil(days);
    let (century, year) = (tens_and_ones(year / 100), tens_and_ones(year));
    let (month, day) = (tens_and_ones(month), tens_and_ones(day));
    let (hour, minute) = (
        tens_and_ones(second / 3600),
        tens_and_ones(second / 60 % 60),
    );
    let second = tens_and_ones(second % 60);
    // In one piece: a copy of known length is no call.
    out.extend_from_slice(&[
        century.0, century.1, year.0, year.1, b'-', month.0, month.1, b'-', day.0, day.1, b'T',
        hour.0, hour.1, b':', minute.0, minute.1, b':', second.0, second.1,
    ]);
}

/// The last two digits of a number.
fn tens_and_ones(number: u64) -> (u8, u8) {
    let digit = |number: u64| b'0' + (number % 10) as u8;
    (digit(number / 10), digit(number))
}

/// Year, month and day of a day counted from 1970-01-01, by counting 400-year cycles from
/// 0000-03-01 (the day after a leap day, so that leap days end years).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (cycle, day_of_cycle) = (shifted / 146_097, shifted % 146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
        - day_of_cycle / 146_096)
        / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = cycle * 400 + year_of_cycle + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_times() {
        let show = |millis| {
            let mut out = Vec::new();
            write_rfc3339(&mut out, UNIX_EPOCH + Duration::from_millis(millis));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(show(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(show(1_772_323_199_999), "2026-02-28T23:59:59.999Z");
        assert_eq!(show(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}
