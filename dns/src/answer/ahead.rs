//! The queries of a batch, looked at before their turn.
//!
//! Filled by [`Answerer::foresee`](super::Answerer::foresee) once per batch, on the thread that
//! answers. What it finds out of a query (its name in lower case, where the question ends, the name's
//! hash) is kept for its turn. Never answers.
//! Cost: what reading the names would cost later; no allocation after the start.

use crate::wire::{LowerName, read_name};
use crate::zone::ZoneTable;

/// Queries of a batch that are looked at, at most.
const BATCH: usize = 32;

/// What is known of a query beside its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Foreseen {
    /// Bytes of the question.
    pub(super) end: usize,
    /// Its name's, for the zones that were looked into.
    pub(super) hash: u64,
}

/// A batch's names.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    names: Vec<(LowerName, Option<Foreseen>)>,
    /// How many of them are this batch's.
    seen: usize,
}

impl Ahead {
    /// Looks at a batch, which `each` shows query by query with their places, one after the other.
    pub(super) fn look(
        &mut self,
        zones: &ZoneTable,
        each: impl FnOnce(&mut dyn FnMut(usize, &[u8])),
    ) {
        self.seen = 0;
        // Those who answer one by one never get here.
        self.names.resize_with(BATCH, || (LowerName::new(), None));
        let Self { names, seen } = self;
        each(&mut |place, query| {
            let Some((name, foreseen)) = names.get_mut(place) else {
                return;
            };
            *foreseen = read_name(query, name).map(|end| Foreseen {
                end,
                hash: zones.foresee(name.wire()),
            });
            *seen = place + 1;
        });
        for (name, foreseen) in names.iter().take(*seen) {
            if let Some(Foreseen { hash, .. }) = foreseen {
                zones.foresee_node(*hash, name.wire().len());
            }
        }
    }

    /// The name of the query at `place`, if it was looked at and has one.
    pub(super) fn get(&mut self, place: usize) -> Option<(&mut LowerName, Foreseen)> {
        if place >= self.seen {
            return None;
        }
        let (name, foreseen) = self.names.get_mut(place)?;
        Some((name, (*foreseen)?))
    }
}
