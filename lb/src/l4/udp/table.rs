//! The flow table: which flows there are, when each ends, which one goes when there is no room.
//!
//! Sans-io: the shell tells it what came and when, and keeps in it what belongs to a flow. A flow is
//! unreplied until its target has sent something. Each phase has one timeout, so a chain in the
//! order of last activity is in the order of expiry too.
//!
//! Cost: a datagram from a client is one look-up and moves one chain's end; one from a target is an
//! index; expiry and eviction look at heads only. Memory is bounded by the caller, who asks for
//! [`FlowTable::to_evict`] when it may not add.

mod chain;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use healthcheck::SlotId;
use slab::Slab;
use tokio::time::Instant;

use super::batch::OwnAddress;
use chain::{Chain, Linked, Links};

/// A flow younger than this may still get its first answer: others go first when room is short.
pub(super) const RESPITE: Duration = Duration::from_secs(1);

/// What tells flows of one socket apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    /// The client.
    pub(super) client: SocketAddr,
    /// The address it used, on a wildcard socket.
    pub(super) own: Option<OwnAddress>,
    /// The target, for flows beside a client's first one: one QUIC client address can have
    /// connections to several.
    pub(super) lane: Option<SlotId>,
}

/// A flow of one table. Never means another flow later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlowId {
    place: u32,
    birth: u32,
}

impl FlowId {
    /// As a number.
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.place) << 32 | u64::from(self.birth)
    }

    /// The flow of [`FlowId::to_bits`].
    pub(super) fn from_bits(bits: u64) -> Self {
        Self {
            place: (bits >> 32) as u32,
            birth: bits as u32,
        }
    }
}

/// How long flows live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetimes {
    /// Without a datagram, before the target has answered.
    pub(super) unreplied: Duration,
    /// Without a datagram, after that.
    pub(super) replied: Duration,
    /// A flow has done its duty after so many datagrams of its target; 0 = never.
    pub(super) responses: u32,
}

/// Why a flow is over by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// The target never answered.
    Unreplied,
    /// No datagram for the idle timeout.
    Idle,
}

#[derive(Debug)]
enum InPhase {}
#[derive(Debug)]
enum OfSource {}

#[derive(Debug)]
struct Entry<F> {
    key: FlowKey,
    flow: F,
    birth: u32,
    last: Instant,
    responses: u32,
    replied: bool,
    /// True while it stands in its source's chain.
    of_source: bool,
    phase_links: Links,
    source_links: Links,
}

impl<F> Linked<InPhase> for Entry<F> {
    fn links(&mut self) -> &mut Links {
        &mut self.phase_links
    }
}

impl<F> Linked<OfSource> for Entry<F> {
    fn links(&mut self) -> &mut Links {
        &mut self.source_links
    }
}

/// The flows of one socket of one worker.
#[derive(Debug)]
pub(super) struct FlowTable<F> {
    entries: Slab<Entry<F>>,
    by_key: HashMap<FlowKey, u32>,
    /// In the order of last activity.
    unreplied: Chain<InPhase>,
    replied: Chain<InPhase>,
    /// Unreplied flows of sources that are counted, oldest first.
    by_source: HashMap<IpAddr, Chain<OfSource>>,
    births: u32,
}

impl<F> Default for FlowTable<F> {
    fn default() -> Self {
        Self {
            entries: Slab::new(),
            by_key: HashMap::new(),
            unreplied: Chain::default(),
            replied: Chain::default(),
            by_source: HashMap::new(),
            births: 0,
        }
    }
}

impl<F> FlowTable<F> {
    /// Flows there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The flow of a client's datagram, which keeps it alive.
    pub(super) fn client_spoke(&mut self, key: &FlowKey, now: Instant) -> Option<FlowId> {
        let place = *self.by_key.get(key)?;
        self.touch(place, now);
        let entry = self.entries.get(place as usize)?;
        Some(FlowId {
            place,
            birth: entry.birth,
        })
    }

    /// Enters a flow, which must not be there yet. `count_source`: its source has a limit.
    pub(super) fn insert(
        &mut self,
        key: FlowKey,
        flow: F,
        count_source: bool,
        now: Instant,
    ) -> FlowId {
        let birth = self.births;
        self.births = self.births.wrapping_add(1);
        let place = self.entries.insert(Entry {
            key,
            flow,
            birth,
            last: now,
            responses: 0,
            replied: false,
            of_source: count_source,
            phase_links: Links::default(),
            source_links: Links::default(),
        }) as u32;
        self.by_key.insert(key, place);
        self.unreplied.push(&mut self.entries, place);
        if count_source {
            let chain = self.by_source.entry(source(&key)).or_default();
            chain.push(&mut self.entries, place);
        }
        FlowId { place, birth }
    }

    /// Counts `datagrams` of the target, which keep the flow alive. True when it has done its duty.
    pub(super) fn target_spoke(
        &mut self,
        id: FlowId,
        datagrams: u32,
        lifetimes: &Lifetimes,
        now: Instant,
    ) -> bool {
        let Some(entry) = self.entry(id) else {
            return false;
        };
        entry.responses = entry.responses.saturating_add(datagrams);
        let done = lifetimes.responses > 0 && entry.responses >= lifetimes.responses;
        if entry.replied {
            self.touch(id.place, now);
        } else {
            entry.replied = true;
            entry.last = now;
            self.unreplied.take(&mut self.entries, id.place);
            self.leave_source(id.place);
            self.replied.push(&mut self.entries, id.place);
        }
        done
    }

    /// What belongs to a flow.
    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut F> {
        self.entry(id).map(|entry| &mut entry.flow)
    }

    /// Takes a flow out.
    pub(super) fn remove(&mut self, id: FlowId) -> Option<F> {
        let replied = self.entry(id)?.replied;
        let chain = match replied {
            true => &mut self.replied,
            false => &mut self.unreplied,
        };
        chain.take(&mut self.entries, id.place);
        self.leave_source(id.place);
        let entry = self.entries.try_remove(id.place as usize)?;
        self.by_key.remove(&entry.key);
        Some(entry.flow)
    }

    /// A flow that is over at `now`; remove it and ask again.
    pub(super) fn expired(&self, lifetimes: &Lifetimes, now: Instant) -> Option<(FlowId, Expiry)> {
        let over = |chain: &Chain<InPhase>, lifetime: Duration| {
            let (id, last) = self.oldest(chain)?;
            (last + lifetime <= now).then_some(id)
        };
        let unreplied =
            over(&self.unreplied, lifetimes.unreplied).map(|id| (id, Expiry::Unreplied));
        unreplied.or_else(|| over(&self.replied, lifetimes.replied).map(|id| (id, Expiry::Idle)))
    }

    /// When [`FlowTable::expired`] will find something.
    pub(super) fn next_expiry(&self, lifetimes: &Lifetimes) -> Option<Instant> {
        let first = |chain, lifetime| self.oldest(chain).map(|(_, last)| last + lifetime);
        let unreplied = first(&self.unreplied, lifetimes.unreplied);
        let replied = first(&self.replied, lifetimes.replied);
        unreplied.into_iter().chain(replied).min()
    }

    /// Which flow goes when there is no room for another: the one longest unreplied if it is past
    /// its respite or if such flows fill over half of the table (as when sources are forged), else
    /// the one longest silent of those that were answered, else whatever there is.
    pub(super) fn to_evict(&self, now: Instant) -> Option<FlowId> {
        let unreplied = self.oldest(&self.unreplied);
        let crowd = self.unreplied.len() > self.replied.len();
        let hopeless = unreplied.filter(|(_, last)| crowd || *last + RESPITE <= now);
        let other = || self.oldest(&self.replied).or(unreplied);
        hopeless.or_else(other).map(|(id, _)| id)
    }

    /// Which flow of a source goes when the source may have no more: its oldest that is unreplied
    /// and past its respite.
    pub(super) fn to_evict_of(&self, source: IpAddr, now: Instant) -> Option<FlowId> {
        let place = self.by_source.get(&source)?.head()?;
        let entry = self.entries.get(place as usize)?;
        (entry.last + RESPITE <= now).then_some(FlowId {
            place,
            birth: entry.birth,
        })
    }

    /// When the table last saw a datagram of any flow.
    pub(super) fn last_activity(&self) -> Option<Instant> {
        let tails = [self.unreplied.tail(), self.replied.tail()];
        let last = |place: u32| self.entries.get(place as usize).map(|entry| entry.last);
        tails.into_iter().flatten().filter_map(last).max()
    }

    /// The flows that `which` picks.
    pub(super) fn ids(&self, which: impl Fn(&F) -> bool) -> Vec<FlowId> {
        let picked = self.entries.iter().filter(|(_, entry)| which(&entry.flow));
        let id = |(place, entry): (usize, &Entry<F>)| FlowId {
            place: place as u32,
            birth: entry.birth,
        };
        picked.map(id).collect()
    }

    fn entry(&mut self, id: FlowId) -> Option<&mut Entry<F>> {
        let entry = self.entries.get_mut(id.place as usize)?;
        (entry.birth == id.birth).then_some(entry)
    }

    fn oldest(&self, chain: &Chain<InPhase>) -> Option<(FlowId, Instant)> {
        let place = chain.head()?;
        let entry = self.entries.get(place as usize)?;
        let birth = entry.birth;
        Some((FlowId { place, birth }, entry.last))
    }

    fn touch(&mut self, place: u32, now: Instant) {
        let Some(entry) = self.entries.get_mut(place as usize) else {
            return;
        };
        entry.last = now;
        let chain = match entry.replied {
            true => &mut self.replied,
            false => &mut self.unreplied,
        };
        chain.move_to_end(&mut self.entries, place);
    }

    fn leave_source(&mut self, place: u32) {
        let Some(entry) = self.entries.get_mut(place as usize) else {
            return;
        };
        if !std::mem::take(&mut entry.of_source) {
            return;
        }
        let source = source(&entry.key);
        if let Some(chain) = self.by_source.get_mut(&source) {
            chain.take(&mut self.entries, place);
            if chain.len() == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

/// Whose flow it is.
pub(super) fn source(key: &FlowKey) -> IpAddr {
    key.client.ip()
}

#[cfg(test)]
mod tests;
