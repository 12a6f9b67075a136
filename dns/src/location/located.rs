//! Who is where: the table of addresses that is built in, or one made from a file.
//!
//! Made when zones are loaded; looked into through the maps of records. Also for tools and tests
//! that ask where an address is.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use conf::Whereabouts;

use super::mmdb::{self, Fault};
use super::{Client, Map, country};

/// A map whose values point at whereabouts, of which the first is nowhere.
#[derive(Debug, Clone)]
pub struct Located {
    pub(crate) map: Arc<Map>,
    pub(crate) whereabouts: Arc<[Whereabouts]>,
    /// What people are told that it is.
    pub(crate) source: Arc<str>,
    /// The file it was made from, as it was.
    pub(crate) stamp: Option<Stamp>,
    /// Whose addresses are; nothing when no file says so.
    pub(crate) asns: Option<Asns>,
}

/// The autonomous systems that addresses are of.
#[derive(Debug, Clone)]
pub(crate) struct Asns {
    /// Their numbers, 0 for none.
    pub(crate) map: Arc<Map>,
    /// What people are told that it is.
    pub(crate) source: Arc<str>,
    /// The file it was made from, as it was.
    pub(crate) stamp: Stamp,
}

/// What tells whether a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    length: u64,
    changed: Option<SystemTime>,
}

impl Stamp {
    /// Of the file that stands at a path now.
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            inode: metadata.ino(),
            length: metadata.len(),
            changed: metadata.modified().ok(),
        })
    }
}

impl Located {
    /// The table of countries that is built in.
    pub fn built_in() -> Self {
        country::built_in()
    }

    /// Nobody is anywhere.
    pub fn nothing() -> Self {
        Self {
            map: Arc::new(Map::of_networks(&[], 0)),
            whereabouts: Arc::new([Whereabouts::default()]),
            source: Arc::from("nothing"),
            stamp: None,
            asns: None,
        }
    }

    /// The same with the autonomous systems of an MMDB file.
    ///
    /// # Errors
    /// The reason in words.
    pub fn with_asns(self, path: &Path) -> Result<Self, String> {
        let (stamp, file, name) = read(path)?;
        let (map, source) = mmdb::asns(&file, &name).map_err(|fault| fault.to_string())?;
        let asns = Asns {
            map: Arc::new(map),
            source,
            stamp,
        };
        Ok(Self {
            asns: Some(asns),
            ..self
        })
    }

    /// The autonomous system of an address, and how many of its leading bits say so.
    pub fn asn(&self, address: IpAddr) -> Option<(u32, u8)> {
        let found = self.asns.as_ref()?.map.find(Client::from(address));
        Some((found.value, found.scope))
    }

    /// What an MMDB file says; people are told that its `name` says so.
    ///
    /// # Errors
    /// When the file is damaged, of another kind, or says of nobody where they are.
    pub fn from_mmdb(file: &[u8], name: &str) -> Result<Self, Fault> {
        mmdb::compile(file, name)
    }

    /// The same from a path.
    ///
    /// # Errors
    /// The reason in words.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let (stamp, file, name) = read(path)?;
        let located = Self::from_mmdb(&file, &name).map_err(|fault| fault.to_string())?;
        Ok(Self {
            stamp: Some(stamp),
            ..located
        })
    }

    /// Where an address is, and how many of its leading bits say so.
    pub fn find(&self, address: IpAddr) -> (Whereabouts, u8) {
        let found = self.map.find(Client::from(address));
        let there = self.whereabouts.get(found.value as usize).copied();
        (there.unwrap_or_default(), found.scope)
    }
}

/// A file: as it is, what is in it, what people call it.
fn read(path: &Path) -> Result<(Stamp, Vec<u8>, String), String> {
    let unreadable = |error| format!("it cannot be read: {error}");
    // Before the file: what changes meanwhile is seen as a change.
    let stamp = Stamp::of(path).map_err(unreadable)?;
    let file = std::fs::read(path).map_err(unreadable)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok((stamp, file, name.to_string_lossy().into_owned()))
}
