//! Scalars written as strings: durations, sizes, addresses; and the way numbers are shown in
//! messages.
//!
//! Called by the readers, and by the CLI for its own arguments. Pure: text in, value or reason out;
//! the callers know the place and say what follows.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Why a scalar could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScalarError {
    /// Not a number with one of the units of [`parse_duration`].
    #[error("`{0}` is not a duration")]
    Duration(String),
    /// Not a number with one of the units of [`parse_size`].
    #[error("`{0}` is not a size")]
    Size(String),
}

/// Reads `"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"1d"`; a bare number is seconds.
///
/// # Errors
/// On anything else: signs, fractions, blanks, unknown units, more than 2^64 ms.
pub fn parse_duration(text: &str) -> Result<Duration, ScalarError> {
    let bad = || ScalarError::Duration(text.to_owned());
    let (number, unit) = split_unit(text).ok_or_else(bad)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(bad)
}

/// Reads `"512B"`, `"64KiB"`, `"1MiB"`, `"2GiB"` into bytes; a bare number is bytes.
///
/// # Errors
/// On anything else: signs, fractions, blanks, decimal units (`KB`), more than 2^64 bytes.
pub fn parse_size(text: &str) -> Result<u64, ScalarError> {
    let bad = || ScalarError::Size(text.to_owned());
    let (number, unit) = split_unit(text).ok_or_else(bad)?;
    let bytes: u64 = match unit {
        "B" | "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(bad()),
    };
    number.checked_mul(bytes).ok_or_else(bad)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

/// Why an address could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddressFault {
    /// `unix:/path`, or what others write for it.
    UnixPath,
    /// `name:port`.
    HostName,
    /// An IP address alone.
    NoPort(IpAddr),
    /// `8080`, `:8080` or `*:8080`: a port alone.
    NoAddress(u16),
    /// Anything else.
    Malformed,
}

/// Reads `127.0.0.1:80` or `[::1]:80`.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, AddressFault> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    // HAProxy writes `unix@`, and a path alone is one in many places.
    if text.starts_with("unix:") || text.starts_with("unix@") || text.starts_with('/') {
        return Err(AddressFault::UnixPath);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
        return Err(AddressFault::NoPort(ip));
    }
    let alone = text.strip_prefix('*').unwrap_or(text);
    if let Ok(port) = alone.strip_prefix(':').unwrap_or(alone).parse() {
        return Err(AddressFault::NoAddress(port));
    }
    let host_and_port = text
        .rsplit_once(':')
        .filter(|(host, port)| is_host_name(host) && port.parse::<u16>().is_ok());
    Err(host_and_port.map_or(AddressFault::Malformed, |_| AddressFault::HostName))
}

fn is_host_name(text: &str) -> bool {
    // A last label of digits only is a mistyped IPv4 address (RFC 1123 section 2.1).
    let last = text.rsplit('.').next().unwrap_or_default();
    !text.is_empty()
        && !last.bytes().all(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A value as the messages show it: in the form the file would use.
pub(crate) trait Shown {
    /// The text.
    fn shown(&self) -> String;
}

impl Shown for Duration {
    fn shown(&self) -> String {
        let millis = self.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
        ];
        let unit = units
            .into_iter()
            .find(|(size, _)| millis != 0 && millis.is_multiple_of(*size));
        match unit {
            Some((size, name)) => format!("{}{name}", millis / size),
            None if millis == 0 => "0s".to_owned(),
            None => format!("{millis}ms"),
        }
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

/// A size in bytes, shown with the largest unit that divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

impl Shown for Bytes {
    fn shown(&self) -> String {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let unit = units
            .into_iter()
            .find(|(size, _)| self.0 != 0 && self.0.is_multiple_of(*size));
        match unit {
            Some((size, name)) => format!("{}{name}", self.0 / size),
            None => format!("{}B", self.0),
        }
    }
}

/// Text of a file for a message: printable, and no longer than a message bears.
pub(crate) fn clipped(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown: String = text.chars().take(LONGEST).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{more}", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("7", 7_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "5S",
            "5min",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        assert_eq!(parse_size("12"), Ok(12));
        for text in ["64KB", "64K", "KiB", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_say_what_is_missing() {
        assert!(parse_address("127.0.0.1:80").is_ok());
        assert!(parse_address("[::1]:80").is_ok());
        for (text, fault) in [
            ("unix:/run/a.sock", AddressFault::UnixPath),
            ("app.internal:80", AddressFault::HostName),
            ("localhost:80", AddressFault::HostName),
            ("8080", AddressFault::NoAddress(8080)),
            (":8080", AddressFault::NoAddress(8080)),
            ("*:8080", AddressFault::NoAddress(8080)),
            ("127.0.0.1", AddressFault::NoPort([127, 0, 0, 1].into())),
            ("127.0.0.999:80", AddressFault::Malformed),
            ("127.0.0.1:99999", AddressFault::Malformed),
            ("http://127.0.0.1:80", AddressFault::Malformed),
        ] {
            assert_eq!(parse_address(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn shown_values_read_back() {
        for text in ["500ms", "30s", "5m", "1h", "1d", "0s", "90s"] {
            assert_eq!(parse_duration(text).unwrap().shown(), text);
        }
        for text in ["1KiB", "3MiB", "2GiB", "100B"] {
            assert_eq!(Bytes(parse_size(text).unwrap()).shown(), text);
        }
    }
}
