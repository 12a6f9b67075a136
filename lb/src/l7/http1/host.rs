//! Hosts: what may stand in Host and in the authority of an absolute request target.
//!
//! Called once per request. Stricter than RFC 3986 (no sub-delims, no percent-encoding, no user
//! info), because a host is a routing key.

/// True for `name`, `name:port`, `1.2.3.4:port`, `[::1]:port`; a port may be empty.
pub fn is_valid_host(host: &[u8]) -> bool {
    match host {
        [b'[', rest @ ..] => is_literal(rest),
        _ => {
            let end = host.iter().position(|&b| b == b':').unwrap_or(host.len());
            let (name, port) = host.split_at(end);
            !name.is_empty()
                && name.len() <= 255
                && name.iter().copied().all(is_name_byte)
                && is_port(port)
        }
    }
}

/// The part of an address literal after `[`.
fn is_literal(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|&b| b == b']') else {
        return false;
    };
    let (address, port) = rest.split_at(end);
    std::str::from_utf8(address).is_ok_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok())
        && is_port(port.get(1..).unwrap_or_default())
}

/// Nothing, or `:` and a port number or nothing.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            digits.len() <= 5
                && digits.iter().all(u8::is_ascii_digit)
                && digits
                    .iter()
                    .fold(0_u32, |port, d| port * 10 + u32::from(d - b'0'))
                    <= 65_535
        }
        _ => false,
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::is_valid_host;

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for good in [
            "a",
            "localhost:8080",
            "a_b.example.",
            "[::1]",
            "[::1]:80",
            "1.2.3.4:",
            "x:0",
        ] {
            assert!(is_valid_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a,b", "u@a", "a/b", "a:b", "a:65536", "a:1:2", "[::1", "[x]",
            "[::1]x", "a:-1", "a:000001", "\u{e9}",
        ] {
            assert!(!is_valid_host(bad.as_bytes()), "{bad}");
        }
    }
}
