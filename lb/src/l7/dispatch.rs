//! Brings one request to a target: choose, connect or reuse, relay; another attempt when that is
//! safe.
//!
//! Called by the client connection with a request whose head is written and whose body has begun.
//! A kept connection that turns out closed is replaced by a new one to the same target; a target
//! that fails is never tried twice. Waiting for a target (hold) is the worker context's.
//!
//! Cost beyond the exchange's: one choice, one entry in the table of work; a connect and its
//! allocations only when no connection is idle.

use std::future::poll_fn;
use std::time::Duration;

use healthcheck::TrafficOutcome;
use tokio::time::Instant;

use super::buffer::Buffers;
use super::client_connection::ClientConnection;
use super::exchange::{ClientHalf, Exchange, Patience};
use super::failure::Failure;
use super::http2;
use super::record::Record;
use super::request::Request;
use super::request_body::RequestBody;
use super::stickiness;
use crate::context::{Attempts, Choice, NoChoice, WorkerContext};
use crate::metrics::{RejectReason, RetryReason};
use crate::retries::Retrying;
use crate::snapshot::Route;
use crate::stream::{Side as _, Stream};
use crate::target::WorkKind;
use crate::work::Work;

/// A response that was relayed to its end.
#[derive(Debug)]
pub(super) struct Relayed {
    /// The client's connection ends now.
    pub(super) close: bool,
    /// The client knows its end by the connection's.
    pub(super) is_open_ended: bool,
    /// The target agreed to an upgrade: its connection.
    pub(super) upgraded: Option<(Stream, Work)>,
}

/// An exchange that failed for good.
#[derive(Debug)]
pub(super) struct Broken {
    /// Why.
    pub(super) failure: Failure,
    /// Part of a response was written, so no answer can be.
    pub(super) begun: bool,
    /// The client would take the connection's end for that of a whole response.
    pub(super) is_open_ended: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            begun: false,
            is_open_ended: false,
        }
    }
}

/// What one exchange remembers between its attempts.
#[derive(Debug)]
struct Search {
    attempts: Attempts,
    /// How the last attempt failed.
    last: Option<Failure>,
    /// A target whose kept connection was closed: to be tried on a new one.
    again: Option<Choice>,
    /// Counts it among those that are tried again.
    retrying: Option<Retrying>,
    /// Every target closed on the request once, and all are asked anew.
    second_round: bool,
    /// How long it waited for targets.
    waited: Option<Duration>,
}

/// How an attempt ended.
enum Ended {
    Relayed(Relayed),
    /// The target has become full since it was chosen.
    Full,
    /// Another attempt is safe; the connection was a kept one.
    Stale,
    /// Another attempt is safe.
    Failed(Failure),
}

impl ClientConnection {
    /// Relays the exchange along `route`, on as many targets as it takes.
    pub(super) async fn dispatch(
        &mut self,
        route: &Route,
        buffers: &mut Buffers,
        request: &Request,
        body: &mut RequestBody,
        record: &mut Record<'_>,
    ) -> Result<Relayed, Broken> {
        let mut search = Search {
            attempts: Attempts::new(stickiness::origin(self, request)),
            last: None,
            second_round: false,
            waited: None,
            retrying: None,
            again: None,
        };
        search.attempts.until = record.until();
        loop {
            let again = search.again.take();
            let fresh = again.is_some();
            let choice = match again {
                Some(choice) => choice,
                None => {
                    let chosen = choose(&self.context, route, &mut search).await;
                    chosen.inspect_err(|_| record.chose_none(route))?
                }
            };
            record.queued = search.waited;
            if let Some(failure) = self.mismatch(&choice, buffers) {
                return Err(failure.into());
            }
            record.target = Some(choice.target.clone());
            record.chose(route, &choice.target, request, fresh);
            let ended = self
                .attempt(
                    &choice,
                    fresh,
                    self.idle_timeout(),
                    buffers,
                    request,
                    body,
                    record,
                )
                .await?;
            let reason = match ended {
                Ended::Relayed(relayed) => {
                    if request.claim.is_some() {
                        stickiness::count(self, request, &choice.target, record);
                    }
                    return Ok(relayed);
                }
                Ended::Full => {
                    record.attempt_failed("full");
                    continue;
                }
                Ended::Stale => {
                    search.again = Some(choice);
                    RetryReason::StaleConnection
                }
                Ended::Failed(failure @ Failure::TargetClosed) if search.second_round => {
                    return Err(failure.into());
                }
                Ended::Failed(failure) => {
                    search.attempts.tried.add(&choice.target);
                    search.last = Some(failure);
                    let reason = match failure {
                        Failure::NoConnection { .. } | Failure::NoTls { .. } => self.connect_retry,
                        _ => RetryReason::TargetClosed,
                    };
                    let failed = search.attempts.tried.count();
                    let held = &mut search.retrying;
                    if !self.context.may_retry(route, failed, reason, held) {
                        return Err(failure.into());
                    }
                    reason
                }
            };
            self.context.counters().retry(reason);
            record.retry(reason.as_str());
            body.rewind();
        }
    }

    /// One attempt on one target.
    #[expect(clippy::too_many_arguments, reason = "one call, of the loop above")]
    async fn attempt(
        &mut self,
        choice: &Choice,
        fresh: bool,
        idle: Duration,
        buffers: &mut Buffers,
        request: &Request,
        body: &mut RequestBody,
        record: &mut Record<'_>,
    ) -> Result<Ended, Broken> {
        let Some(work) = self.context.begin(&choice.target, WorkKind::Exchange) else {
            return Ok(Ended::Full);
        };
        if request.claim.is_some() {
            stickiness::tell(self, request, &choice.target, buffers, record);
        }
        // A client that was slow with its head, or had to wait, must not make a target look slow.
        let now = match record.retries == 0 && !request.in_pieces && record.queued.is_none() {
            true => record.started,
            false => Instant::now(),
        };
        let (mut target, connect) = match self.reach(choice, fresh, now).await {
            Ok(reached) => reached,
            Err(failure @ Failure::NoTunnels) => return Err(failure.into()),
            Err(failure) => return Ok(Ended::Failed(failure)),
        };
        let client = ClientHalf {
            side: &mut self.side,
            buffers,
            request,
            body,
            deadline: &mut self.deadline,
            response_edits: self.listener.response_edits.as_ref(),
            bytes_in: &mut self.bytes_in,
            finished: &mut self.finished,
        };
        let patience = Patience {
            idle,
            response: choice.response_timeout,
            is_timed: choice.is_timed,
            pace: record.pace(),
        };
        record.connect = connect;
        let started = now + connect.unwrap_or_default();
        let context = &self.context;
        let mut exchange = Exchange::new(client, &mut target, &work, patience, context, started);
        let result = poll_fn(|cx| exchange.poll(cx)).await;
        let attempt = exchange.attempt();
        let reusable = exchange.is_target_reusable();
        let times = exchange.sent_at.zip(exchange.answered_at);
        record.ended = exchange.ended_at;
        let response = exchange.response;
        let is_open_ended = response.is_open_ended;
        record.first_byte = times.map(|(sent, answered)| answered - sent);
        record.sent = times.map(|(sent, _)| sent.saturating_duration_since(record.started));
        record.took(&response);
        if choice.is_timed
            && let Some(first_byte) = record.first_byte
        {
            choice.target.latency().observe(first_byte, Instant::now());
        }
        match result {
            Ok(()) => {
                let status = http2::status_of(&target, response.status.unwrap_or_default());
                let outcome = TrafficOutcome::of_status(status);
                context.observe(&choice.target, outcome);
                let close = response.close || self.finished || !body.is_complete();
                body.finish(&mut buffers.from_client);
                if reusable && !request.once {
                    let (target_is, announced) = (&choice.target, response.announced);
                    match choice.is_personal() {
                        true => self.own.give_back(target_is, target, announced, now),
                        false => {
                            let connections = &self.context.l7().connections;
                            connections.give_back(target_is, target, announced, now);
                        }
                    }
                    return Ok(Ended::Relayed(Relayed {
                        close,
                        is_open_ended,
                        upgraded: None,
                    }));
                }
                let upgraded = response.upgraded.then_some((target, work));
                Ok(Ended::Relayed(Relayed {
                    close,
                    is_open_ended,
                    upgraded,
                }))
            }
            Err(failure) if attempt.may_repeat(failure) && connect.is_none() => Ok(Ended::Stale),
            Err(failure) => {
                // A kept connection may have been closed while it was idle, which is no fault.
                let idle = failure == Failure::TargetClosed && connect.is_none();
                if let Some(kind) = failure.of_target().filter(|_| !idle || response.began) {
                    context.observe(&choice.target, TrafficOutcome::Failure(kind));
                }
                match attempt.may_repeat(failure) {
                    true => Ok(Ended::Failed(failure)),
                    false => Err(Broken {
                        failure,
                        begun: response.is_begun || self.side.is_writing(),
                        is_open_ended,
                    }),
                }
            }
        }
    }
}

impl ClientConnection {
    /// A connection to the chosen target: a kept one unless `fresh`, else a new one and how long
    /// it took.
    async fn reach(
        &mut self,
        choice: &Choice,
        fresh: bool,
        now: Instant,
    ) -> Result<(Stream, Option<Duration>), Failure> {
        if choice.protocol.is_http2() {
            // Boxed: an idle connection should not carry the room for it.
            return Box::pin(self.reach_http2(choice, fresh, now)).await;
        }
        let kept = match choice.is_personal() {
            _ if fresh => None,
            true => self.own.take(&choice.target, now),
            false => self.context.l7().connections.take(&choice.target, now),
        };
        // After a reload the group may speak to its targets in another way.
        if let Some(kept) = kept.filter(|kept| kept.is_over(choice.tls.as_ref())) {
            return Ok((kept, None));
        }
        // Boxed: an idle connection should not carry the room for it.
        let client = self.introduced();
        match Box::pin(self.context.reach(choice, &client)).await {
            Ok(stream) => Ok((stream, Some(now.elapsed()))),
            Err(error) => {
                self.connect_retry = error.retry_reason();
                Err(Failure::of_connect(&error))
            }
        }
    }
}

/// The next target to try, waiting for one if that makes sense.
async fn choose(
    context: &WorkerContext,
    route: &Route,
    search: &mut Search,
) -> Result<Choice, Failure> {
    loop {
        let hold = match context.try_choose(route, &search.attempts.origin, &search.attempts.tried)
        {
            Ok(choice) => return Ok(choice),
            Err(NoChoice::None) => return Err(Failure::NoChoice(RejectReason::NoTarget)),
            Err(NoChoice::Full(..)) => break,
            Err(NoChoice::Hold(hold)) => hold,
        };
        match search.last {
            // When every target dies at one moment, each closes on the request before anything
            // says that it is down. A second round tells: dead ones refuse, and then the request
            // is held; one that closes on it again is the request's own doing.
            Some(Failure::TargetClosed) if !search.second_round => {
                search.second_round = true;
                search.attempts.tried.held();
            }
            // A certificate does not mend itself while the client waits.
            Some(failure @ Failure::NoTls { .. }) => return Err(failure),
            Some(failure) if failure == Failure::TargetClosed || hold.is_zero() => {
                return Err(failure);
            }
            _ => break,
        }
    }
    let began = Instant::now();
    // Boxed: waiting is rare, and an idle connection should not carry the room for it.
    let choice = Box::pin(context.choose(route, &mut search.attempts)).await;
    search.waited = Some(search.waited.unwrap_or_default() + began.elapsed());
    choice.map_err(Failure::NoChoice)
}
