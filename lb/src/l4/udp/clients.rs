//! Inwards: from clients to targets.
//!
//! Part of the shell. Datagrams are taken in the order of arrival and runs of one flow are sent
//! together, so a flow's order is kept.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use conf::UnhealthyFlows;
use rustix::net::{SendFlags, send};
use tokio::time::Instant;

use super::batch::{Arrival, Batch, WIDTH};
use super::opening::{NoFlow, unreachable};
use super::shell::{ROUNDS, Shell, buffers};
use super::table::{FlowId, FlowKey};
use crate::access_log::FlowEnd;
use crate::metrics::RejectReason;

/// Flows a datagram may be given to: each dead target it meets costs one.
const MAX_FLOWS: usize = 4;

impl Shell {
    /// Forwards what clients have sent.
    pub(super) fn poll_clients(&mut self, cx: &mut Context<'_>, now: Instant) {
        let (socket, context) = (self.socket.clone(), self.context.clone());
        for _ in 0..ROUNDS {
            let Poll::Ready(Ok(mut guard)) = socket.poll_read_ready(cx) else {
                return;
            };
            let mut batch = buffers(&context);
            batch.clear();
            let received = batch.receive(socket.get_ref().as_fd(), WIDTH);
            let received = received.unwrap_or_else(|error| {
                if error.kind() == io::ErrorKind::WouldBlock {
                    guard.clear_ready();
                }
                0
            });
            if (1..WIDTH).contains(&received) {
                // The kernel stopped because its queue was empty.
                guard.clear_ready();
            }
            self.forward(&mut batch, now);
        }
        cx.waker().wake_by_ref();
    }

    fn forward(&mut self, batch: &mut Batch, now: Instant) {
        let mut first = 0;
        let mut from = (batch.len() > 0).then(|| batch.arrival(0)).flatten();
        while first < batch.len() {
            let mut end = first + 1;
            let mut next = None;
            // Each QUIC datagram is looked into.
            let alone = self.is_quic();
            if alone && end < batch.len() {
                next = batch.arrival(end);
            }
            while end < batch.len() && !alone {
                next = batch.arrival(end);
                if next != from {
                    break;
                }
                end += 1;
            }
            match &from {
                Some(from) => self.forward_run(batch, from, (first, end), now),
                None => self.count_rejected(RejectReason::BadDatagram, (end - first) as u64),
            }
            (first, from) = (end, next);
        }
        batch.clear();
    }

    /// Forwards the datagrams from `first` to before `end`, all of one client.
    fn forward_run(
        &mut self,
        batch: &mut Batch,
        from: &Arrival,
        (mut first, end): (usize, usize),
        now: Instant,
    ) {
        for _ in 0..MAX_FLOWS {
            match self.flow_of(from, batch.payload(first), now) {
                Ok(id) => match self.send_run(batch, id, (first, end)) {
                    Ok(()) => return,
                    // The target is gone; what it was not sent goes to another one.
                    Err(unsent) => first = unsent,
                },
                Err(NoFlow::Hold(hold)) => {
                    for index in first..end {
                        let payload = batch.payload(index);
                        if !self.held.push(*from, payload, now + hold) {
                            self.reject(from, RejectReason::HoldExpired, payload.len(), now);
                        }
                    }
                    return;
                }
                Err(NoFlow::Refused(reason)) => {
                    return self.reject_run(batch, from, reason, (first, end), now);
                }
            }
        }
        self.reject_run(batch, from, RejectReason::ConnectFailed, (first, end), now);
    }

    fn reject_run(
        &mut self,
        batch: &Batch,
        from: &Arrival,
        reason: RejectReason,
        (first, end): (usize, usize),
        now: Instant,
    ) {
        for index in first..end {
            self.reject(from, reason, batch.payload(index).len(), now);
        }
    }

    /// The flow of a client's datagram, which is kept alive; a new one if need be.
    fn flow_of(&mut self, from: &Arrival, datagram: &[u8], now: Instant) -> Result<FlowId, NoFlow> {
        match self.is_quic() {
            true => self.flow_of_connection(from, datagram, now),
            false => self.flow_of_client(from, now),
        }
    }

    /// The flow of a client; a new one if there is none or its target is dead.
    pub(super) fn flow_of_client(
        &mut self,
        from: &Arrival,
        now: Instant,
    ) -> Result<FlowId, NoFlow> {
        let key = FlowKey {
            client: from.client,
            own: from.own,
            lane: None,
        };
        if let Some(id) = self.table.client_spoke(&key, now) {
            if !self.is_to_move(id, from) {
                return Ok(id);
            }
            self.take_rest(id, now);
            self.end(id, FlowEnd::TargetUnreachable);
        }
        if !self.held.is_empty() {
            // What came earlier goes first.
            self.retry_held(now);
        }
        self.open(key, from, now)
    }

    /// True when other flows found its target dead, flows of dead targets are to end, and there is
    /// another target.
    fn is_to_move(&mut self, id: FlowId, from: &Arrival) -> bool {
        let Some(flow) = self.table.get_mut(id) else {
            return false;
        };
        if !flow.target().is_suspect() {
            return false;
        }
        let (target, route) = (flow.target().clone(), flow.route().cloned());
        route.is_some_and(|route| {
            let ends = self.context.with_snapshot(|snapshot| {
                let group = snapshot.group(&route);
                group.is_some_and(|group| group.settings.unhealthy_flows == UnhealthyFlows::End)
            });
            ends && self.should_move(&route, from, &target)
        })
    }

    /// Sends datagrams of one flow; the first that was not sent when the target turned out dead,
    /// whose flow has ended then.
    fn send_run(
        &mut self,
        batch: &mut Batch,
        id: FlowId,
        (mut first, end): (usize, usize),
    ) -> Result<(), usize> {
        if end - first > 1 {
            batch.address_connected(first, end - first);
        }
        while first < end {
            let Some(flow) = self.table.get_mut(id) else {
                return Err(first);
            };
            let greeted = flow.greet(batch.payload(first));
            let socket = flow.socket.as_fd();
            let sent = match (greeted, end - first) {
                (Some(greeted), _) => greeted,
                (None, 1) => send(socket, batch.payload(first), SendFlags::DONTWAIT)
                    .map(|_| 1)
                    .map_err(io::Error::from),
                (None, count) => batch.send(socket, first, count),
            };
            match sent {
                Ok(sent) => {
                    for index in first..first + sent {
                        flow.count_in(batch.payload(index).len());
                    }
                    first += sent.max(1);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if self.lose_target(id, &error) {
                        return Err(first);
                    }
                    self.count_dropped(1);
                    first += 1;
                }
            }
        }
        Ok(())
    }

    /// Ends a flow whose socket says that its target is gone, and tells health; false when the
    /// error says nothing of the target.
    pub(super) fn lose_target(&mut self, id: FlowId, error: &io::Error) -> bool {
        let Some(failure) = unreachable(error) else {
            return false;
        };
        if let Some(flow) = self.table.get_mut(id) {
            let target = flow.target().clone();
            self.report(&target, failure);
        }
        self.take_rest(id, Instant::now());
        self.end(id, FlowEnd::TargetUnreachable);
        true
    }

    /// Gives held datagrams to targets, if there are any now; drops those held for too long.
    pub(super) fn retry_held(&mut self, now: Instant) {
        if self.held.is_empty() {
            return;
        }
        self.queued.set_turn(true);
        for datagram in self.held.take() {
            if !self.held.is_empty() {
                // Still no target: the others wait behind.
                self.put_back(datagram, now);
                continue;
            }
            match self.flow_of(&datagram.from, &datagram.payload, now) {
                Ok(id) => self.send_held(id, &datagram.payload),
                Err(NoFlow::Hold(_)) => self.put_back(datagram, now),
                Err(NoFlow::Refused(reason)) => {
                    self.reject(&datagram.from, reason, datagram.payload.len(), now);
                }
            }
        }
        self.queued.set_turn(false);
        self.leave_if_idle();
    }

    /// Leaves the queue when nothing is held.
    pub(super) fn leave_if_idle(&mut self) {
        if self.held.is_empty() {
            self.queued.leave();
        }
    }

    fn put_back(&mut self, datagram: super::held::HeldDatagram, now: Instant) {
        if datagram.until > now {
            self.held.put_back(datagram);
        } else {
            let (from, len) = (datagram.from, datagram.payload.len());
            self.reject(&from, RejectReason::HoldExpired, len, now);
        }
    }

    fn send_held(&mut self, id: FlowId, payload: &[u8]) {
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        let sent = flow.greet(payload).unwrap_or_else(|| {
            let sent = send(&flow.socket, payload, SendFlags::DONTWAIT);
            sent.map_err(io::Error::from)
        });
        match sent {
            Ok(_) => flow.count_in(payload.len()),
            Err(error) => {
                self.lose_target(id, &error);
                self.count_dropped(1);
            }
        }
    }

    pub(super) fn count_dropped(&self, datagrams: u64) {
        if let Some(counters) = self.counters() {
            counters.udp.dropped.add(datagrams);
        }
    }
}
