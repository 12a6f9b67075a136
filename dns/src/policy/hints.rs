//! SVCB and HTTPS values with the addresses of a target group's healthy targets as hints (RFC 9460
//! section 7.3).
//!
//! Resolved once per configuration, asked when health changes. A hint that a value has already stays as
//! it is, and a value in alias mode has no parameters to add to.

use std::sync::Arc;

use conf::RecordType;
use healthcheck::HealthTable;

use super::Outcome;
use super::alias::GroupAlias;
use super::multivalue::MAX_ANSWERS;
use crate::wire::Blob;

const IPV4HINT: u16 = 4;
const IPV6HINT: u16 = 6;

/// Values of one set, and whose addresses they name.
#[derive(Debug, Clone)]
pub(super) struct HintedValues {
    pub(super) v4: GroupAlias,
    pub(super) v6: GroupAlias,
    pub(super) rtype: RecordType,
    pub(super) ttl: u32,
    pub(super) values: Vec<Box<[u8]>>,
}

impl HintedValues {
    /// The values as they are now.
    pub(super) fn outcome(&self, health: &HealthTable) -> Outcome {
        let hints = |alias: &GroupAlias| {
            let addresses = alias.addresses(health);
            addresses.into_iter().take(MAX_ANSWERS).flatten().collect()
        };
        let hints: [(u16, Vec<u8>); 2] = [(IPV4HINT, hints(&self.v4)), (IPV6HINT, hints(&self.v6))];
        let values = self.values.iter().map(|value| with_hints(value, &hints));
        let values: Vec<Vec<u8>> = values.collect();
        let rdatas = values.iter().map(Vec::as_slice);
        Outcome::Values(Arc::new(Blob::new(self.rtype.0, self.ttl, rdatas)))
    }
}

/// The value with the hints it lacks, in the order of keys (RFC 9460 section 2.2).
fn with_hints(value: &[u8], hints: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let Some((head, mut parameters)) = split(value) else {
        return value.to_vec();
    };
    for (key, addresses) in hints {
        if addresses.is_empty() || parameters.iter().any(|(known, _)| known == key) {
            continue;
        }
        let place = parameters.partition_point(|(known, _)| known < key);
        parameters.insert(place, (*key, addresses));
    }
    let mut with = head.to_vec();
    for (key, parameter) in parameters {
        with.extend(key.to_be_bytes());
        // Eight addresses at most, and what was read before had such a length.
        with.extend((parameter.len() as u16).to_be_bytes());
        with.extend(parameter);
    }
    with
}

type Parameters<'v> = Vec<(u16, &'v [u8])>;

/// Priority and target, and the parameters; `None` for a value in alias mode (priority 0).
fn split(value: &[u8]) -> Option<(&[u8], Parameters<'_>)> {
    if *value.first_chunk::<2>()? == [0, 0] {
        return None;
    }
    let mut at = 2;
    loop {
        match *value.get(at)? {
            0 => break,
            length => at += 1 + usize::from(length),
        }
    }
    let (head, mut rest) = value.split_at_checked(at + 1)?;
    let mut parameters = Vec::new();
    while let Some((&[k1, k2, l1, l2], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        let (parameter, after) = after.split_at_checked(length)?;
        parameters.push((u16::from_be_bytes([k1, k2]), parameter));
        rest = after;
    }
    rest.is_empty().then_some((head, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;
    use crate::rdata;

    fn hinted(text: &str, hints: &[(u16, Vec<u8>)]) -> String {
        let (value, _) = rdata::parse(RecordType::HTTPS, text.as_bytes(), &Name::root()).unwrap();
        rdata::show(RecordType::HTTPS, &with_hints(&value, hints))
    }

    #[test]
    fn hints_come_in_their_place_and_never_twice() {
        let both = [
            (IPV4HINT, vec![192, 0, 2, 1, 192, 0, 2, 2]),
            (IPV6HINT, vec![0; 16]),
        ];
        for (value, expected) in [
            ("1 .", "1 . ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=::"),
            (
                "1 svc.test. alpn=h2 port=8443 ech=AAA= key65280=x",
                "1 svc.test. alpn=h2 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech=AAA= ipv6hint=:: key65280=x",
            ),
            (
                "1 . ipv4hint=192.0.2.9",
                "1 . ipv4hint=192.0.2.9 ipv6hint=::",
            ),
            ("0 other.test.", "0 other.test."),
        ] {
            let plain = |text: String| text.replace('"', "");
            assert_eq!(plain(hinted(value, &both)), expected);
        }
        let none = [(IPV4HINT, Vec::new()), (IPV6HINT, Vec::new())];
        assert_eq!(hinted("1 .", &none), "1 .");
    }
}
