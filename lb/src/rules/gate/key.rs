//! What of a request tells clients apart: a prefix of their address, a cookie.
//!
//! Pure; no allocation.

use std::net::{IpAddr, Ipv6Addr};

use httparse::Header;

/// The address that stands for a client: of IPv6 its /64, which one client has all of
/// (RFC 6177 section 2).
pub(super) fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// The value of the first cookie called `name` (RFC 6265 section 5.4), by case.
pub(super) fn cookie<'b>(fields: &[Header<'b>], name: &str) -> Option<&'b [u8]> {
    let cookies = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("cookie"));
    let mut pairs = cookies.flat_map(|field| field.value.split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let pair = pair.trim_ascii_start();
        let rest = pair.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=").map(<[u8]>::trim_ascii_end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_client_are_one() {
        let of = |text: &str| prefix(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let field = |name, value: &'static str| Header {
            name,
            value: value.as_bytes(),
        };
        let fields = [
            field("X", "id=0"),
            field("Cookie", "aid=1; id2=2;id =3"),
            field("cookie", " id=4 ; id=5"),
        ];
        assert_eq!(cookie(&fields, "id"), Some(&b"4"[..]));
        assert_eq!(cookie(&fields, "ID"), None);
        assert_eq!(cookie(&fields[..2], "id"), None);
    }
}
