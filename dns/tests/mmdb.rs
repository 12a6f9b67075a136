//! MaxMind's test databases, compiled by us, against what the Python reader finds in them.
//!
//! Needs `../shared/data/mmdb` and Debian's python3-maxminddb; without the files it says so and
//! checks nothing.
#![expect(clippy::unwrap_used, reason = "what cannot be read is a failed test")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use conf::{Continent, Coordinates, Country, Place, Subdivision, Whereabouts};
use dns::Located;
use ipnet::IpNet;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/mmdb");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mmdb/networks.py");

/// What a line of the script says, by Route 53's rules about places.
fn expected(fields: &[&str]) -> Whereabouts {
    let [country, continent, state, latitude, longitude, _] = fields else {
        panic!("{fields:?}");
    };
    let mut place = match *country {
        "-" => Place {
            continent: Continent::parse(continent),
            ..Place::default()
        },
        code => Country::parse(code).map_or(Place::default(), Place::in_country),
    };
    if *country == "US" {
        place.subdivision = Subdivision::parse(state);
    }
    let point = latitude.parse().ok().zip(longitude.parse().ok());
    Whereabouts {
        place,
        coordinates: point.and_then(|(n, e)| Coordinates::from_degrees(n, e)),
        region: None,
        latency: None,
        measured: None,
    }
}

/// The network's first and last address.
fn ends(network: IpNet) -> [IpAddr; 2] {
    [network.network(), network.broadcast()]
}

/// A test database, unless it is not there.
fn database(name: &str) -> Option<PathBuf> {
    let path = Path::new(FOLDER).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Calls `check` with each network of a database and what the reference reader finds in it; returns
/// how many there were.
fn each_network(path: &Path, mut check: impl FnMut(IpNet, &[&str])) -> usize {
    // Debian's own: its modules are not those of another Python.
    let run = Command::new("/usr/bin/python3")
        .arg(SCRIPT)
        .arg(path)
        .output();
    let run = run.unwrap();
    assert!(
        run.status.success(),
        "apt-get install python3-maxminddb: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    let mut checked = 0;
    for line in String::from_utf8(run.stdout).unwrap().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        check(fields[0].parse().unwrap(), &fields[1..]);
        checked += 1;
    }
    checked
}

fn agree(name: &str, least: usize) {
    let Some(path) = database(name) else { return };
    let located = Located::from_file(&path).unwrap();
    let checked = each_network(&path, |network, fields| {
        for address in ends(network) {
            let (found, scope) = located.find(address);
            assert_eq!(found, expected(fields), "{network}: {address}");
            // Neighbours that are in one place are one leaf.
            assert!(scope <= network.prefix_len(), "{network}: scope {scope}");
        }
    });
    assert!(checked >= least, "{checked} networks");
    eprintln!("{name}: {checked} networks agree");
}

#[test]
fn every_network_of_the_city_database_is_where_the_reference_reader_finds_it() {
    agree("GeoIP2-City-Test.mmdb", 200);
}

#[test]
fn every_network_of_the_country_database_is_where_the_reference_reader_finds_it() {
    agree("GeoIP2-Country-Test.mmdb", 200);
}

#[test]
fn a_database_without_places_is_refused() {
    let Some(path) = database("GeoLite2-ASN-Test.mmdb") else {
        return;
    };
    let why = Located::from_file(&path).unwrap_err();
    assert!(why.contains("none of its records"), "{why}");
}

#[test]
fn every_network_is_of_the_autonomous_system_that_the_reference_reader_finds() {
    let Some(path) = database("GeoLite2-ASN-Test.mmdb") else {
        return;
    };
    let located = Located::built_in().with_asns(&path).unwrap();
    let checked = each_network(&path, |network, fields| {
        let expected = fields[5].parse().unwrap_or(0);
        for address in ends(network) {
            let (asn, scope) = located.asn(address).unwrap();
            assert_eq!(asn, expected, "{network}: {address}");
            assert!(scope <= network.prefix_len(), "{network}: scope {scope}");
        }
    });
    assert!(checked >= 200, "{checked} networks");
    let Some(places) = database("GeoIP2-City-Test.mmdb") else {
        return;
    };
    let why = Located::built_in().with_asns(&places).unwrap_err();
    assert!(why.contains("autonomous_system_number"), "{why}");
}
