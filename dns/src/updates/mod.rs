//! Zones that clients change (RFC 2136): what they asked for, on top of what the files say.
//!
//! The [`Delta`] of a zone is all that updates did to it. It is kept in a journal in the state folder,
//! read again at a start, and laid over the zone whenever its file is loaded: what updates added is
//! there, what they removed is not, everything else is the file's. The control task owns it all.

mod current;
pub(crate) mod delta;
pub(crate) mod journal;
pub(crate) mod message;
mod prepare;
pub(crate) mod process;
mod reading;

use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use current::Current;
pub(crate) use delta::{Base, Delta};
pub(crate) use prepare::{lay_over, prepare};
pub use reading::read_update;

use crate::name::Name;

/// A zone that may be updated, as a configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) id: String,
    pub(crate) origin: Name,
    /// Its records without any update; nothing when they are what they were.
    pub(crate) base: Option<Base>,
    /// Base and delta together, as it is compiled, but for the serial; nothing when it is what it was.
    pub(crate) current: Option<Current>,
    /// Where its journal is.
    pub(crate) file: PathBuf,
    /// What was laid over it when it was prepared.
    pub(crate) delta: Arc<Delta>,
}

/// A zone that may be updated, as it is served.
#[derive(Debug, Clone)]
pub(crate) struct Updated {
    pub(crate) origin: Name,
    pub(crate) base: Base,
    pub(crate) delta: Arc<Delta>,
    pub(crate) file: PathBuf,
    /// Base and delta together.
    pub(crate) current: Current,
    /// What [`Current`] is the records of, by [`ServedZone::content`](crate::zone::ServedZone::content).
    pub(crate) content: u64,
}
