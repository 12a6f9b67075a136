//! What the server answers from: zones of one configuration generation, decisions of one health
//! table.
//!
//! Made by [`crate::compile`], published by one swap, read by every thread. Immutable; holds no
//! sockets, tasks or slots.

use std::sync::Arc;

use rand::rngs::SmallRng;

use crate::metrics::{Decided, ZoneLabel};
use crate::policy::{self, Decisions};
use crate::wire::{Full, Response};
use crate::zone::{RoutedIdx, ZoneTable};

/// Everything answers come from at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) zones: Arc<ZoneTable>,
    pub(crate) decisions: Decisions,
    /// The configuration generation of the zones.
    pub(crate) config_generation: u64,
    /// The health table the decisions were made from.
    pub(crate) health_generation: u64,
}

impl Snapshot {
    /// The configuration generation whose zones it serves.
    pub fn config_generation(&self) -> u64 {
        self.config_generation
    }

    /// The generation of the health table its decisions were made from.
    pub fn health_generation(&self) -> u64 {
        self.health_generation
    }

    /// How a routed record is being decided, for counting.
    pub(crate) fn decided(&self, record: RoutedIdx, zone: ZoneLabel) -> Option<Decided> {
        let decision = self.decisions.get(record)?;
        Some(Decided {
            zone,
            policy: decision.policy,
            reason: decision.reason,
        })
    }

    /// Decides a routed record and writes what it answers; nothing is written when there is
    /// nothing to answer.
    pub(crate) fn write(
        &self,
        record: RoutedIdx,
        response: &mut Response<'_>,
        owner: usize,
        draw: &mut SmallRng,
    ) -> Result<(), Full> {
        let mut writer = policy::Writer {
            zones: &self.zones,
            decisions: &self.decisions,
            response,
            owner,
            draw,
        };
        writer.record(record, 0)
    }
}
