//! The keys of the whole process: own ones that change every 12 hours and are kept in the state
//! directory, or those of a file that others share.
//!
//! Made when the first configuration with TLS is prepared, and taken over by later ones. The control
//! task calls [`TicketKeys::refresh`] every second; handshakes take what is there by one atomic load.
//! Where the state directory cannot be written the keys live in memory, and a warning says so.
//!
//! # Own keys
//! The newest seals. A key opens for one more lifetime of tickets, then it is forgotten. The file
//! has a line for each: seconds since 1970, and the secret in hexadecimal digits. A process that
//! takes over from this one reads the same file, so both go on with the same keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use conf::{FileStamp, TICKET_SECRET_BYTES, TicketSecret, read_ticket_secrets};

use super::LIFETIME;
use super::key::TicketKey;

/// Seconds after which another key seals.
const ROTATION: u64 = 12 * 60 * 60;
/// Seconds after which an own key is forgotten.
const KEPT: u64 = ROTATION + LIFETIME as u64;
/// Its file within the state directory.
const FILE: &str = "session-tickets.keys";
/// More than such a file can have: three lines at most.
const MAX_FILE: u64 = 64 * 1024;

/// Where the keys are from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// This process makes them and keeps them in a file.
    Own(PathBuf),
    /// Somebody else makes them.
    Given(PathBuf),
}

/// The keys as they are now.
#[derive(Debug)]
pub(super) struct Ring {
    /// The one that seals first.
    keys: Vec<Arc<TicketKey>>,
    seen: FileStamp,
    /// What was wrong with the file when it was last looked at.
    refused: Option<Arc<str>>,
}

impl Ring {
    /// The key that seals.
    pub(super) fn sealing(&self) -> Option<&TicketKey> {
        self.keys.first().map(AsRef::as_ref)
    }

    /// The key that sealed `ticket`.
    pub(super) fn of(&self, ticket: &[u8]) -> Option<&TicketKey> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.is_of(ticket)).map(AsRef::as_ref)
    }
}

/// The keys of all listeners.
#[derive(Debug)]
pub(crate) struct TicketKeys {
    source: Source,
    current: ArcSwap<Ring>,
}

impl TicketKeys {
    /// The keys that `config` asks for; `before` when these are the same. `now` in seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with the file of somebody else.
    pub(crate) fn of(
        config: &conf::Config,
        before: Option<Arc<Self>>,
        now: u64,
    ) -> Result<Arc<Self>, String> {
        let source = match &config.runtime.ticket_key_file {
            Some(file) => Source::Given(file.value.clone()),
            None => Source::Own(config.state_dir.join(FILE)),
        };
        if let Some(before) = before.filter(|before| before.source == source) {
            return Ok(before);
        }
        let ring = match &source {
            Source::Given(file) => given(file).map_err(|(what, _)| what)?,
            Source::Own(_) => Ring {
                keys: Vec::new(),
                seen: FileStamp::default(),
                refused: None,
            },
        };
        let made = Self {
            source,
            current: ArcSwap::from_pointee(ring),
        };
        made.refresh(now);
        Ok(Arc::new(made))
    }

    /// What is there now.
    pub(super) fn current(&self) -> arc_swap::Guard<Arc<Ring>> {
        self.current.load()
    }

    /// What is wrong with the file, for people.
    pub(crate) fn refused(&self) -> Option<Arc<str>> {
        self.current.load().refused.clone()
    }

    /// Looks at the file, and whether it is time for another key. Called by one task.
    pub(crate) fn refresh(&self, now: u64) {
        let next = match &self.source {
            Source::Given(file) => self.read_given(file),
            Source::Own(file) => self.turn(file, now),
        };
        if let Some(ring) = next {
            self.current.store(Arc::new(ring));
        }
    }

    /// The shared file's keys, when it is another than before.
    fn read_given(&self, file: &Path) -> Option<Ring> {
        let current = self.current.load();
        let seen = FileStamp::of(file);
        if seen == current.seen {
            return None;
        }
        match given(file) {
            Ok(ring) => {
                tracing::info!(file = %file.display(), "keys of session tickets read again");
                Some(ring)
            }
            Err((error, help)) => {
                tracing::warn!(%error, help, "changed keys of session tickets refused; those before go on being used");
                let told = format!("changed keys of session tickets were refused: {error}");
                Some(Ring {
                    keys: current.keys.clone(),
                    seen,
                    refused: Some(told.into()),
                })
            }
        }
    }

    /// Own keys at `now`, when something about them is to change.
    fn turn(&self, file: &Path, now: u64) -> Option<Ring> {
        let current = self.current.load();
        let mut keys = current.keys.clone();
        let mut seen = FileStamp::of(file);
        if seen != current.seen {
            let known = |key: &TicketKey| keys.iter().any(|known| known.secret == key.secret);
            let more: Vec<_> = kept(file).into_iter().filter(|key| !known(key)).collect();
            keys.extend(more.into_iter().map(Arc::new));
        }
        keys.retain(|key| now.saturating_sub(key.made) < KEPT);
        keys.sort_by_key(|key| std::cmp::Reverse(key.made));
        let newest = keys.first().map(|key| key.made);
        if newest.is_none_or(|made| now.saturating_sub(made) >= ROTATION) {
            keys.insert(0, Arc::new(TicketKey::generate(now)?));
            if let Err(error) = keep(file, &keys) {
                tracing::warn!(file = %file.display(), %error, "keys of session tickets are not kept: sessions end with this process");
            }
            seen = FileStamp::of(file);
        } else if seen == current.seen && keys.len() == current.keys.len() {
            return None;
        }
        Some(Ring {
            keys,
            seen,
            refused: None,
        })
    }
}

/// The keys of a file that others share.
fn given(file: &Path) -> Result<Ring, (String, &'static str)> {
    // Before it is read: what changes in between is read again.
    let seen = FileStamp::of(file);
    let keys = read_ticket_secrets(file)?.into_iter();
    let keys = keys.filter_map(|secret| TicketKey::new(0, secret));
    Ok(Ring {
        keys: keys.map(Arc::new).collect(),
        seen,
        refused: None,
    })
}

/// The keys that a process before this one kept. A file that cannot be read is none: its sessions
/// are not resumed, which costs clients a handshake each.
fn kept(file: &Path) -> Vec<TicketKey> {
    let bytes = match healthcheck::read_state(file, MAX_FILE) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "kept keys of session tickets cannot be read");
            return Vec::new();
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let keys: Vec<_> = text.lines().filter_map(line).collect();
    if keys.len() < text.lines().count() {
        tracing::warn!(file = %file.display(), "kept keys of session tickets are damaged: some are left out");
    }
    keys
}

fn line(line: &str) -> Option<TicketKey> {
    let (made, digits) = line.split_once(' ')?;
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut secret = [0; TICKET_SECRET_BYTES];
    if pairs.len() != secret.len() {
        return None;
    }
    for (byte, pair) in secret.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    TicketKey::new(made.parse().ok()?, TicketSecret(secret))
}

fn keep(file: &Path, keys: &[Arc<TicketKey>]) -> std::io::Result<()> {
    let mut text = String::new();
    for key in keys {
        let digits = key.secret.0.map(|byte| format!("{byte:02x}")).concat();
        text += &format!("{} {digits}\n", key.made);
    }
    healthcheck::replace_state(file, text.as_bytes())
}
