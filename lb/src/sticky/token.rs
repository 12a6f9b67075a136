//! What a stickiness cookie says, sealed: whose it is, until when it counts, and the target or group.
//!
//! Made and read by `sticky` alone. The text inside is
//! `owner (8) | expiry, seconds since 1970 (8) | place (6 or 18: IP and port; 8: a group's hash; more:
//! a Unix socket's name, filled up with zeros)`: lengths tell what it is, and the owner is a hash of what the cookie is for, so that one group's
//! cookie opens no other's session.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use conf::{Address, MAX_UNIX_NAME, UnixName};
use data_encoding::BASE64URL_NOPAD;

use super::keys::{KeyRing, NONCE, TAG, unix};

/// Bytes of the largest token before it becomes text.
const MAX_BYTES: usize = 4 + NONCE + 16 + MAX_UNIX_NAME + TAG;
/// Bytes of a Unix socket's name at least, so that it is longer than any other place.
const MIN_NAME: usize = 19;
/// Characters of the largest value.
const MAX_TEXT: usize = MAX_BYTES * 4 / 3 + 1;

/// A hash of what a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner([u8; 8]);

impl Owner {
    /// Of the words that name it.
    pub(super) fn new(kind: &str, name: &str) -> Self {
        let hash = digest(&SHA256, format!("{kind}\0{name}").as_bytes());
        let mut bytes = [0; 8];
        for (byte, of_hash) in bytes.iter_mut().zip(hash.as_ref()) {
            *byte = *of_hash;
        }
        Self(bytes)
    }
}

/// Where a cookie leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Target(Address),
    Group(Owner),
}

/// Why a cookie does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Longer than any of ours.
    Oversized,
    /// Not made by one of our keys.
    Forged,
    /// Another group's.
    Foreign,
    /// Its time has passed.
    Expired,
}

/// Writes the value of a cookie; `None` when the system gives no random bytes.
pub(super) fn write(
    out: &mut Vec<u8>,
    ring: &KeyRing,
    owner: Owner,
    until: SystemTime,
    place: Place,
) -> Option<()> {
    let mut text = Vec::with_capacity(16 + 18);
    text.extend_from_slice(&owner.0);
    text.extend_from_slice(&unix(until).to_be_bytes());
    match place {
        Place::Group(group) => text.extend_from_slice(&group.0),
        Place::Target(Address::Unix(name)) => {
            let name = name.as_str().as_bytes();
            text.extend_from_slice(name);
            text.resize(16 + name.len().max(MIN_NAME), 0);
        }
        Place::Target(Address::Ip(address)) => {
            match address.ip() {
                IpAddr::V4(ip) => text.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => text.extend_from_slice(&ip.octets()),
            }
            text.extend_from_slice(&address.port().to_be_bytes());
        }
    }
    let mut token = Vec::with_capacity(MAX_BYTES);
    ring.seal(&text, &mut token)?;
    let from = out.len();
    out.resize(from + BASE64URL_NOPAD.encode_len(token.len()), 0);
    BASE64URL_NOPAD.encode_mut(&token, out.get_mut(from..)?);
    Some(())
}

/// What a cookie of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    owner: Owner,
    /// Seconds since 1970.
    until: u64,
    place: Place,
}

impl Token {
    /// Where it leads one who looks for `owner`'s.
    pub(super) fn check(&self, owner: Owner, now: SystemTime) -> Result<Place, Fault> {
        if self.owner != owner {
            return Err(Fault::Foreign);
        }
        match self.until <= unix(now) {
            true => Err(Fault::Expired),
            false => Ok(self.place),
        }
    }
}

/// Opens the value of a cookie.
pub(super) fn open(value: &[u8], ring: &KeyRing) -> Result<Token, Fault> {
    if value.len() > MAX_TEXT {
        return Err(Fault::Oversized);
    }
    let mut bytes = [0; MAX_BYTES + 3];
    let length = BASE64URL_NOPAD.decode_len(value.len());
    let room = length.ok().and_then(|length| bytes.get_mut(..length));
    let room = room.ok_or(Fault::Forged)?;
    let length = BASE64URL_NOPAD.decode_mut(value, room);
    let length = length.map_err(|_| Fault::Forged)?;
    let sealed = bytes.get_mut(..length).ok_or(Fault::Forged)?;
    let text = ring.unseal(sealed).ok_or(Fault::Forged)?;
    let (owner, rest) = text.split_first_chunk::<8>().ok_or(Fault::Forged)?;
    let (until, rest) = rest.split_first_chunk::<8>().ok_or(Fault::Forged)?;
    Ok(Token {
        owner: Owner(*owner),
        until: u64::from_be_bytes(*until),
        place: place(rest).ok_or(Fault::Forged)?,
    })
}

fn place(bytes: &[u8]) -> Option<Place> {
    if let Ok(group) = <[u8; 8]>::try_from(bytes) {
        return Some(Place::Group(Owner(group)));
    }
    if bytes.len() >= MIN_NAME {
        let end = bytes.iter().position(|byte| *byte == 0);
        let name = std::str::from_utf8(bytes.get(..end.unwrap_or(bytes.len()))?).ok()?;
        // One that is nobody's target in this process is no reason to keep its name.
        return UnixName::known(name).map(|name| Place::Target(Address::Unix(name)));
    }
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip: IpAddr = match ip.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?).into(),
    };
    let port = u16::from_be_bytes(*port);
    Some(Place::Target(SocketAddr::new(ip, port).into()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn tokens_are_read_by_their_owner_until_they_expire() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let folder = std::env::temp_dir().join(format!("pointsman-token-{}", std::process::id()));
        let ring = KeyRing::open(&folder, now);
        let (mine, other) = (Owner::new("target", "app"), Owner::new("target", "api"));
        let places = [
            Place::Target("192.0.2.1:80".parse().unwrap()),
            Place::Target("[2001:db8::1]:443".parse().unwrap()),
            Place::Target("unix:/a".parse().unwrap()),
            Place::Target(
                format!("unix:/{}", "x".repeat(MAX_UNIX_NAME - 1))
                    .parse()
                    .unwrap(),
            ),
            Place::Group(other),
        ];
        for place in places {
            let mut value = Vec::new();
            let until = now + Duration::from_secs(60);
            write(&mut value, &ring, mine, until, place).unwrap();
            assert!(value.len() <= MAX_TEXT);
            let read = |owner, at| open(&value, &ring).and_then(|token| token.check(owner, at));
            assert_eq!(read(mine, now), Ok(place));
            assert_eq!(read(other, now), Err(Fault::Foreign));
            assert_eq!(read(mine, until), Err(Fault::Expired));
        }
        let long = vec![b'A'; MAX_TEXT + 1];
        assert_eq!(open(&long, &ring), Err(Fault::Oversized));
        for value in ["", "x", "====", "not ours, is it?", &"A".repeat(MAX_TEXT)] {
            let found = open(value.as_bytes(), &ring);
            assert_eq!(found, Err(Fault::Forged), "{value}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
