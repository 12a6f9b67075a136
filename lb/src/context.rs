//! What one worker's tasks share: the snapshot cache, choosing and holding, work in hand, counters,
//! the log ring, buffers.
//!
//! One per worker, behind an `Rc`; every data path gets it. Single-threaded: nothing here may be
//! borrowed across an await.
//!
//! Cost: reading the snapshot is one atomic load; choosing adds what the picker costs.

use std::cell::{Cell, OnceCell, RefCell};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use healthcheck::{Reporter, TrafficOutcome};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::access_log::{ConnectionTrace, Detail, LogRing};
use crate::balance::{Origin, Pick, Tried};
use crate::l4::{Batch, CopyBuffer, PipePool, Room};
use crate::metrics::{PerWorker, RejectReason, RetryReason, WorkerCounters};
use crate::past::PastRing;
use crate::proxy::Introduced;
use crate::queue::Queue;
use crate::retries::Retrying;
use crate::snapshot::{Route, Snapshot};
use crate::target::{Target, WorkKind};
use crate::tls::{Scratch, TargetTls};
use crate::wall_clock::WallClock;
use crate::work::{Work, WorkTable};

/// A held request looks again this often even when no snapshot came: a suspect mark can be cleared
/// without any state changing.
const HOLD_RECHECK: Duration = Duration::from_millis(100);
/// How many times in a row work leaves alone a place that other work was told of: a second in all.
const MOST_PATIENT: u32 = 10;

/// What one worker's tasks share.
#[derive(Debug)]
pub struct WorkerContext {
    worker: usize,
    snapshot: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    changed: Notify,
    draining: Cell<bool>,
    rng: RefCell<SmallRng>,
    reporter: Reporter,
    counters: PerWorker<WorkerCounters>,
    work: WorkTable,
    log: LogRing,
    past: PastRing,
    fate_epoch: Cell<u64>,
    copy_buffer: CopyBuffer,
    pipes: PipePool,
    datagrams: OnceCell<RefCell<Batch>>,
    ciphertext: OnceCell<Scratch>,
    wall_clock: WallClock,
    l7: crate::l7::State,
    /// Drawn at the start: half of the trace IDs of this worker's connections.
    trace: u64,
    /// Connections numbered so far: the other half.
    numbered: Cell<u64>,
}

/// A chosen target, and its group's timeouts.
#[derive(Debug)]
pub struct Choice {
    /// The target.
    pub target: Arc<Target>,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// How long the target may be silent while an answer is due.
    pub response_timeout: Duration,
    /// How TLS is agreed on with it; `None` in clear text.
    pub(crate) tls: Option<Arc<TargetTls>>,
    /// What its targets speak.
    pub(crate) protocol: conf::GroupProtocol,
    /// What the connection begins with.
    pub(crate) proxy_out: conf::ProxyOut,
    /// What its answers take is to be measured.
    pub(crate) is_timed: bool,
    /// The connection comes from the client's address.
    pub(crate) preserve_client_ip: bool,
}

impl Choice {
    /// True when the connection tells whose it is, so that it is of use to that client alone.
    pub(crate) fn is_personal(&self) -> bool {
        self.proxy_out.is_on() || self.preserve_client_ip
    }
}

/// What one request or flow remembers between choices. Lives on the stack.
#[derive(Debug)]
pub struct Attempts {
    /// Where it comes from.
    pub origin: Origin,
    /// The targets that failed it.
    pub tried: Tried,
    /// Waiting longer is of no use; `None` = it always is.
    pub(crate) until: Option<Instant>,
    hold_until: Option<Instant>,
    queue_until: Option<Instant>,
}

/// Why no target was chosen.
#[derive(Debug)]
pub(crate) enum NoChoice {
    /// No target is registered.
    None,
    /// None can be used now; work may wait so long for one.
    Hold(Duration),
    /// Those to be used are full; work may wait so long in the group's queue.
    Full(Arc<Queue>, Duration),
}

impl NoChoice {
    /// How long work may wait; `None` = not at all.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Hold(patience) | Self::Full(_, patience) => Some(*patience),
        }
    }
}

impl Attempts {
    /// Nothing tried yet.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            tried: Tried::default(),
            until: None,
            hold_until: None,
            queue_until: None,
        }
    }
}

impl WorkerContext {
    /// A context for worker number `worker`.
    pub(crate) fn new(
        worker: usize,
        snapshot: Arc<ArcSwap<Snapshot>>,
        reporter: Reporter,
        counters: PerWorker<WorkerCounters>,
        (log, past): (LogRing, PastRing),
    ) -> Self {
        Self {
            worker,
            snapshot: RefCell::new(Cache::new(snapshot)),
            changed: Notify::new(),
            draining: Cell::new(false),
            rng: RefCell::new(SmallRng::from_os_rng()),
            reporter,
            work: WorkTable::default(),
            log,
            past,
            fate_epoch: Cell::new(0),
            copy_buffer: CopyBuffer::default(),
            pipes: PipePool::new(counters.clone(), worker),
            datagrams: OnceCell::new(),
            ciphertext: OnceCell::new(),
            wall_clock: WallClock::default(),
            l7: crate::l7::State::default(),
            trace: rand::random(),
            numbered: Cell::new(0),
            counters,
        }
    }

    /// This worker's number, for [`PerWorker::of`].
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Reads the newest snapshot. `read` must not call back into the context's snapshot methods.
    pub fn with_snapshot<T>(&self, read: impl FnOnce(&Snapshot) -> T) -> T {
        read(self.snapshot.borrow_mut().load())
    }

    /// Chooses a target for `route`, holding while none can be used. After a failed attempt, add
    /// the target to `attempts.tried` and call again.
    ///
    /// # Errors
    /// The reason to refuse the work with (503): no target registered, or none recovered in time.
    pub async fn choose(
        &self,
        route: &Route,
        attempts: &mut Attempts,
    ) -> Result<Choice, RejectReason> {
        loop {
            let hold = match self.try_choose(route, &attempts.origin, &attempts.tried) {
                Ok(choice) => return Ok(choice),
                Err(NoChoice::None) => return Err(RejectReason::NoTarget),
                Err(NoChoice::Full(queue, patience)) => {
                    // Boxed: waiting is rare.
                    match Box::pin(self.queue(route, attempts, queue, patience)).await? {
                        Some(choice) => return Ok(choice),
                        None => continue,
                    }
                }
                Err(NoChoice::Hold(hold)) => hold,
            };
            let now = Instant::now();
            let until = *attempts.hold_until.get_or_insert(now + hold);
            let until = attempts.until.map_or(until, |whole| whole.min(until));
            if now >= until {
                return Err(RejectReason::HoldExpired);
            }
            self.wait_for_change(until).await;
            attempts.tried.held();
        }
    }

    /// Waits its turn in a group's queue; `None` when the group has no target to wait for any more.
    async fn queue(
        &self,
        route: &Route,
        attempts: &mut Attempts,
        queue: Arc<Queue>,
        patience: Duration,
    ) -> Result<Option<Choice>, RejectReason> {
        let _waiting = queue.enter();
        let mut freed = pin!(queue.freed());
        let mut is_told = false;
        let until = Instant::now() + patience;
        let until = *attempts.queue_until.get_or_insert(until);
        let until = attempts.until.map_or(until, |whole| whole.min(until));
        let mut patient = 0;
        loop {
            // Who looks without having been told does not overtake who has, unless that one is lost.
            patient = match queue.is_promised() {
                true => patient + 1,
                false => 0,
            };
            if is_told || patient == 0 || patient > MOST_PATIENT {
                let looked = self.look(route, &attempts.origin, &attempts.tried, true);
                if is_told {
                    queue.heard();
                }
                match looked {
                    Ok(choice) => return Ok(Some(choice)),
                    Err(NoChoice::Full(..)) => {}
                    Err(_) => return Ok(None),
                }
            }
            let now = Instant::now();
            if now >= until {
                return Err(RejectReason::QueueTimeout);
            }
            is_told = tokio::select! {
                biased;
                () = &mut freed => {
                    freed.set(queue.freed());
                    true
                }
                // Limits that were raised free places without telling.
                () = tokio::time::sleep_until(until.min(now + HOLD_RECHECK)) => false,
            };
        }
    }

    /// One choice without waiting.
    pub(crate) fn try_choose(
        &self,
        route: &Route,
        origin: &Origin,
        tried: &Tried,
    ) -> Result<Choice, NoChoice> {
        self.look(route, origin, tried, false)
    }

    /// A choice for what has waited in the queue, or has not, and then does not overtake.
    pub(crate) fn look(
        &self,
        route: &Route,
        origin: &Origin,
        tried: &Tried,
        has_waited: bool,
    ) -> Result<Choice, NoChoice> {
        self.with_snapshot(|snapshot| {
            let group = snapshot.group(route).ok_or(NoChoice::None)?;
            let full = || NoChoice::Full(group.queue.clone(), group.settings.queue_timeout);
            if group.is_limited && !has_waited && group.queue.waiting() > 0 {
                return Err(full());
            }
            match group.pick(&mut self.rng.borrow_mut(), origin, tried) {
                Pick::Target(target) => {
                    if group.fail_open && tried.count() == 0 {
                        route
                            .tally
                            .counters
                            .of(self.worker)
                            .unhealthy_routing
                            .add(1);
                    }
                    Ok(Choice {
                        target: target.clone(),
                        connect_timeout: group.settings.connect_timeout,
                        response_timeout: group.settings.response_timeout,
                        tls: group.settings.tls.clone(),
                        protocol: group.settings.protocol,
                        proxy_out: group.settings.proxy_out,
                        preserve_client_ip: group.settings.preserve_client_ip,
                        is_timed: group.settings.algorithm == conf::Algorithm::PeakEwma,
                    })
                }
                Pick::Hold => Err(NoChoice::Hold(group.settings.hold)),
                Pick::Full => Err(full()),
                Pick::None => Err(NoChoice::None),
            }
        })
    }

    /// Lets a request that failed on `failed` targets of `route` be tried again; false when the
    /// group's limits do not, which is counted.
    pub(crate) fn may_retry(
        &self,
        route: &Route,
        failed: usize,
        reason: RetryReason,
        held: &mut Option<Retrying>,
    ) -> bool {
        let allowed = self.with_snapshot(|snapshot| match snapshot.group(route) {
            None => Ok(()),
            Some(group) => {
                let moment = (Instant::now(), group.selected());
                let limits = group.settings.retries;
                group.retries.allow(limits, failed, reason, held, moment)
            }
        });
        match allowed {
            Ok(()) => true,
            Err(refusal) => {
                self.counters().refuse_retry(refusal);
                false
            }
        }
    }

    /// Waits until this worker adopts another snapshot, at most until `deadline`; may return
    /// early, so look again.
    pub async fn wait_for_change(&self, deadline: Instant) {
        let recheck = Instant::now() + HOLD_RECHECK;
        let changed = self.changed.notified();
        // Either way the caller looks again.
        let _ = tokio::time::timeout_at(deadline.min(recheck), changed).await;
    }

    /// Counts work that begins on a target, and registers it to be told of its target's end; `None`
    /// when the target has become full since it was chosen: choose again.
    pub fn begin(&self, target: &Arc<Target>, kind: WorkKind) -> Option<Work> {
        self.work.begin(target, kind)
    }

    /// The same for work that a target has already, by another way: its limit does not count.
    pub(crate) fn begin_beyond(&self, target: &Arc<Target>, kind: WorkKind) -> Option<Work> {
        Some(self.work.begin_beyond(target, kind))
    }

    /// The PROXY header that a connection to a target begins with; empty for none.
    pub(crate) fn introduction(&self, out: conf::ProxyOut, client: &Introduced<'_>) -> Vec<u8> {
        match out.is_on() {
            true => client.header(out, &mut self.rng.borrow_mut()),
            false => Vec::new(),
        }
    }

    /// True once the process is shutting down: answer with `Connection: close`, close idle
    /// connections. When it turns true every connection's task is woken once, so a `poll_fn`
    /// that checks it needs no waiting of its own.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// How to tell the board about real traffic. [`WorkerContext::connect`] does so by itself.
    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Tells what a request or flow came to on a target, if its group has `passive-health`.
    /// [`WorkerContext::connect`] tells of its failures by itself.
    pub fn observe(&self, target: &Target, outcome: TrafficOutcome) {
        let (signal, slot) = (target.signal(), target.slot());
        self.reporter.observe(signal, slot, self.worker, outcome);
    }

    /// This worker's own counters.
    pub fn counters(&self) -> &WorkerCounters {
        self.counters.of(self.worker)
    }

    /// The access log.
    pub fn log(&self) -> &LogRing {
        &self.log
    }

    /// Past requests.
    pub(crate) fn past(&self) -> &PastRing {
        &self.past
    }

    /// What of an exchange is worth keeping for the log and for those who ask later; `shows_trace` says
    /// that clients may be told what it is known by.
    pub(crate) fn detail(&self, shows_trace: bool) -> Detail {
        match (self.past.is_on(), shows_trace) {
            (true, _) => Detail::Whole,
            (false, true) => Detail::Full,
            (false, false) => self.log.detail(),
        }
    }

    /// True when somebody will want to know how long an exchange took where.
    pub(crate) fn records_exchanges(&self) -> bool {
        self.log.is_on() || self.past.is_on()
    }

    /// The next number for a client's connection.
    pub(crate) fn number_connection(&self) -> u64 {
        let number = self.numbered.get().wrapping_add(1);
        self.numbered.set(number);
        number
    }

    /// What the connection of that number is known by.
    pub(crate) fn connection_trace(&self, number: u64) -> ConnectionTrace {
        ConnectionTrace {
            worker: self.trace,
            number,
        }
    }

    /// The buffer all of this worker's copying goes through; see [`CopyBuffer::with`].
    pub fn copy_buffer(&self) -> &CopyBuffer {
        &self.copy_buffer
    }

    /// Where what flows say is on its way across.
    pub(crate) fn copy_room(&self) -> Room<'_> {
        Room {
            buffer: &self.copy_buffer,
            pipes: &self.pipes,
        }
    }

    /// The buffers all of this worker's datagrams go through, within one poll.
    pub(crate) fn datagrams(&self) -> &RefCell<Batch> {
        self.datagrams.get_or_init(|| RefCell::new(Batch::new()))
    }

    /// The buffer that all of this worker's TLS streams read into.
    pub(crate) fn ciphertext(&self) -> &Scratch {
        self.ciphertext.get_or_init(Scratch::default)
    }

    /// Ready once this worker adopts a snapshot after the call.
    pub(crate) fn adopted(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The time of day.
    pub(crate) fn wall_clock(&self) -> &WallClock {
        &self.wall_clock
    }

    /// What HTTP connections share.
    pub(crate) fn l7(&self) -> &crate::l7::State {
        &self.l7
    }

    /// Adopts the newest snapshot: tells work whose target's fate changed and wakes held requests.
    /// Returns the configuration and health generations now in use.
    pub(crate) fn adopt(&self) -> (u64, u64) {
        let (generations, fate_epoch) = self.with_snapshot(|snapshot| {
            let generations = (snapshot.config_generation(), snapshot.health_generation());
            (generations, snapshot.fate_epoch)
        });
        if self.fate_epoch.replace(fate_epoch) != fate_epoch {
            self.work.tell_ends();
        }
        self.changed.notify_waiters();
        generations
    }

    /// Makes all work end when its task is polled next.
    pub(crate) fn end_work(&self) {
        self.work.end_all();
    }

    /// Turns [`WorkerContext::is_draining`] on.
    pub(crate) fn start_draining(&self) {
        self.draining.set(true);
    }
}
