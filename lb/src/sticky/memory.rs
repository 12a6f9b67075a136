//! What a worker remembers of the cookies it wrote and read lately.
//!
//! One for each worker, asked by `Sticky`. A cookie says when it expires by the second, and nothing of
//! its client: so the clients that a target answers within a second get the same one, and what they
//! bring back is opened once. Never says anything that writing or opening anew would not; what does
//! not open is not remembered. A fixed number of places, each for what came last.
//!
//! Cost: a cookie that is remembered, a comparison; one that is not, what it costs without a memory.

use std::cell::RefCell;
use std::net::IpAddr;

use conf::Address;

use super::keys::KeyRing;
use super::set_cookie::SetCookies;
use super::token::{self, Fault, Token};

/// Places for each of both: targets, and cookies of clients that are active.
const PLACES: usize = 64;

/// A worker's memory; without stickiness it has no room.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    written: RefCell<Vec<Option<Written>>>,
    opened: RefCell<Vec<Option<Opened>>>,
}

/// An answer, and the lines it was given.
type Written = (Answer, SetCookies);

/// The value of a cookie, and what it says.
type Opened = (Vec<u8>, Token);

/// Everything that decides what an answer's cookies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// The number of the stickiness.
    pub(super) sticky: u64,
    /// The place of the route.
    pub(super) route: usize,
    pub(super) target: Address,
    pub(super) is_secure: bool,
    /// The client has no session yet.
    pub(super) begins: bool,
    /// When, in seconds since 1970.
    pub(super) second: u64,
}

impl Answer {
    /// Its place; the second has no part in it.
    fn place(&self) -> usize {
        let address = match self.target {
            Address::Ip(address) => {
                let ip = match address.ip() {
                    IpAddr::V4(ip) => u64::from(u32::from(ip)),
                    IpAddr::V6(ip) => u128::from(ip) as u64,
                };
                ip ^ u64::from(address.port()) << 32
            }
            Address::Unix(name) => {
                let bytes = name.as_str().bytes();
                bytes.fold(0u64, |all, byte| all.rotate_left(7) ^ u64::from(byte))
            }
        };
        let route = self.sticky << 8 | self.route as u64;
        place_of(address ^ route << 16)
    }
}

impl Memory {
    /// The lines for an answer; `write` makes them when they are not remembered.
    pub(super) fn answer(
        &self,
        answer: Answer,
        out: &mut SetCookies,
        write: impl FnOnce(&mut SetCookies),
    ) {
        let mut written = self.written.borrow_mut();
        written.resize_with(PLACES, || None);
        match written.get_mut(answer.place()) {
            Some(Some((known, cookies))) => {
                if *known != answer {
                    cookies.clear();
                    write(cookies);
                    *known = answer;
                }
                out.copy(cookies);
            }
            Some(empty) => {
                write(out);
                *empty = Some((answer, out.clone()));
            }
            None => write(out),
        }
    }

    /// What the value of a cookie says.
    pub(super) fn open(&self, value: &[u8], ring: &KeyRing) -> Result<Token, Fault> {
        // The end of a good one is as good as random.
        let Some(end) = value.last_chunk() else {
            return Err(Fault::Forged);
        };
        let mut opened = self.opened.borrow_mut();
        opened.resize_with(PLACES, || None);
        let Some(place) = opened.get_mut(place_of(u64::from_le_bytes(*end))) else {
            return token::open(value, ring);
        };
        if let Some((known, token)) = place
            && known == value
        {
            return Ok(*token);
        }
        let token = token::open(value, ring)?;
        match place {
            Some((known, said)) => {
                known.clear();
                known.extend_from_slice(value);
                *said = token;
            }
            None => *place = Some((value.to_vec(), token)),
        }
        Ok(token)
    }
}

/// Spreads what differs in any bit (Fibonacci hashing).
fn place_of(word: u64) -> usize {
    const SHIFT: u32 = 64 - PLACES.ilog2();
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::sticky::token::{Owner, Place};

    #[test]
    fn answers_of_one_target_and_second_are_written_once() {
        let memory = Memory::default();
        let base = Answer {
            sticky: 1,
            route: 0,
            target: "192.0.2.1:80".parse().unwrap(),
            is_secure: false,
            begins: true,
            second: 1_700_000_000,
        };
        let count = Cell::new(0);
        let lines = |answer: Answer| {
            let mut out = SetCookies::default();
            memory.answer(answer, &mut out, |out| {
                count.set(count.get() + 1);
                out.add_plain(&format!("a={}", count.get()));
            });
            out.text().to_owned()
        };
        let first = lines(base);
        assert_eq!((lines(base), lines(base)), (first.clone(), first.clone()));
        let others = [
            Answer { sticky: 2, ..base },
            Answer { route: 1, ..base },
            Answer {
                target: "192.0.2.1:81".parse().unwrap(),
                ..base
            },
            Answer {
                target: "[2001:db8::1]:80".parse().unwrap(),
                ..base
            },
            Answer {
                target: "unix:/run/app.sock".parse().unwrap(),
                ..base
            },
            Answer {
                is_secure: true,
                ..base
            },
            Answer {
                begins: false,
                ..base
            },
            Answer {
                second: base.second + 1,
                ..base
            },
        ];
        for other in others {
            let before = count.get();
            assert_ne!(lines(other), first);
            assert_eq!(count.get(), before + 1, "{other:?}");
        }
        assert_ne!(lines(base), first, "the next second took its place");
    }

    #[test]
    fn cookies_are_opened_once_and_say_the_same() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let name = format!("pointsman-memory-{}", std::process::id());
        let (folder, other) = (std::env::temp_dir().join(&name), name + "-other");
        let other = std::env::temp_dir().join(other);
        let (ring, stranger) = (KeyRing::open(&folder, now), KeyRing::open(&other, now));
        let memory = Memory::default();
        let owner = Owner::new("target-group", "app");
        for number in 0..1000u16 {
            let place = Place::Target(Address::Ip(([192, 0, 2, 1], number).into()));
            let mut value = Vec::new();
            token::write(&mut value, &ring, owner, now, place).unwrap();
            assert_eq!(memory.open(&value, &stranger), Err(Fault::Forged));
            for _ in 0..2 {
                let token = memory.open(&value, &ring).unwrap();
                assert_eq!(token.check(owner, now - Duration::from_secs(1)), Ok(place));
                assert_eq!(token.check(owner, now), Err(Fault::Expired));
            }
            // Known now, so that no key is asked.
            assert!(memory.open(&value, &stranger).is_ok());
            value[10] ^= 1;
            assert_eq!(memory.open(&value, &ring), Err(Fault::Forged));
        }
        assert_eq!(memory.open(b"short", &ring), Err(Fault::Forged));
        for folder in [folder, other] {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}
