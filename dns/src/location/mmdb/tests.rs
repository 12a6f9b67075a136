//! Files made here, byte by byte; `tests/mmdb.rs` has real ones.

use std::net::IpAddr;

use conf::{Country, Place};

use crate::location::{Fault, Located};
use crate::testing::mmdb;

fn country(located: &Located, address: &str) -> Option<String> {
    let address: IpAddr = address.parse().unwrap();
    let (there, _) = located.find(address);
    there.place.country.map(|country| country.to_string())
}

#[test]
fn networks_of_both_families_lead_to_their_countries() {
    let file = mmdb(&[
        ("192.0.2.0/24", "DE"),
        ("192.0.3.0/24", "DE"),
        ("198.51.100.128/25", "US"),
        ("2001:db8::/32", "JP"),
    ]);
    let located = Located::from_mmdb(&file, "made.mmdb").unwrap();
    assert_eq!(&*located.source, "made.mmdb of 2026-01-01");
    for (address, expected) in [
        ("192.0.2.1", Some("DE")),
        ("192.0.4.1", None),
        ("198.51.100.127", None),
        ("198.51.100.128", Some("US")),
        ("2001:db8:ffff::1", Some("JP")),
        ("2001:db9::1", None),
        ("::192.0.2.1", None),
    ] {
        assert_eq!(country(&located, address).as_deref(), expected, "{address}");
    }
    let de = Place::in_country(Country::parse("DE").unwrap());
    // Both networks of Germany are one leaf: 23 bits decide.
    let (there, scope) = located.find("192.0.3.7".parse().unwrap());
    assert_eq!((there.place, scope), (de, 23));
}

#[test]
fn what_is_no_database_of_places_is_refused() {
    let file = mmdb(&[("192.0.2.0/24", "DE")]);
    let refused = |file: &[u8]| Located::from_mmdb(file, "x").unwrap_err();
    assert_eq!(refused(b""), Fault::NotMmdb);
    assert_eq!(refused(&[0; 300_000]), Fault::NotMmdb);
    assert_eq!(
        refused(&file[..file.len() - 4]),
        Fault::Broken("it ends in the middle of its data")
    );
    assert!(matches!(refused(&file[600..]), Fault::Broken(_)));
    assert_eq!(refused(&mmdb(&[])), Fault::NoPlaces);
    assert_eq!(refused(&mmdb(&[("192.0.2.0/24", "ZZ")])), Fault::NoPlaces);
}

#[test]
fn a_tree_that_bites_its_tail_is_refused() {
    let mut file = mmdb(&[("192.0.2.0/24", "DE")]);
    // Every record leads back to the root.
    let nodes = file.iter().position(|byte| *byte == 0xe1).unwrap() - 16;
    file[..nodes].fill(0);
    let fault = Located::from_mmdb(&file, "x").unwrap_err();
    assert!(
        matches!(fault, Fault::TooMuch | Fault::Broken(_)),
        "{fault}"
    );
}

#[test]
fn no_single_wrong_byte_makes_it_panic() {
    let file = mmdb(&[("192.0.2.0/24", "DE"), ("2001:db8::/32", "JP")]);
    for at in 0..file.len() {
        for wrong in [0, 1, 0x20, 0x7f, 0x80, 0xe1, 0xff] {
            let mut file = file.clone();
            file[at] = wrong;
            let _ = Located::from_mmdb(&file, "x");
        }
    }
}
