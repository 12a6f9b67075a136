//! The keys that stickiness cookies are sealed with, kept in the state directory so that cookies
//! survive restarts.
//!
//! A new key each day; older ones open cookies until the last one sealed with them has expired. Made
//! and rotated by the control task, read by workers. The file is for this user only; without it, or
//! when it cannot be written, keys live as long as the process and a warning says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use data_encoding::HEXLOWER;

/// The file in the state directory.
const FILE: &str = "stickiness-keys";
/// Larger files were not written here.
const MAX_BYTES: u64 = 16 * 1024;
/// How long a key seals. Nonces are random, so that a key may seal 2^32 cookies (NIST SP 800-38D
/// section 8.3): that is 49,710 a second.
const SEALS: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest `duration` of a cookie.
const OPENS_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Keys in use at a time: one a day, and some for a clock that was set.
const MAX_KEYS: usize = 16;
/// Bytes of a nonce.
pub(super) const NONCE: usize = 12;
/// Bytes that a seal adds.
pub(super) const TAG: usize = 16;

/// All keys in use, for every worker.
#[derive(Debug)]
pub(crate) struct KeyRing {
    keys: ArcSwap<Vec<Key>>,
    file: PathBuf,
}

/// One key.
#[derive(Debug)]
struct Key {
    /// What cookies name it by.
    id: [u8; 4],
    secret: [u8; 16],
    /// Seconds since 1970.
    made: u64,
    cipher: LessSafeKey,
}

impl Key {
    fn new(id: [u8; 4], secret: [u8; 16], made: u64) -> Option<Self> {
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &secret).ok()?);
        Some(Self {
            id,
            secret,
            made,
            cipher,
        })
    }

    fn random(now: u64) -> Option<Self> {
        let (mut id, mut secret) = ([0; 4], [0; 16]);
        rand::fill(&mut id).ok()?;
        rand::fill(&mut secret).ok()?;
        Self::new(id, secret, now)
    }

    fn is_open(&self, now: u64) -> bool {
        let until = self.made.saturating_add((SEALS + OPENS_FOR).as_secs());
        now < until
    }

    fn copy(&self) -> Option<Self> {
        Self::new(self.id, self.secret, self.made)
    }
}

impl KeyRing {
    /// The keys kept in `state_dir`, with one to seal by.
    pub(crate) fn open(state_dir: &Path, now: SystemTime) -> Arc<Self> {
        let file = state_dir.join(FILE);
        let shown = file.display();
        let keys = match healthcheck::read_state(&file, MAX_BYTES) {
            Ok(None) => Vec::new(),
            Ok(Some(bytes)) => from_bytes(&bytes).unwrap_or_else(|| {
                tracing::warn!(file = %shown, "keys of stickiness cookies are damaged: clients get new targets once");
                Vec::new()
            }),
            Err(error) => {
                tracing::warn!(file = %shown, %error, "keys of stickiness cookies cannot be read: clients get new targets once");
                Vec::new()
            }
        };
        let ring = Self {
            keys: ArcSwap::from_pointee(keys),
            file,
        };
        ring.rotate(now);
        Arc::new(ring)
    }

    /// Makes a new key when the newest is a day old, and forgets those that no cookie needs.
    pub(crate) fn rotate(&self, now: SystemTime) {
        let now = unix(now);
        let keys = self.keys.load();
        let seals = |key: &Key| key.made <= now && now - key.made < SEALS.as_secs();
        if keys.last().is_some_and(seals) {
            return;
        }
        let old = keys.iter().filter(|key| key.is_open(now));
        let mut next: Vec<Key> = old.filter_map(Key::copy).collect();
        // Random bytes fail only when the system gives none; the old key goes on then.
        let Some(key) = Key::random(now) else {
            return;
        };
        next.push(key);
        let surplus = next.len().saturating_sub(MAX_KEYS);
        next.drain(..surplus);
        if let Err(error) = healthcheck::replace_state(&self.file, &to_bytes(&next)) {
            let file = self.file.display();
            tracing::warn!(%file, %error, "keys of stickiness cookies cannot be saved: a restart will give clients new targets");
        }
        self.keys.store(Arc::new(next));
    }

    /// Seals `text` with the newest key: its id, a nonce, and the sealed text go to `out`.
    pub(super) fn seal(&self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let keys = self.keys.load();
        let key = keys.last()?;
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).ok()?;
        out.extend_from_slice(&key.id);
        out.extend_from_slice(&nonce);
        let from = out.len();
        out.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = out.get_mut(from..)?;
        let tag = key
            .cipher
            .seal_in_place_separate_tag(nonce, Aad::empty(), sealed);
        out.extend_from_slice(tag.ok()?.as_ref());
        Some(())
    }

    /// Opens in place what [`KeyRing::seal`] gave; `None` when no key of ours made it.
    pub(super) fn unseal<'b>(&self, bytes: &'b mut [u8]) -> Option<&'b [u8]> {
        let (id, rest) = bytes.split_first_chunk_mut::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE>()?;
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.id == *id)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.cipher.open_in_place(nonce, Aad::empty(), sealed);
        opened.ok().map(|text| &*text)
    }
}

pub(super) fn unix(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}

/// A line for each key: id, when it was made, the secret.
fn to_bytes(keys: &[Key]) -> Vec<u8> {
    let line = |key: &Key| {
        let (id, secret) = (HEXLOWER.encode(&key.id), HEXLOWER.encode(&key.secret));
        format!("{id} {} {secret}\n", key.made)
    };
    keys.iter().map(line).collect::<String>().into_bytes()
}

/// `None` when some line is not one of ours.
fn from_bytes(bytes: &[u8]) -> Option<Vec<Key>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let key = |line: &str| {
        let mut words = line.split(' ');
        let id = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
        let made = words.next()?.parse().ok()?;
        let secret = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
        Key::new(id.try_into().ok()?, secret.try_into().ok()?, made)
    };
    let keys: Option<Vec<Key>> = text.lines().map(key).collect();
    keys.filter(|keys| keys.len() <= MAX_KEYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let name = format!("pointsman-keys-{name}-{}", std::process::id());
        std::env::temp_dir().join(name)
    }

    fn day(n: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000) + SEALS * u32::try_from(n).unwrap()
    }

    fn sealed(ring: &KeyRing) -> Vec<u8> {
        let mut out = Vec::new();
        ring.seal(b"text", &mut out).unwrap();
        out
    }

    #[test]
    fn keys_survive_a_restart_and_open_as_long_as_cookies_last() {
        let folder = folder("rotation");
        let first = sealed(&KeyRing::open(&folder, day(0)));
        // Another process, a restart later.
        let ring = KeyRing::open(&folder, day(0));
        assert_eq!(ring.unseal(&mut first.clone()), Some(&b"text"[..]));
        for n in 1..=7 {
            ring.rotate(day(n));
            ring.rotate(day(n));
            assert!(ring.unseal(&mut first.clone()).is_some(), "day {n}");
            assert_ne!(sealed(&ring)[..4], first[..4]);
        }
        assert_eq!(ring.keys.load().len(), 8, "one a day");
        let ring = KeyRing::open(&folder, day(8));
        assert!(ring.unseal(&mut first.clone()).is_none());
        assert_eq!(ring.keys.load().len(), 8);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let folder = folder("changed");
        let ring = KeyRing::open(&folder, day(0));
        let good = sealed(&ring);
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert!(ring.unseal(&mut bad).is_none(), "byte {place}");
            assert!(ring.unseal(&mut good[..place].to_vec()).is_none());
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn damaged_files_give_new_keys() {
        let folder = folder("damaged");
        let first = sealed(&KeyRing::open(&folder, day(0)));
        std::fs::write(folder.join(FILE), b"not keys\n").unwrap();
        let ring = KeyRing::open(&folder, day(0));
        assert!(ring.unseal(&mut first.clone()).is_none());
        let again = sealed(&ring);
        assert!(
            KeyRing::open(&folder, day(0))
                .unseal(&mut again.clone())
                .is_some()
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
