//! The shell around one socket's flows: waits, moves datagrams in batches, keeps time.
//!
//! The worker makes a [`Datagrams`] for each of its sockets and runs [`Datagrams::serve`] as one
//! task. Flows' sockets stand in an epoll set of the shell's own, which the runtime watches as one
//! descriptor: no task, waker or timer per flow. `clients` moves datagrams inwards, `targets`
//! outwards; neither blocks.
//!
//! Cost: per wake three epoll_waits, one recvmmsg and one sendmmsg per 32 datagrams from and to
//! clients, one send and one recv per datagram of a flow.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use conf::ListenerProtocol;
use rustix::event::epoll;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::batch::Arrival;
use super::flow::Flow;
use super::held::Held;
use super::queued::Queued;
use super::refusals::Refusals;
use super::table::{Expiry, FlowId, FlowTable, Lifetimes};
use super::watch::watch;
use crate::access_log::FlowEnd;
use crate::context::WorkerContext;
use crate::limits::Budget;
use crate::metrics::ListenerCounters;
use crate::snapshot::Listener;
use crate::sockets::SocketKey;

/// Batches moved in a row before other tasks of the worker get their turn.
pub(super) const ROUNDS: usize = 4;

/// Ends of flows may be so much late: a wake for each would cost more than they do.
const LATENESS: Duration = Duration::from_millis(100);

/// How often held datagrams look for a target when no snapshot comes and no room is told: limits that were
/// raised make some without telling.
const HOLD_RECHECK: Duration = Duration::from_millis(100);

/// While the process shuts down, flows silent for this long are over: UDP has no better sign.
const QUIET: Duration = Duration::from_secs(1);

/// How a socket is being closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    /// No new flows; those there are go on.
    Refusing,
    /// The listener no longer has the address.
    Removed,
}

/// The worker's hold on a socket for datagrams.
#[derive(Debug, Clone)]
pub(crate) struct Datagrams {
    key: SocketKey,
    closing: Rc<Signal>,
}

#[derive(Debug)]
struct Signal {
    state: Cell<Closing>,
    changed: Notify,
    ended: Cell<bool>,
}

impl Datagrams {
    /// A hold on the socket of `key`.
    pub(crate) fn new(key: SocketKey) -> Self {
        let signal = Signal {
            state: Cell::new(Closing::Open),
            changed: Notify::new(),
            ended: Cell::new(false),
        };
        Self {
            key,
            closing: Rc::new(signal),
        }
    }

    /// Opens no further flows.
    pub(crate) fn refuse(&self) {
        self.close(Closing::Refusing);
    }

    /// Ends every flow and closes the socket; returns when its address is free.
    pub(crate) async fn remove(&self) {
        self.close(Closing::Removed);
        while !self.closing.ended.get() {
            self.closing.changed.notified().await;
        }
    }

    fn close(&self, how: Closing) {
        self.closing.state.set(how);
        self.closing.changed.notify_waiters();
    }

    /// Serves `socket` until it is removed, or refused and quiet.
    ///
    /// # Errors
    /// When the runtime or the kernel gives no event queue.
    pub(crate) fn serve(
        self,
        socket: UdpSocket,
        context: Rc<WorkerContext>,
        budget: Arc<Budget>,
    ) -> io::Result<impl Future<Output = ()>> {
        let mut shell = Shell::new(socket, &self, context.clone(), budget)?;
        Ok(async move {
            let end = loop {
                // Both made before looking, so that no change falls in between.
                let (adopted, changed) = (context.adopted(), self.closing.changed.notified());
                if self.closing.state.get() == Closing::Removed {
                    break FlowEnd::ListenerRemoved;
                }
                shell.adopt();
                tokio::select! {
                    biased;
                    () = adopted => {}
                    () = changed => {}
                    () = poll_fn(|cx| shell.poll(cx)) => break FlowEnd::Shutdown,
                }
            };
            shell.end_all(end);
            shell.log_refusals(Instant::now());
            drop(shell);
            self.closing.ended.set(true);
            self.closing.changed.notify_waiters();
        })
    }
}

/// One socket's flows.
pub(super) struct Shell {
    pub(super) context: Rc<WorkerContext>,
    pub(super) budget: Arc<Budget>,
    key: SocketKey,
    closing: Rc<Signal>,
    /// What clients send to.
    pub(super) socket: Rc<AsyncFd<OwnedFd>>,
    local: SocketAddr,
    /// The epoll set of the flows' sockets.
    pub(super) readiness: Rc<AsyncFd<OwnedFd>>,
    pub(super) table: FlowTable<Flow>,
    /// Times flows' sockets were looked at.
    pub(super) pass: u32,
    /// The listener it belongs to, or last belonged to.
    pub(super) listener: Option<Arc<Listener>>,
    pub(super) held: Held,
    pub(super) queued: Queued,
    pub(super) refusals: Refusals,
    timer: Pin<Box<Sleep>>,
    armed: Option<Instant>,
}

impl Shell {
    fn new(
        socket: UdpSocket,
        datagrams: &Datagrams,
        context: Rc<WorkerContext>,
        budget: Arc<Budget>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let readiness = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            context,
            budget,
            key: datagrams.key.clone(),
            closing: datagrams.closing.clone(),
            socket: Rc::new(watch(socket.into())?),
            local,
            readiness: Rc::new(watch(readiness)?),
            table: FlowTable::default(),
            pass: 0,
            listener: None,
            held: Held::default(),
            queued: Queued::default(),
            refusals: Refusals::default(),
            timer: Box::pin(sleep_until(Instant::now())),
            armed: None,
        })
    }

    /// The address that a client used, as the listener has it.
    pub(super) fn local(&self, from: &Arrival) -> SocketAddr {
        let ip = from.own.map_or(self.local.ip(), |own| own.ip());
        SocketAddr::new(ip, self.local.port())
    }

    /// True when no flow may be opened any more.
    pub(super) fn is_refusing(&self) -> bool {
        self.closing.state.get() != Closing::Open
    }

    /// True when connection IDs tell flows.
    pub(super) fn is_quic(&self) -> bool {
        let protocol = self.listener.as_ref().map(|listener| listener.protocol);
        protocol.is_some_and(ListenerProtocol::is_quic)
    }

    /// This worker's counters of the listener.
    pub(super) fn counters(&self) -> Option<&ListenerCounters> {
        let listener = self.listener.as_ref();
        listener.map(|listener| listener.counters.of(self.context.worker()))
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        let udp = self.listener.as_ref().map(|listener| listener.udp);
        Lifetimes {
            unreplied: udp.map_or(Duration::ZERO, |udp| udp.unreplied_timeout),
            replied: udp.map_or(Duration::ZERO, |udp| udp.idle_timeout),
            responses: udp.map_or(0, |udp| udp.responses),
        }
    }

    /// Ends one flow.
    pub(super) fn end(&mut self, id: FlowId, end: FlowEnd) {
        if let Some(flow) = self.table.remove(id) {
            flow.end(end);
        }
    }

    fn end_all(&mut self, end: FlowEnd) {
        for id in self.table.ids(|_| true) {
            self.end(id, end);
        }
    }

    /// Takes over what a new snapshot says: the listener, flows' fates, targets for what is held.
    fn adopt(&mut self) {
        let key = &self.key;
        let find = |snapshot: &crate::Snapshot| snapshot.listener_of(key).cloned();
        if let Some(listener) = self.context.with_snapshot(find) {
            self.listener = Some(listener);
        }
        for id in self.table.ids(|flow| flow.work.end().is_some()) {
            let end = self.table.get_mut(id).and_then(|flow| flow.work.end());
            if let Some(end) = end {
                self.end(id, FlowEnd::Target(end));
            }
        }
        self.retry_held(Instant::now());
    }

    /// Moves what can be moved; ready when the process shuts down and no flow speaks any more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        self.poll_clients(cx, now);
        self.poll_targets(cx, now);
        self.poll_timer(cx)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            // What found room at once, after it was full, holds nothing.
            self.leave_if_idle();
            while self.queued.poll_freed(cx).is_ready() {
                self.retry_held(now);
            }
            if self.context.is_draining() && self.quiet_at().is_none_or(|quiet| quiet <= now) {
                return Poll::Ready(());
            }
            let Some(next) = self.next_look(now) else {
                return Poll::Pending;
            };
            if self.armed.is_none_or(|armed| next < armed) {
                self.timer.as_mut().reset(next);
                self.armed = Some(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = None;
            self.expire(now);
            self.retry_held(now);
            self.log_due_refusals(now);
        }
    }

    /// When there is something to do without a datagram.
    fn next_look(&self, now: Instant) -> Option<Instant> {
        let expiry = self.table.next_expiry(&self.lifetimes());
        let expiry = expiry.map(|at| at + LATENESS);
        let held = (!self.held.is_empty()).then(|| now + HOLD_RECHECK);
        let draining = self.context.is_draining();
        let quiet = draining.then(|| self.quiet_at()).flatten();
        let others = self.refusals.due_at().into_iter();
        others.chain(expiry).chain(held).chain(quiet).min()
    }

    /// When the flows will have been quiet for long enough; `None` when there is none.
    fn quiet_at(&self) -> Option<Instant> {
        self.table.last_activity().map(|last| last + QUIET)
    }

    fn expire(&mut self, now: Instant) {
        let lifetimes = self.lifetimes();
        while let Some((id, expiry)) = self.table.expired(&lifetimes, now) {
            let end = match expiry {
                Expiry::Unreplied => FlowEnd::Unreplied,
                Expiry::Idle => FlowEnd::IdleTimeout,
            };
            self.end(id, end);
        }
    }
}

/// The buffers, for the length of one step.
pub(super) fn buffers(context: &WorkerContext) -> std::cell::RefMut<'_, super::Batch> {
    let cell: &RefCell<_> = context.datagrams();
    cell.borrow_mut()
}
