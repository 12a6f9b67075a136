//! Points in time and lengths of it as people and scripts read them.
//!
//! Used by the API, the page and `status`. Pure arithmetic; UTC only.

use std::time::Duration;

pub(crate) use healthcheck::rfc3339;

/// How long, in at most two units: `850ms`, `12s`, `3m 20s`, `5h 2m`, `9d 4h`.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{}ms", length.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3_600 => pair(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds / 60 % 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    }
}

/// How long, exactly, for what was set: as [`span`] where that leaves nothing out, else in
/// milliseconds or seconds.
pub(crate) fn exact(length: Duration) -> String {
    let seconds = length.as_secs();
    let left_out = match seconds {
        0..3_600 => 0,
        3_600..86_400 => seconds % 60,
        _ => seconds % 3_600,
    };
    match (length.subsec_millis(), left_out) {
        (0, 0) if seconds > 0 => span(length),
        (0, _) => format!("{seconds}s"),
        _ => format!("{}ms", length.as_millis()),
    }
}

/// How long in whole seconds, `<1s` below one: for ages known to the second.
pub(crate) fn seconds(length: u64) -> String {
    match length {
        0 => "<1s".to_owned(),
        _ => span(Duration::from_secs(length)),
    }
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit} {small}{small_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_two_units_at_most() {
        assert_eq!(span(Duration::from_millis(850)), "850ms");
        assert_eq!(exact(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(exact(Duration::ZERO), "0s");
        assert_eq!(exact(Duration::from_secs(200)), "3m 20s");
        assert_eq!(exact(Duration::from_secs(3_661)), "3661s");
        assert_eq!(exact(Duration::from_secs(604_800)), "7d");
        assert_eq!(span(Duration::from_secs(200)), "3m 20s");
        assert_eq!(span(Duration::from_secs(120)), "2m");
        assert_eq!(span(Duration::from_secs(86_400 * 9 + 4 * 3_600)), "9d 4h");
    }
}
