//! The table of countries by address that is built in (`data/country.bin`, `data/NOTICE`).
//!
//! Read once per process, when a record first tells clients apart by place; asked through maps.
//! `data/make-country.py` makes the file and says how it is laid out.

use std::sync::{Arc, OnceLock};

use conf::{Country, Place, Whereabouts};

use super::levels::Levels;
use super::ranges::{Address, Ranges};
use super::{Located, Map};

static FILE: &[u8] = include_bytes!("../../data/country.bin");
const MAGIC: &[u8] = b"PMCT1\n";

/// The date of the data, YYYYMMDD.
pub fn built_in_date() -> u32 {
    let mut input = Input(FILE);
    input.expect_magic().and_then(|()| input.u32()).unwrap_or(0)
}

/// The table.
pub(super) fn built_in() -> Located {
    static TABLE: OnceLock<Located> = OnceLock::new();
    // A test reads the file; without one nobody would be anywhere.
    TABLE
        .get_or_init(|| read(FILE).unwrap_or_else(Located::nothing))
        .clone()
}

fn read(file: &[u8]) -> Option<Located> {
    let mut input = Input(file);
    input.expect_magic()?;
    let _date = input.u32()?;
    let mut whereabouts = vec![Whereabouts::default()];
    for _ in 0..input.u16()? {
        let code = std::str::from_utf8(input.take(2)?).ok()?;
        // Some have no continent of Route 53's: they are nowhere, and only the default set is theirs.
        let place = Country::parse(code).map_or(Place::default(), Place::in_country);
        whereabouts.push(Whereabouts::from(place));
    }
    let (v4, v6) = (input.u32()?, input.u32()?);
    let v4 = ranges(&mut input, v4, |input| u32::try_from(input.number()?).ok())?;
    let v6 = ranges(&mut input, v6, |input| {
        let halvings = u32::from(input.byte()?);
        input.number()?.checked_shl(halvings)
    })?;
    let map = Map {
        v4: Levels::single(v4),
        v6: Levels::single(v6),
    };
    input.0.is_empty().then(|| Located {
        map: Arc::new(map),
        whereabouts: whereabouts.into(),
        source: Arc::from("the country table"),
        stamp: None,
        asns: None,
    })
}

fn ranges<A: Address + std::ops::Add<Output = A>>(
    input: &mut Input<'_>,
    count: u32,
    mut distance: impl FnMut(&mut Input<'_>) -> Option<A>,
) -> Option<Ranges<A>> {
    let mut ranges = Ranges::uniform(0);
    let mut start = A::ZERO;
    for _ in 0..count {
        start = start + distance(input)?;
        ranges.push(start, u32::from(input.byte()?));
    }
    Some(ranges.finished())
}

struct Input<'f>(&'f [u8]);

impl<'f> Input<'f> {
    fn take(&mut self, count: usize) -> Option<&'f [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn expect_magic(&mut self) -> Option<()> {
        (self.take(MAGIC.len())? == MAGIC).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn number(&mut self) -> Option<u128> {
        let mut number = 0;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            number |= u128::from(byte & 127).checked_shl(shift)?;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::location::Client;

    #[test]
    fn the_file_is_read_to_its_end_and_knows_well_known_networks() {
        let located = read(FILE).unwrap();
        assert!(FILE.len() <= 4 << 20);
        assert!((20_240_101..21_000_101).contains(&built_in_date()));
        // Networks whose holders have been in one country for decades.
        for (address, country) in [
            ("8.8.8.8", "US"),
            ("193.0.6.139", "NL"),
            ("133.11.0.1", "JP"),
            ("141.20.1.3", "DE"),
            ("2001:67c:2e8::1", "NL"),
            ("2001:638:208::1", "DE"),
        ] {
            let client = Client::from(address.parse::<IpAddr>().unwrap());
            let found = located.map.find(client).value as usize;
            let place = located.whereabouts[found].place;
            assert_eq!(place.country, Country::parse(country), "{address}");
        }
        for nowhere in [
            "127.0.0.1",
            "10.1.1.1",
            "192.168.1.1",
            "::1",
            "fd00::1",
            "224.0.0.1",
        ] {
            let client = Client::from(nowhere.parse::<IpAddr>().unwrap());
            assert_eq!(located.map.find(client).value, 0, "{nowhere}");
        }
    }

    #[test]
    fn a_broken_file_is_nobody_anywhere() {
        for len in [0, 3, 6, 11, 300, 40_000, FILE.len() - 1] {
            assert!(read(&FILE[..len]).is_none(), "{len}");
        }
        let longer = [FILE, &[0]].concat();
        assert!(read(&longer).is_none());
    }
}
