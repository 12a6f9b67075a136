//! An answer written: what a decision leads to for one client.
//!
//! Called per query. Follows aliases to records, tells the witness of each choice.
//! Cost: a draw, or a hash and a logarithm for each set of a sticky record, and the copies.

use rand::rngs::SmallRng;

use super::sticky::{self, Prefix};
use super::{Choice, Decisions, Outcome, Pick, Witness, multivalue, simple, weighted};
use crate::location::{Client, Found};
use crate::wire::{Blob, Full, Response};
use crate::zone::{RoutedIdx, ZoneTable};

/// Aliases to records followed at most; the loader refuses cycles.
const MAX_ALIAS_DEPTH: usize = 16;

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    /// Whose prefix counts.
    pub(crate) client: Client,
    /// The answer may say how much of the client's address decided.
    pub(crate) scoped: bool,
    /// Seconds since 1970.
    pub(crate) now: u32,
}

/// Writes the answer of a routed record.
pub(crate) struct Writer<'w, 'b, W> {
    /// Where fixed RRsets are.
    pub(crate) zones: &'w ZoneTable,
    /// Where routed ones are.
    pub(crate) decisions: &'w Decisions,
    /// What is written to.
    pub(crate) response: &'w mut Response<'b>,
    /// Where the owner's name stands in the message.
    pub(crate) owner: usize,
    /// Who asks.
    pub(crate) asking: Asking,
    /// The source of draws.
    pub(crate) draw: &'w mut SmallRng,
    /// Who is told of each choice.
    pub(crate) witness: &'w mut W,
}

impl<W: Witness> Writer<'_, '_, W> {
    /// Draws from `record`'s decision for a class of its clients and writes the outcome.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub(crate) fn record(
        &mut self,
        record: RoutedIdx,
        class: u32,
        depth: usize,
    ) -> Result<(), Full> {
        if depth > MAX_ALIAS_DEPTH {
            return Ok(());
        }
        let Some(decision) = self.decisions.get(record) else {
            return Ok(());
        };
        self.witness.decided(record, class, depth);
        let case = decision.case(class);
        let ttl = decision.ttl.map(|range| {
            let changed = case.memory.as_ref().map_or(0, |memory| memory.changed);
            let settled = self.asking.now.saturating_sub(changed);
            settled.clamp(range.min, range.max)
        });
        match &case.choice {
            Choice::One(pick) => self.pick(pick, depth, ttl),
            Choice::Weighted(entries) => match weighted::draw(entries, self.draw) {
                Some((pick, point)) => {
                    self.witness.drew(point);
                    self.pick(pick, depth, ttl)
                }
                None => Ok(()),
            },
            Choice::Some { picks, most } => {
                for index in multivalue::draw(picks.len(), usize::from(*most), self.draw) {
                    if let Some(pick) = picks.get(index) {
                        self.pick(pick, depth, ttl)?;
                    }
                }
                Ok(())
            }
            Choice::Sticky { key, picks, most } => {
                let prefix = self.prefix();
                for pick in sticky::chosen(picks, *most, *key, prefix) {
                    self.pick(pick, depth, ttl)?;
                }
                Ok(())
            }
            Choice::Dialled {
                key,
                share,
                own,
                spill,
            } => {
                let keeps = self.prefix().is_within(*key, *share);
                self.pick(if keeps { own } else { spill }, depth, ttl)
            }
        }
    }

    /// The client's prefix, which decides now.
    fn prefix(&mut self) -> Prefix {
        let prefix = Prefix::of(self.asking.client);
        let scope = if self.asking.scoped { prefix.bits } else { 0 };
        self.response.scope = self.response.scope.max(scope);
        self.witness.located(Found { value: 0, scope });
        self.witness.by_prefix(prefix.bits);
        prefix
    }

    /// Writes what a set leads to. `ttl` is that of its own data, and the most for what an alias to
    /// a record leads to.
    fn pick(&mut self, pick: &Pick, depth: usize, ttl: Option<u32>) -> Result<(), Full> {
        self.witness.picked(pick.set, depth);
        let from = self.response.position();
        self.outcome(pick, depth)?;
        if let Some(ttl) = ttl {
            let through = matches!(pick.outcome, Outcome::Record(..) | Outcome::Fixed(_));
            self.response
                .change_ttls(from, |own| if through { own.min(ttl) } else { ttl });
        }
        Ok(())
    }

    fn outcome(&mut self, pick: &Pick, depth: usize) -> Result<(), Full> {
        match &pick.outcome {
            Outcome::Nothing => Ok(()),
            Outcome::Values(blob) => self.blob(blob),
            Outcome::Fixed(blob) => {
                let view = self.zones.blob(*blob);
                simple::write(self.response, view, self.owner, self.draw)
            }
            Outcome::Some(blobs) => {
                for index in multivalue::draw(blobs.len(), multivalue::MAX_ANSWERS, self.draw) {
                    if let Some(blob) = blobs.get(index) {
                        self.blob(blob)?;
                    }
                }
                Ok(())
            }
            Outcome::Record(record, class) => self.record(*record, *class, depth + 1),
        }
    }

    fn blob(&mut self, blob: &Blob) -> Result<(), Full> {
        simple::write(self.response, blob.view(), self.owner, self.draw)
    }
}
