//! SVCB and HTTPS parameters (RFC 9460 section 2.1 and appendix A).
//!
//! Parameters may stand in any order in text and are sorted for the wire. Values of known keys are
//! checked, also when the key is written as a number.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::binary::push_counted;
use super::fields::{Fields, RdataError, Word};
use super::strings::Escaped;
use super::wire::{Cursor, Shown};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

/// Names of keys by number (IANA "Service Parameter Keys").
const KEYS: &[(&str, u16)] = &[
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6HINT),
    ("dohpath", DOHPATH),
    ("ohttp", OHTTP),
];

/// Names are in lower case only (RFC 9460 section 2.1).
fn key_by_name(name: &str) -> Option<u16> {
    let known = KEYS.iter().find(|(known, _)| *known == name);
    known.map(|&(_, key)| key).or_else(|| {
        let digits = name.strip_prefix("key")?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    })
}

fn key_name(key: u16) -> String {
    let known = KEYS.iter().find(|&&(_, known)| known == key);
    known.map_or_else(|| format!("key{key}"), |(name, _)| (*name).to_owned())
}

pub(super) fn read(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut parameters = BTreeMap::new();
    while let Some(word) = fields.take() {
        let (key, value) = read_parameter(&word, fields)?;
        if parameters.insert(key, value).is_some() {
            return Err(word.not("a parameter that may stand here twice"));
        }
    }
    check(&parameters, fields)?;
    for (key, value) in &parameters {
        out.extend_from_slice(&key.to_be_bytes());
        let length = u16::try_from(value.len()).map_err(|_| {
            RdataError::new(fields.whole(), "a parameter is longer than 65535 bytes")
        })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value);
    }
    Ok(())
}

/// `key`, `key=value`, or `key=` with a quoted string right behind it.
fn read_parameter(word: &Word<'_>, fields: &mut Fields<'_>) -> Result<(u16, Vec<u8>), RdataError> {
    let equals = word.raw.iter().position(|&byte| byte == b'=');
    let (name, inline) = match equals {
        Some(at) => (&word.raw[..at], Some(&word.raw[at + 1..])),
        None => (word.raw, None),
    };
    let key = key_by_name(&String::from_utf8_lossy(name))
        .ok_or_else(|| word.not("a service parameter, such as alpn=h2 or key65280=value"))?;
    let quoted = fields
        .peek()
        .filter(|next| next.token.quoted && next.token.glued);
    let text = match (inline, quoted) {
        (Some([]), Some(next)) => {
            fields.take();
            next.bytes()?
        }
        (Some(raw), _) => Word { raw, ..*word }.bytes()?,
        (None, _) => Vec::new(),
    };
    let is_bare = text.is_empty();
    // keyNNN gives the wire value as it is (RFC 9460 section 2.1).
    let value = match name.starts_with(b"key") {
        true => Some(text),
        false => encode(key, &text),
    };
    let value = value.filter(|value| is_valid(key, value)).ok_or_else(|| {
        let error = word.not(expected(key));
        // NSD takes empty protocols for what they are.
        match key == ALPN && !is_bare {
            true => error.tolerated(),
            false => error,
        }
    })?;
    Ok((key, value))
}

fn expected(key: u16) -> &'static str {
    match key {
        MANDATORY => "a list of keys, none of them twice and none of them mandatory",
        ALPN => "a list of protocols such as alpn=h2,h3",
        NO_DEFAULT_ALPN | OHTTP => "right: this parameter has no value",
        PORT => "a port such as port=8443",
        IPV4HINT => "a list of IPv4 addresses",
        IPV6HINT => "a list of IPv6 addresses",
        ECH => "an ECH configuration in base64",
        _ => "a parameter value",
    }
}

fn encode(key: u16, text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let ascii = || std::str::from_utf8(text).ok();
    match key {
        MANDATORY => {
            let names = ascii()?.split(',');
            let mut keys = names.map(key_by_name).collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            out.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        ALPN => {
            for item in split_list(text)? {
                push_counted(&mut out, &item)?;
            }
        }
        PORT => out.extend(ascii()?.parse::<u16>().ok()?.to_be_bytes()),
        IPV4HINT => {
            for address in ascii()?.split(',') {
                out.extend(address.parse::<Ipv4Addr>().ok()?.octets());
            }
        }
        IPV6HINT => {
            for address in ascii()?.split(',') {
                out.extend(address.parse::<Ipv6Addr>().ok()?.octets());
            }
        }
        ECH => out = BASE64.decode(text).ok()?,
        _ => out = text.to_vec(),
    }
    Some(out)
}

/// A comma-separated list in which `\,` and `\\` are escapes (RFC 9460 appendix A.1).
fn split_list(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = vec![Vec::new()];
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b',' => items.push(Vec::new()),
            b'\\' => items.last_mut()?.push(*bytes.next()?),
            _ => items.last_mut()?.push(byte),
        }
    }
    Some(items)
}

/// True when a wire value fits its key.
fn is_valid(key: u16, value: &[u8]) -> bool {
    match key {
        MANDATORY => {
            let keys: Vec<u16> = pairs(value).collect();
            let sorted = keys.windows(2).all(|pair| pair[0] < pair[1]);
            !keys.is_empty() && value.len().is_multiple_of(2) && sorted && keys[0] != MANDATORY
        }
        ALPN => alpn_items(value).is_some(),
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH => !value.is_empty(),
        _ => true,
    }
}

fn pairs(value: &[u8]) -> impl Iterator<Item = u16> + '_ {
    value
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
}

fn alpn_items(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut wire = Cursor::new(value);
    let mut items = Vec::new();
    while !wire.is_at_end() {
        items.push(wire.text().filter(|item| !item.is_empty())?);
    }
    (!items.is_empty()).then_some(items)
}

/// Rules between parameters (RFC 9460 sections 7.1.1 and 8).
fn check(parameters: &BTreeMap<u16, Vec<u8>>, fields: &mut Fields<'_>) -> Result<(), RdataError> {
    let mandatory = parameters.get(&MANDATORY).map_or(&[][..], Vec::as_slice);
    let missing = pairs(mandatory).find(|key| !parameters.contains_key(key));
    if let Some(missing) = missing {
        let name = key_name(missing);
        return Err(RdataError::new(
            fields.whole(),
            format!("mandatory lists {name}, which is not given"),
        ));
    }
    if parameters.contains_key(&NO_DEFAULT_ALPN) && !parameters.contains_key(&ALPN) {
        fields.note(
            fields.whole(),
            "no-default-alpn without alpn leaves no protocol",
        );
    }
    Ok(())
}

pub(super) fn show(wire: &mut Cursor<'_>, shown: &mut Shown) -> Option<()> {
    let mut parameters: BTreeMap<u16, &[u8]> = BTreeMap::new();
    while !wire.is_at_end() {
        let key = wire.u16()?;
        let length = wire.u16()?;
        let value = wire.take(usize::from(length))?;
        let ascending = parameters
            .last_key_value()
            .is_none_or(|(&last, _)| last < key);
        if !ascending || !is_valid(key, value) {
            return None;
        }
        parameters.insert(key, value);
        shown.word(show_parameter(key, value)?);
    }
    let mandatory = parameters.get(&MANDATORY).copied().unwrap_or_default();
    pairs(mandatory)
        .all(|key| parameters.contains_key(&key))
        .then_some(())
}

fn show_parameter(key: u16, value: &[u8]) -> Option<String> {
    let name = key_name(key);
    let list = |items: Vec<String>| items.join(",");
    let text = match key {
        MANDATORY => list(pairs(value).map(key_name).collect()),
        ALPN => {
            let items = alpn_items(value)?;
            let escaped: Vec<Vec<u8>> = items.into_iter().map(escape_item).collect();
            format!("\"{}\"", Escaped(&escaped.join(&b',')))
        }
        PORT => pairs(value).next()?.to_string(),
        IPV4HINT => list(addresses::<4, Ipv4Addr>(value)),
        IPV6HINT => list(addresses::<16, Ipv6Addr>(value)),
        ECH => BASE64.encode(value),
        _ if value.is_empty() => return Some(name),
        _ => format!("\"{}\"", Escaped(value)),
    };
    Some(format!("{name}={text}"))
}

fn escape_item(item: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(item.len());
    for &byte in item {
        if matches!(byte, b',' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

fn addresses<const N: usize, T: From<[u8; N]> + ToString>(value: &[u8]) -> Vec<String> {
    value
        .chunks_exact(N)
        .filter_map(|chunk| <[u8; N]>::try_from(chunk).ok())
        .map(|octets| T::from(octets).to_string())
        .collect()
}
