//! QUIC: flows by connection IDs.
//!
//! Part of the shell of `quic` listeners. A connection's target is told by its ID, whatever address
//! and worker its datagrams come through; the flow towards it is this worker's own. So nothing is
//! handed from worker to worker: what they share is the table of learned IDs.
//!
//! Cost: per datagram of a client one header, one look-up of its ID, one of its flow.

use std::sync::Arc;

use healthcheck::SlotId;
use tokio::time::Instant;

use super::batch::Arrival;
use super::opening::NoFlow;
use super::shell::Shell;
use super::table::{FlowId, FlowKey};
use crate::balance::{Origin, Tried};
use crate::context::WorkerContext;
use crate::l4::quic::{Header, Known, Learned};
use crate::metrics::RejectReason;
use crate::rules::Action;
use crate::snapshot::{Listener, Snapshot};
use crate::target::{Target, WorkKind};
use crate::work::Work;

/// Groups of one forward at most (ELB).
const MAX_ROUTES: usize = 5;

/// What the groups of a listener make of a datagram.
enum Verdict<'d> {
    /// It belongs to this target, of the route at this place.
    Target(Arc<Target>, usize),
    /// The hash of this ID decides, in the group at this place.
    Hashed(&'d [u8], usize),
    Nothing,
    Stranger,
}

impl Shell {
    /// The flow that a datagram's connection takes from this client address.
    pub(super) fn flow_of_connection(
        &mut self,
        from: &Arrival,
        datagram: &[u8],
        now: Instant,
    ) -> Result<FlowId, NoFlow> {
        let listener = self.listener.clone();
        let listener = listener.ok_or(NoFlow::Refused(RejectReason::NoTarget))?;
        let header = Header::parse(datagram);
        let header = header.ok_or(NoFlow::Refused(RejectReason::BadDatagram))?;
        let look = |snapshot: &Snapshot| verdict(snapshot, &listener, &header, now);
        match self.context.with_snapshot(look) {
            // A connection that a target has keeps it, however much work that may have.
            Verdict::Target(target, place) => {
                let way = (listener, place);
                self.flow_to(&target, way, from, now, WorkerContext::begin_beyond)
            }
            Verdict::Hashed(id, place) => {
                let target = self.hashed_target(&listener, place, id, from)?;
                let way = (listener, place);
                self.flow_to(&target, way, from, now, WorkerContext::begin)
            }
            Verdict::Nothing => self.flow_of_client(from, now),
            Verdict::Stranger => {
                let key = key(from, None);
                let unknown = NoFlow::Refused(RejectReason::UnknownConnectionId);
                self.table.client_spoke(&key, now).ok_or(unknown)
            }
        }
    }

    /// The client's flow to this target: its first one, or one beside that.
    fn flow_to(
        &mut self,
        target: &Arc<Target>,
        way: (Arc<Listener>, usize),
        from: &Arrival,
        now: Instant,
        begin: impl Fn(&WorkerContext, &Arc<Target>, WorkKind) -> Option<Work>,
    ) -> Result<FlowId, NoFlow> {
        let mut key = key(from, None);
        if let Some(id) = self.table.client_spoke(&key, now) {
            let first = self.table.get_mut(id).map(|flow| flow.target().slot());
            if first == Some(target.slot()) {
                return Ok(id);
            }
            key.lane = Some(target.slot());
            if let Some(id) = self.table.client_spoke(&key, now) {
                return Ok(id);
            }
        }
        if self.is_refusing() {
            return Err(NoFlow::Refused(RejectReason::Shutdown));
        }
        self.check_filter(&way.0, from)?;
        let opened = self.open_to((target, way), key, from, (now, 0), begin)?;
        opened.ok_or(NoFlow::Refused(RejectReason::ConnectFailed))
    }

    fn hashed_target(
        &mut self,
        listener: &Listener,
        place: usize,
        id: &[u8],
        from: &Arrival,
    ) -> Result<Arc<Target>, NoFlow> {
        let no_target = NoFlow::Refused(RejectReason::NoTarget);
        let route = super::flow::route(listener, place).ok_or(no_target)?;
        let origin = Origin::udp(from.client, self.local(from)).with_connection(id);
        let choice = self.look(route, &origin, &Tried::default());
        match choice {
            Ok(choice) => Ok(choice.target),
            Err(none) => Err(none.patience().map_or(no_target, NoFlow::Hold)),
        }
    }
}

/// Asks the groups in turn; the first that knows the ID has it.
fn verdict<'d>(
    snapshot: &Snapshot,
    listener: &Listener,
    header: &Header<'d>,
    now: Instant,
) -> Verdict<'d> {
    let Action::Forward(forward) = &listener.default.action else {
        return Verdict::Nothing;
    };
    let mut otherwise = Verdict::Stranger;
    let routes = (0..MAX_ROUTES).map_while(|place| Some((place, forward.route(place)?)));
    for (place, route) in routes {
        let Some(group) = snapshot.group(route) else {
            continue;
        };
        let Some(ids) = &group.connection_ids else {
            continue;
        };
        match ids.look(header, now) {
            Known::Target(slot) => {
                let mut members = group.members.iter().map(|member| &member.target);
                if let Some(target) = members.find(|target| target.slot() == slot) {
                    return Verdict::Target(target.clone(), place);
                }
                // Its target has left: a packet that may begin a connection begins another.
                if matches!(header, Header::Long { .. }) {
                    otherwise = Verdict::Nothing;
                }
            }
            Known::Hashed(id) => return Verdict::Hashed(id, place),
            Known::Nothing => otherwise = Verdict::Nothing,
            Known::Stranger => {}
        }
    }
    otherwise
}

fn key(from: &Arrival, lane: Option<SlotId>) -> FlowKey {
    FlowKey {
        client: from.client,
        own: from.own,
        lane,
    }
}

/// Learns the connection ID that a target chose, from a packet it sent; not from version
/// negotiation, which repeats the client's.
pub(super) fn learn(learned: &Learned, datagram: &[u8], slot: SlotId, now: Instant) {
    if let Some(Header::Long {
        version: 1..,
        source,
        ..
    }) = Header::parse(datagram)
    {
        learned.learn(source, slot, now);
    }
}
