//! What one exchange leaves behind: counters, and a line in the access log.
//!
//! Filled while the exchange runs and written when it is dropped, so that an exchange that is cut
//! short is counted too. Cost: five counter additions and a search of 14 bounds; the log's only
//! when it is on.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::desync::Verdict;
use super::failure::Failure;
use super::log_text::{LogMarks, LogText};
use super::pace::Pace;
use super::response_relay::ResponseRelay;
use crate::access_log::ExchangeRecord;
use crate::context::WorkerContext;
use crate::metrics::RequestCounters;
use crate::past::Remembered;
use crate::rules::{Action, Branch};
use crate::snapshot::{Listener, Route, Tally};
use crate::target::Target;
use crate::tls::Session;

/// Whose exchange it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client<'a> {
    pub(super) address: SocketAddr,
    /// The number of its connection.
    pub(super) number: u64,
    /// The configuration generation it is served by.
    pub(super) generation: u64,
    /// What was agreed on with it.
    pub(super) tls: Option<&'a Rc<Session>>,
}

/// One exchange's record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) context: &'a WorkerContext,
    listener: &'a Listener,
    client: SocketAddr,
    /// The number of the client's connection.
    number: u64,
    /// When its first byte was read.
    pub(super) started: Instant,
    /// What the request led to; `None` when it was refused before.
    pub(super) branch: Option<&'a Branch>,
    /// Where it was forwarded to.
    pub(super) route: Option<&'a Route>,
    /// What the client speaks.
    pub(super) protocol: &'static str,
    /// It is a gRPC call.
    pub(super) is_grpc: bool,
    /// Texts of the request.
    pub(super) text: Vec<u8>,
    /// Where each ends in `text`.
    pub(super) marks: LogMarks,
    /// The target that answered, or was tried last.
    pub(super) target: Option<Arc<Target>>,
    /// Status the client got; 0 = none.
    pub(super) status: u16,
    /// Status the target sent.
    pub(super) target_status: Option<u16>,
    /// Bytes read from the client.
    pub(super) bytes_in: u64,
    /// Bytes written to the client.
    pub(super) bytes_out: u64,
    /// How long it waited for a target, or for a place on one.
    pub(super) queued: Option<Duration>,
    /// From its first byte to its being sent to the target.
    pub(super) sent: Option<Duration>,
    /// How long connecting took; `None` on a kept connection.
    pub(super) connect: Option<Duration>,
    /// From the request being sent to the answer's first byte.
    pub(super) first_byte: Option<Duration>,
    /// Attempts beyond the first.
    pub(super) retries: u32,
    /// What was agreed on with the client.
    tls: Option<Rc<Session>>,
    /// What is odd about the request, when something is.
    pub(super) desync: Option<Verdict>,
    /// Why the balancer answered itself.
    pub(super) reason: Option<&'static str>,
    /// It was over a rate limit that only counts.
    pub(super) over_limit: bool,
    /// How the exchange ended when not well.
    pub(super) termination: Option<&'static str>,
    /// Where it is remembered; `None` when it is not.
    pub(super) past: Option<Remembered>,
    /// When it ended, where the clock was read for that.
    pub(super) ended: Option<Instant>,
    is_written: bool,
}

impl<'a> Record<'a> {
    /// A record of an exchange that began at `started`; until told otherwise it was cut short.
    pub(super) fn new(
        context: &'a WorkerContext,
        listener: &'a Listener,
        client: Client<'_>,
        started: Instant,
    ) -> Self {
        Self {
            context,
            listener,
            client: client.address,
            number: client.number,
            started,
            branch: None,
            route: None,
            protocol: "http/1.1",
            is_grpc: false,
            text: Vec::new(),
            marks: LogMarks::default(),
            target: None,
            status: 0,
            target_status: None,
            bytes_in: 0,
            bytes_out: 0,
            queued: None,
            sent: None,
            connect: None,
            first_byte: None,
            retries: 0,
            tls: client.tls.cloned(),
            desync: None,
            reason: None,
            over_limit: false,
            termination: Some("shutdown"),
            past: context.past().begin(client.generation),
            ended: None,
            is_written: false,
        }
    }

    /// Notes that this program answered `status` itself.
    pub(super) fn answered(&mut self, failure: Failure, status: u16) {
        self.status = status;
        self.reason = Some(failure.as_str());
        self.termination = None;
        if let Some(reason) = failure.reject_reason() {
            self.listener
                .counters
                .of(self.context.worker())
                .reject(reason);
        }
    }

    /// Whose exchange it is.
    pub(super) fn listener(&self) -> &'a Listener {
        self.listener
    }

    /// When it has lasted too long.
    pub(super) fn until(&self) -> Option<Instant> {
        let limits = self.listener.pace.as_ref()?;
        limits.until(self.started)
    }

    /// The pace of an attempt; `None` where silence alone is limited.
    pub(super) fn pace(&self) -> Option<Pace> {
        let limits = self.listener.pace?;
        Some(Pace::new(limits, self.started))
    }

    /// What the request is known by: its trace's ID, else its connection's.
    pub(super) fn known_by(&self) -> Vec<u8> {
        match self.marks.text(&self.text, LogText::TraceId) {
            [] => self
                .context
                .connection_trace(self.number)
                .to_string()
                .into(),
            trace => trace.to_vec(),
        }
    }

    /// Notes what was relayed of a response.
    pub(super) fn took(&mut self, response: &ResponseRelay) {
        self.target_status = response.status;
        self.bytes_out += response.bytes_out;
        if response.is_begun {
            self.status = response.status.unwrap_or_default();
        }
    }

    /// Lets nothing be written: there was no exchange.
    pub(super) fn forget(mut self) {
        self.is_written = true;
    }

    /// Ends the record at `now`, and hands the room for the log text back.
    pub(super) fn end(mut self, now: Instant) -> Vec<u8> {
        self.write(now);
        self.is_written = true;
        std::mem::take(&mut self.text)
    }

    fn write(&mut self, now: Instant) {
        let duration = now - self.started;
        let worker = self.context.worker();
        let counters = self.listener.counters.of(worker);
        counters.bytes_in.add(self.bytes_in);
        counters.bytes_out.add(self.bytes_out);
        if let Some(verdict) = self.desync {
            counters.desync(verdict.tier);
        }
        if self.is_grpc {
            counters.requests.grpc.add(1);
        }
        if self.target_status.is_none() {
            self.count_own(&counters.requests);
        }
        let counters = self.tally().counters.of(worker);
        if let Some(status) = self.target_status {
            counters.target_response(status);
        }
        counters.exchange(self.status, duration);
        if self.past.is_some() || self.context.log().is_on() {
            self.tell(duration);
        }
    }

    /// Counts what no target answered.
    #[cold]
    fn count_own(&self, counters: &RequestCounters) {
        if self.status == 0 {
            return;
        }
        counters.generated(self.status);
        let action = self.branch.map(|branch| &branch.action);
        match action.filter(|_| self.reason.is_none()) {
            Some(Action::Redirect(_)) => counters.redirects.add(1),
            Some(Action::FixedResponse(_)) => counters.fixed_responses.add(1),
            Some(Action::Forward(_)) | None => {}
        }
    }

    /// Tells the log, and those who will ask.
    #[inline(never)]
    fn tell(&mut self, duration: Duration) {
        let past = self.past.take();
        let record = self.shown(duration);
        if self.context.log().is_on() {
            self.context.log().exchange(&record);
        }
        if let Some(mut past) = past {
            let head = self.marks.text(&self.text, LogText::Head);
            if let Some(unshared) = Remembered::get_mut(&mut past) {
                unshared.end(&record, head);
            }
            self.context.past().keep(past);
        }
    }

    fn tally(&self) -> &Tally {
        self.route
            .map_or(&self.listener.unrouted, |route| &route.tally)
    }

    fn asks_for_token(&self) -> bool {
        let gate = self.branch.and_then(|branch| branch.gate.as_ref());
        gate.is_some_and(|gate| gate.asks_for_token())
    }

    /// The record as logs have it.
    fn shown(&self, duration: Duration) -> ExchangeRecord<'_> {
        let text = |which| self.marks.text(&self.text, which);
        ExchangeRecord {
            time: self.context.wall_clock().at(self.started),
            listener: &self.listener.name,
            target_group: &self.tally().group_name,
            rule: self.branch.map(|branch| &*branch.label),
            action: self.branch.map(|branch| branch.action.as_str()),
            client: self.client,
            asks_for_token: self.asks_for_token(),
            connection: self.context.connection_trace(self.number),
            target: self.target.as_ref().map(|target| &**target.name()),
            protocol: self.protocol,
            is_grpc: self.is_grpc,
            method: text(LogText::Method),
            host: text(LogText::Host),
            path: text(LogText::Target),
            rewritten_host: text(LogText::RewrittenHost),
            rewritten_path: text(LogText::RewrittenTarget),
            location: text(LogText::Location),
            user_agent: text(LogText::UserAgent),
            trace_id: text(LogText::TraceId),
            port: self.listener.port(),
            queued: self.queued,
            sent: self.sent,
            status: self.status,
            target_status: self.target_status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            connect: self.connect,
            first_byte: self.first_byte,
            duration,
            retries: self.retries,
            tls: self.tls.as_ref().map(|session| session.record()),
            desync: self.desync,
            reason: self.reason,
            over_limit: self.over_limit,
            termination: self.termination,
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(Instant::now());
        }
    }
}
