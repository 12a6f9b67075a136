//! [`Address`]: where a target is or a listener accepts, over IP or at a Unix socket.
//!
//! The planes copy addresses about freely, hash and compare them, so a Unix socket's name is kept
//! once for the life of the process and an address holds a reference to it: no larger than that of
//! IPv6, and `Copy`. Never opens anything, and never tells whether somebody listens.
//!
//! Cost: reading the text of a Unix socket takes a lock and, the first time, an allocation; neither
//! is done for IP addresses, nor anywhere on a request's way.
#![expect(
    clippy::disallowed_types,
    reason = "names of sockets are read where configurations, commands and cookies are"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the text of a Unix socket begins with.
const PREFIX: &str = "unix:";

/// Bytes of `sun_path`, less the zero that ends a path and begins an abstract name (unix(7)).
pub const MAX_UNIX_NAME: usize = 107;

/// Names a process keeps; some 10 MB of them. More have been made up, one after the other.
const MAX_NAMES: usize = 65_536;

/// Every name that was read, kept for good.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Where a stream socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// `127.0.0.1:3001`, `[::1]:3001`.
    Ip(SocketAddr),
    /// `unix:/run/app.sock`, `unix:@app`.
    Unix(UnixName),
}

/// The name of a Unix socket: a path, or with `@` an abstract name (unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixName(&'static str);

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not `ip:port`, and nothing that begins with `unix:`.
    #[error("it is not `ip:port` and not `unix:/path`")]
    Malformed,
    /// `unix:` and a path that depends on where the process was started.
    #[error("the path of a Unix socket begins with `/`, and an abstract name with `@`")]
    Relative,
    /// More than [`MAX_UNIX_NAME`] bytes.
    #[error("the name of a Unix socket has at most {MAX_UNIX_NAME} bytes")]
    Long,
    /// A control character, a blank, a quote or a backslash.
    #[error(
        "the name of a Unix socket has no blanks, quotes, backslashes and control characters here"
    )]
    Character,
    /// Ends in `/`.
    #[error("that is a directory, not a socket")]
    Directory,
    /// This process has read too many names.
    #[error("this process has seen {MAX_NAMES} names of Unix sockets; restart it")]
    TooMany,
}

impl UnixName {
    /// Reads `/path` or `@name`.
    ///
    /// # Errors
    /// [`BadAddress`], in words for people.
    pub fn new(text: &str) -> Result<Self, BadAddress> {
        check(text)?;
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(text) {
            return Ok(Self(known));
        }
        if names.len() >= MAX_NAMES {
            return Err(BadAddress::TooMany);
        }
        let kept: &'static str = Box::leak(text.into());
        names.insert(kept);
        Ok(Self(kept))
    }

    /// The name, if this process has read it before: others are nobody's target.
    pub fn known(text: &str) -> Option<Self> {
        let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(text).copied().map(Self)
    }

    /// `/path` or `@name`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The name after `@`, of an abstract one.
    pub fn abstract_name(self) -> Option<&'static str> {
        self.0.strip_prefix('@')
    }

    /// The path, of one that has a file.
    pub fn path(self) -> Option<&'static std::path::Path> {
        let has_file = !self.0.starts_with('@');
        has_file.then(|| std::path::Path::new(self.0))
    }

    /// For the system's calls.
    ///
    /// # Errors
    /// None in practice: names are checked when they are read.
    pub fn socket_addr(self) -> std::io::Result<std::os::unix::net::SocketAddr> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        match self.abstract_name() {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(self.0),
        }
    }
}

fn check(text: &str) -> Result<(), BadAddress> {
    if !text.starts_with(['/', '@']) || text.len() < 2 {
        return Err(BadAddress::Relative);
    }
    if text.len() > MAX_UNIX_NAME {
        return Err(BadAddress::Long);
    }
    // It stands in logs, whose readers take it as it is.
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\\');
    if text.chars().any(odd) {
        return Err(BadAddress::Character);
    }
    match text.starts_with('/') && text.ends_with('/') {
        true => Err(BadAddress::Directory),
        false => Ok(()),
    }
}

impl Address {
    /// True when the text can only be meant as a Unix socket's.
    pub fn is_unix_text(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads an address that is to be one of those this process knows already.
    pub fn parse_known(text: &str) -> Option<Self> {
        match text.strip_prefix(PREFIX) {
            Some(name) => UnixName::known(name).map(Self::Unix),
            None => text.parse().ok().map(Self::Ip),
        }
    }

    /// The address over IP; `None` for a Unix socket.
    pub fn socket_addr(self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(address),
            Self::Unix(_) => None,
        }
    }

    /// The Unix socket's name; `None` over IP.
    pub fn unix(self) -> Option<UnixName> {
        match self {
            Self::Unix(name) => Some(name),
            Self::Ip(_) => None,
        }
    }

    /// The IP address; `None` for a Unix socket.
    pub fn ip(self) -> Option<IpAddr> {
        self.socket_addr().map(|address| address.ip())
    }

    /// The port; `None` for a Unix socket.
    pub fn port(self) -> Option<u16> {
        self.socket_addr().map(|address| address.port())
    }

    /// The same with an IPv4 address as such, not mapped into IPv6.
    #[must_use]
    pub fn to_canonical(self) -> Self {
        match self {
            Self::Ip(address) => {
                SocketAddr::new(address.ip().to_canonical(), address.port()).into()
            }
            Self::Unix(_) => self,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl PartialEq<SocketAddr> for Address {
    fn eq(&self, other: &SocketAddr) -> bool {
        self.socket_addr() == Some(*other)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text.strip_prefix(PREFIX) {
            Some(name) => UnixName::new(name).map(Self::Unix),
            None => text
                .parse()
                .map(Self::Ip)
                .map_err(|_| BadAddress::Malformed),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_and_shown_the_same() {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "unix:/run/app.sock",
            "unix:@app",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(Address::parse_known(text), Some(address));
            assert_eq!(
                serde_json::to_string(&address).unwrap(),
                format!("{text:?}")
            );
            assert_eq!(
                serde_json::from_value::<Address>(text.into()).unwrap(),
                address
            );
        }
        // Every target and every pick holds one: no larger than an address of IPv6.
        assert_eq!(size_of::<Address>(), size_of::<SocketAddr>());
    }

    #[test]
    fn what_is_no_socket_is_refused_with_its_reason() {
        let long = format!("unix:/{}", "x".repeat(MAX_UNIX_NAME));
        for (text, fault) in [
            ("", BadAddress::Malformed),
            ("localhost:80", BadAddress::Malformed),
            ("unix@/run/app.sock", BadAddress::Malformed),
            ("unix:", BadAddress::Relative),
            ("unix:@", BadAddress::Relative),
            ("unix:run/app.sock", BadAddress::Relative),
            ("unix:/run/", BadAddress::Directory),
            ("unix:/run/a b", BadAddress::Character),
            ("unix:/run/a\0", BadAddress::Character),
            ("unix:/run/a\"b", BadAddress::Character),
            ("unix:/run/a\\b", BadAddress::Character),
            (&long, BadAddress::Long),
        ] {
            assert_eq!(text.parse::<Address>(), Err(fault), "{text}");
        }
    }

    #[test]
    fn looking_a_name_up_does_not_keep_it() {
        assert_eq!(Address::parse_known("unix:/never/read"), None);
        assert_eq!(Address::parse_known("unix:/never/read"), None);
        let read: Address = "unix:/once/read".parse().unwrap();
        assert_eq!(Address::parse_known("unix:/once/read"), Some(read));
        assert_eq!(
            read.unix().unwrap().path().unwrap().to_str(),
            Some("/once/read")
        );
    }
}
