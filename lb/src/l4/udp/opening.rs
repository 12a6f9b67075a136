//! Opening a flow: choose a target, make room, connect a socket, enter it.
//!
//! Called by the shell for the first datagram of a client, and for one whose flow just ended.
//!
//! Cost: socket, connect and epoll_ctl; two compare-and-swaps for the limits; what choosing costs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use healthcheck::{PassiveEvent, PassiveFailure};
use rustix::event::epoll;
use rustix::io::Errno;
use tokio::time::Instant;

use super::batch::Arrival;
use super::flow::{Flow, Places, connect, route};
use super::shell::Shell;
use super::table::{FlowId, FlowKey, source};
use crate::access_log::FlowEnd;
use crate::balance::{Origin, Tried};
use crate::context::{Choice, NoChoice, WorkerContext};
use crate::limits::Admission;
use crate::metrics::RejectReason;
use crate::rules::Action;
use crate::snapshot::{Listener, Route};
use crate::target::{Target, WorkKind};
use crate::work::Work;

/// Flows that may be evicted for one new one: another worker can take the place that one left.
const MAX_EVICTIONS: usize = 4;

/// Why there is no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoFlow {
    /// Its datagrams are lost.
    Refused(RejectReason),
    /// No target can be used now; one may within this time.
    Hold(Duration),
}

impl Shell {
    /// A flow for what `from` sent.
    pub(super) fn open(
        &mut self,
        key: FlowKey,
        from: &Arrival,
        now: Instant,
    ) -> Result<FlowId, NoFlow> {
        if self.is_refusing() {
            return Err(NoFlow::Refused(RejectReason::Shutdown));
        }
        let no_target = NoFlow::Refused(RejectReason::NoTarget);
        let listener = self.listener.clone().ok_or(no_target)?;
        self.check_filter(&listener, from)?;
        let Action::Forward(forward) = &listener.default.action else {
            return Err(no_target);
        };
        let place = forward.choose().ok_or(no_target)?;
        let to = route(&listener, place).ok_or(no_target)?;
        let origin = Origin::udp(from.client, self.local(from));
        let mut tried = Tried::default();
        loop {
            let choice = match self.look(to, &origin, &tried) {
                Ok(choice) => choice,
                Err(none) => {
                    return Err(none.patience().map_or(no_target, NoFlow::Hold));
                }
            };
            let way = (listener.clone(), place);
            let retries = tried.count() as u32;
            let begin = WorkerContext::begin;
            match self.open_to((&choice.target, way), key, from, (now, retries), begin)? {
                Some(id) => return Ok(id),
                None => tried.add(&choice.target),
            }
        }
    }

    /// A choice, in turn with what else waits for the group; the shell begins to wait when there is none
    /// because every target is full.
    pub(super) fn look(
        &mut self,
        to: &Route,
        origin: &Origin,
        tried: &Tried,
    ) -> Result<Choice, NoChoice> {
        let found = (self.context).look(to, origin, tried, self.queued.has_turn());
        match &found {
            Err(NoChoice::Full(queue, _)) if self.queued.enter(queue) => {
                self.context.look(to, origin, tried, true)
            }
            _ => found,
        }
    }

    /// Refuses a client that the listener's filter does not let in.
    pub(super) fn check_filter(&self, listener: &Listener, from: &Arrival) -> Result<(), NoFlow> {
        let port = || self.local(from).port();
        match &listener.filter {
            Some(filter) if !filter.allows(from.client, port) => {
                Err(NoFlow::Refused(RejectReason::Filter))
            }
            _ => Ok(()),
        }
    }

    /// A flow to this target; `None` when there is no way to it, which is reported, or it has become
    /// full. `begin` counts it.
    pub(super) fn open_to(
        &mut self,
        (target, way): (&Arc<Target>, (Arc<Listener>, usize)),
        key: FlowKey,
        from: &Arrival,
        (now, retries): (Instant, u32),
        begin: impl Fn(&WorkerContext, &Arc<Target>, WorkKind) -> Option<Work>,
    ) -> Result<Option<FlowId>, NoFlow> {
        let places = self.places(&key, now)?;
        match self.connect(target, now) {
            Ok(socket) => {
                let Some(work) = begin(&self.context, target, WorkKind::Flow) else {
                    return Ok(None);
                };
                let context = self.context.clone();
                let local = self.local(from);
                let began = (now, retries);
                let flow = Flow::new(socket, (*from, local), work, context, way, places, began);
                self.enter(key, flow, now).map(Some)
            }
            Err(error) => {
                let failure = unreachable(&error);
                let failure = failure.ok_or(NoFlow::Refused(RejectReason::PortExhaustion))?;
                self.report(target, failure);
                Ok(None)
            }
        }
    }

    /// True when another target would now be chosen for the flow, whose own is suspect.
    pub(super) fn should_move(&self, to: &Route, from: &Arrival, suspect: &Target) -> bool {
        let origin = Origin::udp(from.client, self.local(from));
        let choice = self.context.try_choose(to, &origin, &Tried::default());
        choice.is_ok_and(|choice| choice.target.slot() != suspect.slot())
    }

    /// Tells health that a target could not be reached.
    pub(super) fn report(&self, target: &Target, failure: PassiveFailure) {
        let event = PassiveEvent {
            slot: target.slot(),
            failure,
            at: Instant::now(),
        };
        let reporter = self.context.reporter();
        reporter.report(target.signal(), event);
    }

    fn enter(&mut self, key: FlowKey, flow: Flow, now: Instant) -> Result<FlowId, NoFlow> {
        let limited = flow.listener().sources.is_some();
        let id = self.table.insert(key, flow, limited, now);
        let added = self.table.get_mut(id).map(|flow| {
            let data = epoll::EventData::new_u64(id.to_bits());
            epoll::add(
                self.readiness.get_ref(),
                &flow.socket,
                data,
                epoll::EventFlags::IN,
            )
        });
        match added {
            Some(Ok(())) => Ok(id),
            _ => {
                self.end(id, FlowEnd::Evicted);
                Err(NoFlow::Refused(RejectReason::PortExhaustion))
            }
        }
    }

    /// Places within every limit, for which other flows may have to go.
    fn places(&mut self, key: &FlowKey, now: Instant) -> Result<Places, NoFlow> {
        let limits = self.listener.clone();
        let limits = limits.ok_or(NoFlow::Refused(RejectReason::NoTarget))?;
        let full = NoFlow::Refused(RejectReason::MaxFlowsPerSource);
        let mut place_of_source = None;
        if let Some(sources) = &limits.sources {
            let take = || sources.take(source(key), limits.udp.max_flows_per_source);
            let mut place = take();
            if place.is_none() {
                let oldest = self.table.to_evict_of(source(key), now).ok_or(full)?;
                self.end(oldest, FlowEnd::Evicted);
                place = take();
            }
            place_of_source = Some(place.ok_or(full)?);
        }
        for _ in 0..=MAX_EVICTIONS {
            let admission = match self.budget.has_room() {
                true => Admission::take(&limits.load, &self.budget),
                false => None,
            };
            if let Some(admission) = admission {
                return Ok(Places {
                    _admission: admission,
                    _source: place_of_source,
                });
            }
            if !self.evict(now) {
                break;
            }
        }
        Err(NoFlow::Refused(RejectReason::MaxConnections))
    }

    /// A connected socket; when the system has no port or descriptor left, a flow makes room.
    fn connect(&mut self, target: &Target, now: Instant) -> io::Result<std::net::UdpSocket> {
        // No group that takes datagrams has a target at a Unix socket.
        let address = target.address().socket_addr();
        let address = address.ok_or(io::ErrorKind::Unsupported)?;
        match connect(address) {
            Err(error) if is_exhausted(&error) && self.evict(now) => connect(address),
            result => result,
        }
    }

    fn evict(&mut self, now: Instant) -> bool {
        let victim = self.table.to_evict(now);
        if let Some(victim) = victim {
            self.end(victim, FlowEnd::Evicted);
        }
        victim.is_some()
    }
}

/// What an error of a connected socket says of the target, if it does.
pub(super) fn unreachable(error: &io::Error) -> Option<PassiveFailure> {
    match Errno::from_io_error(error)? {
        Errno::CONNREFUSED => Some(PassiveFailure::Refused),
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
            Some(PassiveFailure::Unreachable)
        }
        _ => None,
    }
}

/// True when descriptors, memory or local ports have run out (`EAGAIN`: no port for a connect).
fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::AGAIN
                | Errno::ADDRINUSE
                | Errno::ADDRNOTAVAIL
        )
    )
}
