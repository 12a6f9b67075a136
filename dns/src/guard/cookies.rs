//! Server cookies (RFC 9018): proof that a client receives what is sent to its address.
//!
//! Made and checked by the answer path. Own secrets change every day without anybody keeping
//! count: each day's follows from one random key, and a cookie says when it was made.
//! Cost: one hash to check, one to make, two more for a day's secret; no allocation, no lock.

use std::net::IpAddr;

use conf::Cookies;

use super::siphash::siphash24;
use crate::wire::{CLIENT_COOKIE, Cookie, SERVER_COOKIE};

/// Seconds an own secret makes cookies (RFC 7873 section 7.1 asks for a day or so, 36 at most).
const DAY: u32 = 86_400;
/// Seconds a cookie is believed, and how far its time may lie ahead (RFC 9018 section 4.3).
const OLDEST: i32 = 3600;
const AHEAD: i32 = 300;
/// Seconds after which a client gets a new one (same place).
const RENEW: i32 = 1800;
/// Version 1 and three reserved bytes.
const VERSION: [u8; 4] = [1, 0, 0, 0];

/// Secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// Cookies are off.
    None,
    /// A day's secret is made from this.
    Own([u8; 16]),
    /// Known to other servers too.
    Shared(Vec<[u8; 16]>),
}

/// Secrets are not shown.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Those of a configuration; own ones go on from `previous`.
    pub(super) fn new(cookies: &Cookies, previous: Option<&Self>) -> Self {
        match (cookies, previous) {
            (Cookies::Off, _) => Self::None,
            (Cookies::Shared(secrets), _) => Self::Shared(secrets.clone()),
            (Cookies::Own, Some(Self::Own(key))) => Self::Own(*key),
            (Cookies::Own, _) => Self::Own(rand::random()),
        }
    }

    /// True when cookies are sent.
    pub(crate) fn is_on(&self) -> bool {
        *self != Self::None
    }

    /// True when `cookie` holds a server cookie that was made here for this client.
    pub(crate) fn believes(&self, cookie: &Cookie, source: IpAddr, now: u32) -> bool {
        let Some(server) = cookie.server() else {
            return false;
        };
        let (head, _) = server.split_at(8);
        let Some((version, time)) = head.split_first_chunk::<4>() else {
            return false;
        };
        let Some(time) = time.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)) else {
            return false;
        };
        // Serial number arithmetic (RFC 1982): it wraps in 2106.
        let age = now.wrapping_sub(time) as i32;
        if *version != VERSION || !(-AHEAD..=OLDEST).contains(&age) {
            return false;
        }
        let of = |secret: &[u8; 16]| make(secret, cookie.client, time, source) == *server;
        match self {
            Self::None => false,
            Self::Own(key) => of(&of_day(key, time)),
            Self::Shared(secrets) => secrets.iter().any(of),
        }
    }

    /// The whole option's data for a client; one that was believed and is not old is kept.
    pub(crate) fn answer(
        &self,
        cookie: &Cookie,
        believed: bool,
        source: IpAddr,
        now: u32,
    ) -> [u8; CLIENT_COOKIE + SERVER_COOKIE] {
        let kept = cookie.server().filter(|server| {
            let time = server.get(4..8).and_then(|time| time.first_chunk::<4>());
            let age = time.map(|time| now.wrapping_sub(u32::from_be_bytes(*time)) as i32);
            believed && age.is_some_and(|age| age < RENEW)
        });
        let server = match (kept, self) {
            (Some(server), _) => *server,
            (None, Self::Own(key)) => make(&of_day(key, now), cookie.client, now, source),
            (None, Self::Shared(secrets)) => match secrets.first() {
                Some(secret) => make(secret, cookie.client, now, source),
                None => [0; SERVER_COOKIE],
            },
            (None, Self::None) => [0; SERVER_COOKIE],
        };
        let mut data = [0; CLIENT_COOKIE + SERVER_COOKIE];
        let (client_part, server_part) = data.split_at_mut(CLIENT_COOKIE);
        client_part.copy_from_slice(&cookie.client);
        server_part.copy_from_slice(&server);
        data
    }
}

/// The secret of the day that `time` lies in.
fn of_day(key: &[u8; 16], time: u32) -> [u8; 16] {
    let day = (time / DAY).to_be_bytes();
    let [a, b, c, d] = day;
    let halves = [0, 1].map(|half| siphash24(key, &[a, b, c, d, half]));
    let [high, low] = halves.map(u128::from);
    (high << 64 | low).to_be_bytes()
}

/// A server cookie (RFC 9018 section 4).
fn make(
    secret: &[u8; 16],
    client: [u8; CLIENT_COOKIE],
    time: u32,
    source: IpAddr,
) -> [u8; SERVER_COOKIE] {
    let mut data = [0; 32];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = data.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, &client);
    put(8, &VERSION);
    put(12, &time.to_be_bytes());
    let len = match source.to_canonical() {
        IpAddr::V4(v4) => {
            put(16, &v4.octets());
            20
        }
        IpAddr::V6(v6) => {
            put(16, &v6.octets());
            32
        }
    };
    let hash = siphash24(secret, data.get(..len).unwrap_or_default());
    let mut cookie = [0; SERVER_COOKIE];
    for (place, byte) in cookie.iter_mut().zip(
        VERSION
            .into_iter()
            .chain(time.to_be_bytes())
            .chain(hash.to_le_bytes()),
    ) {
        *place = byte;
    }
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: [u8; 8] = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
    const TIME: u32 = 1_559_731_985;

    fn secret(hex: &str) -> [u8; 16] {
        u128::from_str_radix(hex, 16).unwrap().to_be_bytes()
    }

    /// RFC 9018 appendix A.1.
    #[test]
    fn cookies_are_those_of_the_rfc() {
        let source = "198.51.100.100".parse().unwrap();
        let secret = secret("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let cookie = make(&secret, CLIENT, TIME, source);
        let hex = u128::from_be_bytes(cookie);
        assert_eq!(hex, 0x0100_0000_5cf7_9f11_1f81_30c3_eee2_9480);
    }

    #[test]
    fn only_cookies_made_here_for_this_client_are_believed() {
        let source: IpAddr = "2001:db8::1".parse().unwrap();
        let other: IpAddr = "2001:db8::2".parse().unwrap();
        let own = Secrets::new(&Cookies::Own, None);
        let stranger = Secrets::new(&Cookies::Own, None);
        let first = Cookie::read(&CLIENT).unwrap();
        assert!(!own.believes(&first, source, TIME));
        let given = Cookie::read(&own.answer(&first, false, source, TIME)).unwrap();
        assert!(own.believes(&given, source, TIME));
        // Over midnight, when the secret changes.
        assert!(own.believes(&given, source, TIME + 3600));
        assert!(own.believes(&given, source, TIME - 300));
        assert!(!own.believes(&given, source, TIME + 3601));
        assert!(!own.believes(&given, source, TIME - 301));
        assert!(!own.believes(&given, other, TIME));
        assert!(!stranger.believes(&given, source, TIME));
        let mut forged = own.answer(&first, false, source, TIME);
        forged[23] ^= 1;
        assert!(!own.believes(&Cookie::read(&forged).unwrap(), source, TIME));
        let kept = own.answer(&given, true, source, TIME + 1799);
        assert_eq!(Cookie::read(&kept), Some(given));
        let renewed = own.answer(&given, true, source, TIME + 1800);
        assert_ne!(Cookie::read(&renewed), Some(given));
        assert!(own.believes(&Cookie::read(&renewed).unwrap(), source, TIME + 5000));
    }

    #[test]
    fn shared_secrets_are_rolled_without_a_gap() {
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let (old, new) = ([1; 16], [2; 16]);
        let shared = |secrets: &[[u8; 16]]| Secrets::new(&Cookies::Shared(secrets.into()), None);
        let first = Cookie::read(&CLIENT).unwrap();
        let given = shared(&[old]).answer(&first, false, source, TIME);
        let given = Cookie::read(&given).unwrap();
        assert!(shared(&[new, old]).believes(&given, source, TIME));
        assert!(!shared(&[new]).believes(&given, source, TIME));
    }

    #[test]
    fn own_secrets_survive_a_reload() {
        let own = Secrets::new(&Cookies::Own, None);
        assert_eq!(Secrets::new(&Cookies::Own, Some(&own)), own);
        assert!(!Secrets::new(&Cookies::Off, Some(&own)).is_on());
    }
}
