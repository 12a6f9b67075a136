//! RFC 3339 timestamps in UTC with milliseconds, without a calendar library.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::digits::pair;

const SECONDS_PER_DAY: u64 = 86_400;

/// Bytes of a second, as `2026-11-20T10:29:00`.
const SECOND: usize = 19;

/// The second that was written last: a log has many lines of it.
#[derive(Debug, Default)]
pub(super) struct LastSecond(Option<(u64, [u8; SECOND])>);

impl LastSecond {
    /// Appends `time`, as `2026-11-20T10:29:00.123Z`. Times before 1970 show as 1970.
    pub(super) fn write_rfc3339(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = match self.0 {
            Some((second, text)) if second == since.as_secs() => text,
            _ => {
                let text = second(since.as_secs());
                self.0 = Some((since.as_secs(), text));
                text
            }
        };
        out.extend_from_slice(&text);
        let millis = u64::from(since.subsec_millis());
        let ([_, a], [b, c]) = (pair(millis / 100), pair(millis % 100));
        out.extend_from_slice(&[b'.', a, b, c, b'Z']);
    }
}

/// Appends `time`, as `2026-11-20T10:29:00`, in UTC.
pub(super) fn write_seconds(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    out.extend_from_slice(&second(since.as_secs()));
}

/// A second after 1970, before 10000.
fn second(since: u64) -> [u8; SECOND] {
    let (days, second) = (since / SECONDS_PER_DAY, since % SECONDS_PER_DAY);
    let (year, month, day) = civil(days);
    let (century, year) = (pair(year / 100), pair(year % 100));
    let (month, day) = (pair(month), pair(day));
    let (hour, minute) = (pair(second / 3600), pair(second / 60 % 60));
    let second = pair(second % 60);
    [
        century[0], century[1], year[0], year[1], b'-', month[0], month[1], b'-', day[0], day[1],
        b'T', hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1],
    ]
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
        let mut last = LastSecond::default();
        let mut show = |millis| {
            let mut out = Vec::new();
            last.write_rfc3339(&mut out, UNIX_EPOCH + Duration::from_millis(millis));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(show(999), "1970-01-01T00:00:00.999Z");
        assert_eq!(show(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(show(1_772_323_199_999), "2026-02-28T23:59:59.999Z");
        assert_eq!(show(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}
