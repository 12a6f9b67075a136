//! Addresses in record data: A, AAAA, EUI-48/64 and ILNP locators (RFC 7043, 6742), APL prefixes
//! (RFC 3123) and IPSECKEY gateways (RFC 4025).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fields::{Fields, RdataError, Word};
use super::strings;
use super::wire::{Cursor, Shown};

pub(super) fn read_v4(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("an IPv4 address")?;
    let text = word.text();
    let address = text.parse::<Ipv4Addr>().map_err(|_| {
        let error = word.not("an IPv4 address");
        match text.parse::<Ipv6Addr>() {
            Ok(_) => error.help("an IPv6 address belongs into an AAAA record"),
            Err(_) => error,
        }
    })?;
    out.extend_from_slice(&address.octets());
    Ok(())
}

pub(super) fn read_v6(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("an IPv6 address")?;
    let text = word.text();
    let address = text.parse::<Ipv6Addr>().map_err(|_| {
        let error = word.not("an IPv6 address");
        match text.parse::<Ipv4Addr>() {
            Ok(_) => error.help("an IPv4 address belongs into an A record"),
            Err(_) => error,
        }
    })?;
    out.extend_from_slice(&address.octets());
    Ok(())
}

/// Bytes written as groups of hex digits.
#[derive(Clone, Copy)]
pub(super) struct Groups {
    bytes: usize,
    per_group: usize,
    separator: u8,
    expected: &'static str,
}

pub(super) const EUI48: Groups = Groups {
    bytes: 6,
    per_group: 1,
    separator: b'-',
    expected: "an EUI-48 address such as 00-00-5e-00-53-2a",
};
pub(super) const EUI64: Groups = Groups {
    bytes: 8,
    per_group: 1,
    separator: b'-',
    expected: "an EUI-64 address such as 00-00-5e-ef-10-00-00-2a",
};
pub(super) const LOCATOR: Groups = Groups {
    bytes: 8,
    per_group: 2,
    separator: b':',
    expected: "four groups of hex digits such as 2001:db8:1140:1000",
};

pub(super) fn read_groups(
    fields: &mut Fields<'_>,
    out: &mut Vec<u8>,
    form: Groups,
) -> Result<(), RdataError> {
    let word = fields.expect(form.expected)?;
    let mut count = 0;
    for group in word.raw.split(|&byte| byte == form.separator) {
        let digits = std::str::from_utf8(group).unwrap_or_default();
        let fits = (1..=form.per_group * 2).contains(&group.len())
            && (form.per_group > 1 || group.len() == 2)
            && group.iter().all(u8::is_ascii_hexdigit);
        match u16::from_str_radix(digits, 16) {
            Ok(value) if fits => {
                let bytes = value.to_be_bytes();
                out.extend_from_slice(bytes.get(2 - form.per_group..).unwrap_or_default());
            }
            _ => return Err(word.not(form.expected)),
        }
        count += form.per_group;
    }
    match count == form.bytes {
        true => Ok(()),
        false => Err(word.not(form.expected)),
    }
}

pub(super) fn show_groups(wire: &mut Cursor<'_>, form: Groups) -> Option<String> {
    let groups = wire.take(form.bytes)?.chunks(form.per_group);
    let texts: Vec<String> = groups
        .map(|group| group.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    Some(texts.join(&char::from(form.separator).to_string()))
}

/// APL items to the end of the data: `[!]family:address/prefix`.
pub(super) fn read_prefixes(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    while let Some(word) = fields.take() {
        read_prefix(&word, out)
            .ok_or_else(|| word.not("a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32"))?;
    }
    Ok(())
}

fn read_prefix(word: &Word<'_>, out: &mut Vec<u8>) -> Option<()> {
    let text = word.text();
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (0x80, rest),
        None => (0, &*text),
    };
    let (family, rest) = rest.split_once(':')?;
    let (address, length) = rest.split_once('/')?;
    let (family, octets, longest) = match (family, address.parse::<IpAddr>().ok()?) {
        ("1", IpAddr::V4(v4)) => (1_u16, v4.octets().to_vec(), 32),
        ("2", IpAddr::V6(v6)) => (2, v6.octets().to_vec(), 128),
        _ => return None,
    };
    let length = length.parse::<u8>().ok().filter(|&n| n <= longest)?;
    // Trailing zero bytes are not sent (RFC 3123 section 4).
    let used = octets
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |i| i + 1);
    out.extend_from_slice(&family.to_be_bytes());
    out.push(length);
    out.push(negated | u8::try_from(used).ok()?);
    out.extend_from_slice(octets.get(..used)?);
    Some(())
}

pub(super) fn show_prefixes(wire: &mut Cursor<'_>, shown: &mut Shown) -> Option<()> {
    while !wire.is_at_end() {
        let (family, length, flags) = (wire.u16()?, wire.u8()?, wire.u8()?);
        let part = wire.take(usize::from(flags & 0x7f))?;
        if part.last() == Some(&0) {
            return None;
        }
        let mut octets = [0; 16];
        octets.get_mut(..part.len())?.copy_from_slice(part);
        let address = match family {
            1 if part.len() <= 4 && length <= 32 => {
                IpAddr::from([octets[0], octets[1], octets[2], octets[3]])
            }
            2 if length <= 128 => IpAddr::from(octets),
            _ => return None,
        };
        let mark = if flags & 0x80 == 0 { "" } else { "!" };
        shown.word(format_args!("{mark}{family}:{address}/{length}"));
    }
    Some(())
}

/// Gateway type, algorithm, and a gateway of that type.
pub(super) fn read_gateway(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a gateway type")?;
    let kind = match word.raw {
        [digit @ b'0'..=b'3'] => digit - b'0',
        _ => return Err(word.not("a gateway type: 0 none, 1 IPv4, 2 IPv6, 3 a name")),
    };
    out.push(kind);
    super::number::read_u8(fields, out)?;
    match kind {
        0 => match fields.expect("a dot for no gateway")? {
            word if word.raw == b"." => Ok(()),
            word => Err(word.not("a dot, which stands for no gateway")),
        },
        1 => read_v4(fields, out),
        2 => read_v6(fields, out),
        _ => strings::read_name(fields, out),
    }
}

pub(super) fn show_gateway(wire: &mut Cursor<'_>, shown: &mut Shown) -> Option<()> {
    let (kind, algorithm) = (wire.u8()?, wire.u8()?);
    shown.word(kind);
    shown.word(algorithm);
    match kind {
        0 => shown.word("."),
        1 => shown.word(Ipv4Addr::from(wire.array::<4>()?)),
        2 => shown.word(Ipv6Addr::from(wire.array::<16>()?)),
        3 => shown.word(wire.name()?),
        _ => return None,
    }
    Some(())
}
