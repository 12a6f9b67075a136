//! One TCP flow: choose a target, connect (another one when that fails), copy until the end.
//!
//! Called by the worker for every connection of a `tcp` or `tls` listener; the future owns the flow and
//! logs it when it ends or is dropped. Never reads a byte before a target is connected, so any
//! number of targets may be tried.
//!
//! Cost: see `connect` and `copy`; per flow one timer that re-arms itself four times per idle
//! timeout, and two clock reads.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use conf::TrafficFailure;
use healthcheck::TrafficOutcome;
use healthcheck::proxy_header::Transport;
use tokio::time::Instant;

use super::copy::{Copy, Fault};
use crate::access_log::{FlowEnd, FlowKind, FlowRecord};
use crate::balance::Origin;
use crate::context::{Attempts, WorkerContext};
use crate::metrics::{ListenerCounters, RejectReason};
use crate::proxy::{Introduced, Tlvs};
use crate::rules::{Action, Forward};
use crate::snapshot::{Listener, Route};
use crate::stream::{Accepted, Stream};
use crate::target::WorkKind;
use crate::tls::Session;
use crate::work::Work;

/// Parts an idle timeout is watched in: a flow ends after one to 1.25 timeouts of silence.
const IDLE_PARTS: u32 = 4;

/// Serves a client's connection to its end.
pub(crate) fn serve(
    accepted: Accepted,
    listener: Arc<Listener>,
    context: Rc<WorkerContext>,
) -> impl Future<Output = ()> {
    let tls = accepted.stream.session().cloned();
    serve_asked(accepted, tls, Vec::new(), listener, context)
}

/// The same for a connection of whose handshake something is known; `ahead` was read of it and goes
/// to the target first.
///
/// The future is what an idle flow costs: what it takes stands in it once (an `async fn` would hold
/// its arguments and what is made of them), and what choosing and connecting need is boxed, because
/// it is soon over.
pub(crate) fn serve_asked(
    accepted: Accepted,
    tls: Option<Rc<Session>>,
    ahead: Vec<u8>,
    listener: Arc<Listener>,
    context: Rc<WorkerContext>,
) -> impl Future<Output = ()> {
    let mut client = accepted.stream;
    let addresses = (accepted.peer, accepted.local);
    let mut flow = Flow::new(addresses, tls, listener, context);
    let tlvs = accepted.tlvs;
    async move {
        let opened = Box::pin(flow.open(tlvs.as_ref())).await;
        let end = match opened {
            Ok((work, mut target)) => {
                let mut copy = Copy::new(ahead, Vec::new());
                let streams = (&mut client, &mut target);
                flow.run(&work, streams, &mut copy).await
            }
            Err(reason) => {
                flow.counters().reject(reason);
                // A reset tells the client that nobody was there; a close would look like an answer.
                client.reset();
                flow.note_segments(|| client.segments());
                FlowEnd::Refused(reason)
            }
        };
        flow.ended(end);
    }
}

/// What is known of a flow; logs it when dropped.
struct Flow {
    context: Rc<WorkerContext>,
    listener: Arc<Listener>,
    peer: SocketAddr,
    /// The address it used.
    local: SocketAddr,
    accepted: Instant,
    connected: Option<Instant>,
    /// The place of the route whose turn it was.
    route: Option<usize>,
    target: Option<Arc<str>>,
    bytes: (u64, u64),
    segments: Option<(u64, u64)>,
    retries: u32,
    kind: FlowKind,
    /// The place of the rule that claimed it.
    rule: Option<usize>,
    tls: Option<Rc<Session>>,
    end: FlowEnd,
}

impl Flow {
    fn new(
        (peer, local): (SocketAddr, SocketAddr),
        tls: Option<Rc<Session>>,
        listener: Arc<Listener>,
        context: Rc<WorkerContext>,
    ) -> Self {
        let kind = match &tls {
            Some(_) => FlowKind::Tls,
            None => FlowKind::Tcp,
        };
        let rule = match &tls {
            Some(session) if !listener.rules.is_empty() => {
                let name = session.server_name.as_deref().unwrap_or_default();
                let protocols = session.protocols();
                listener.rule_for_flow(name, protocols, peer.ip(), context.worker())
            }
            _ => None,
        };
        let flows = listener.counters.of(context.worker()).flows(kind);
        flows.opened.add(1);
        Self {
            context,
            listener,
            peer,
            local,
            accepted: Instant::now(),
            connected: None,
            route: None,
            target: None,
            bytes: (0, 0),
            segments: None,
            retries: 0,
            kind,
            rule,
            tls,
            // What a flow dropped before its end was ended by.
            end: FlowEnd::Shutdown,
        }
    }

    fn ended(&mut self, end: FlowEnd) {
        self.end = end;
    }

    fn forward(&self) -> Option<&Forward> {
        match &self.listener.branch(self.rule).action {
            Action::Forward(forward) => Some(forward),
            Action::Redirect(_) | Action::FixedResponse(_) => None,
        }
    }

    fn route(&self) -> Option<&Route> {
        self.forward()?.route(self.route?)
    }

    /// A connected target, each tried once.
    async fn open(&mut self, tlvs: Option<&Tlvs>) -> Result<(Work, Stream), RejectReason> {
        let session = self.tls.clone();
        let client = Introduced {
            client: self.peer,
            local: self.local,
            tlvs,
            session: session.as_deref(),
            transport: Transport::Stream,
        };
        let mut attempts = Attempts::new(Origin::tcp(self.peer, self.local));
        self.route = self.forward().and_then(Forward::choose);
        loop {
            let route = self.route().ok_or(RejectReason::NoTarget)?;
            let choice = self.context.choose(route, &mut attempts).await?;
            let Some(work) = self.context.begin(&choice.target, WorkKind::Flow) else {
                continue;
            };
            self.target = Some(choice.target.name().clone());
            match self.context.reach(&choice, &client).await {
                Ok(stream) => {
                    self.connected = Some(Instant::now());
                    return Ok((work, stream));
                }
                Err(error) => {
                    self.context.counters().retry(error.retry_reason());
                    if error.is_port_exhaustion() {
                        self.counters().flows(self.kind).port_exhaustion.add(1);
                    }
                    self.retries += 1;
                    attempts.tried.add(&choice.target);
                }
            }
        }
    }

    /// Copies until both sides have ended, one failed, the flow fell silent, or the target's fate
    /// ends it.
    async fn run(
        &mut self,
        work: &Work,
        (client, target): (&mut Stream, &mut Stream),
        copy: &mut Copy,
    ) -> FlowEnd {
        let part = self.listener.idle_timeout / IDLE_PARTS;
        let mut timer = pin!(tokio::time::sleep(part));
        let mut silent_parts = 0;
        let mut last = copy.bytes();
        let mut armed = false;
        let end = poll_fn(|cx| {
            let copied = copy.poll(client, target, cx, self.context.copy_room());
            self.count(copy.bytes());
            match copied {
                Poll::Ready(Ok(())) => return Poll::Ready(FlowEnd::Finished),
                Poll::Ready(Err(Fault::Client)) => return Poll::Ready(FlowEnd::ClientReset),
                Poll::Ready(Err(Fault::Target)) => return Poll::Ready(FlowEnd::TargetReset),
                Poll::Pending => {}
            }
            if let Poll::Ready(end) = work.poll_end(cx) {
                return Poll::Ready(FlowEnd::Target(end));
            }
            // Once armed the timer holds this task's waker: looking whether it fired is enough.
            while !armed || timer.is_elapsed() {
                if timer.as_mut().poll(cx).is_pending() {
                    armed = true;
                    break;
                }
                silent_parts = if copy.bytes() == last {
                    silent_parts + 1
                } else {
                    0
                };
                if silent_parts >= IDLE_PARTS {
                    return Poll::Ready(FlowEnd::IdleTimeout);
                }
                last = copy.bytes();
                timer.as_mut().reset(Instant::now() + part);
                armed = false;
            }
            Poll::Pending
        });
        let end = end.await;
        match end {
            FlowEnd::Finished => self.context.observe(work.target(), TrafficOutcome::Success),
            FlowEnd::TargetReset => {
                let reset = TrafficOutcome::Failure(TrafficFailure::Reset);
                self.context.observe(work.target(), reset);
            }
            _ => {}
        }
        if end != FlowEnd::Finished {
            copy.reset(client, target);
        }
        self.note_segments(|| client.segments());
        end
    }

    fn counters(&self) -> &ListenerCounters {
        self.listener.counters.of(self.context.worker())
    }

    /// Asks the kernel while the connection is still there, if anybody wants to know.
    fn note_segments(&mut self, ask: impl FnOnce() -> Option<(u64, u64)>) {
        if self.context.log().logs_flows() {
            self.segments = ask();
        }
    }

    /// Adds what was copied since the last call to the listener's counters.
    fn count(&mut self, bytes: (u64, u64)) {
        let counters = self.counters();
        counters.bytes_in.add(bytes.0 - self.bytes.0);
        counters.bytes_out.add(bytes.1 - self.bytes.1);
        self.bytes = bytes;
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.counters().flows(self.kind).end(self.end);
        if !self.context.log().logs_flows() {
            return;
        }
        let duration = self.accepted.elapsed();
        let time = SystemTime::now();
        self.context.log().flow(&FlowRecord {
            kind: self.kind,
            time: time.checked_sub(duration).unwrap_or(time),
            listener: &self.listener.name,
            target_group: &self
                .route()
                .map_or(&self.listener.unrouted, |route| &route.tally)
                .group_name,
            client: self.peer,
            local: self.local,
            target: self.target.as_deref(),
            bytes_in: self.bytes.0,
            bytes_out: self.bytes.1,
            packets: self.segments,
            connect: self.connected.map(|at| at - self.accepted),
            duration,
            retries: self.retries,
            termination: self.end,
            tls: self.tls.as_ref().map(|session| session.record()),
        });
    }
}
