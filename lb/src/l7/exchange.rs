//! One attempt of one exchange on one target: both directions at once, in one poll function.
//!
//! Made by the dispatcher, polled by the client connection's task; no other task takes part. The
//! response may begin, and end, while the request body is still coming. Back-pressure: a side is
//! read only while what it sent finds room. Never decides about other targets.
//!
//! Cost per keep-alive GET: one write and one read on the target's connection, one write on the
//! client's; no allocation, no timer operation, no reading of the clock.

use std::io::ErrorKind;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::buffer::Buffers;
use super::deadline::Deadline;
use super::failure::{Attempt, Failure};
use super::headers::ResponseEdits;
use super::http1::{ChunkFault, Refusal};
use super::pace::{Pace, Way};
use super::request::Request;
use super::request_body::RequestBody;
use super::response_relay::{ResponseRelay, Terms};
use crate::context::WorkerContext;
use crate::stream::Side;
use crate::work::Work;

/// How long each side may be silent, and the client slow.
#[derive(Debug)]
pub(super) struct Patience {
    /// The client, within a body or taking the response.
    pub(super) idle: Duration,
    /// The target, while an answer is due.
    pub(super) response: Duration,
    /// How long an answer takes to begin is asked for.
    pub(super) is_timed: bool,
    /// `None` where silence alone is limited.
    pub(super) pace: Option<Pace>,
}

/// What belongs to the request, whatever target it goes to.
#[derive(Debug)]
pub(super) struct ClientHalf<'a, C> {
    pub(super) side: &'a mut C,
    pub(super) buffers: &'a mut Buffers,
    pub(super) request: &'a Request,
    pub(super) body: &'a mut RequestBody,
    pub(super) deadline: &'a mut Deadline,
    /// What the listener changes in responses.
    pub(super) response_edits: Option<&'a ResponseEdits>,
    /// Bytes read from the client beyond those that were there at the start.
    pub(super) bytes_in: &'a mut u64,
    /// The client finished sending; it may still be reading.
    pub(super) finished: &'a mut bool,
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Exchange<'a, C, T> {
    client: ClientHalf<'a, C>,
    target: &'a mut T,
    work: &'a Work,
    patience: Patience,
    context: &'a WorkerContext,
    /// The clock, until the task has slept: then it is read again.
    now: Option<Instant>,
    head_sent: usize,
    wrote: bool,
    /// The target takes no more of the request; its response may still come.
    refuses_body: bool,
    /// A write has told of a reset, which reading will not tell again.
    was_reset: bool,
    /// What the client does next wakes the task: no need to look again before it slept.
    watches: bool,
    activity: Instant,
    /// When the whole request had been written.
    pub(super) sent_at: Option<Instant>,
    /// When the response's first byte came.
    pub(super) answered_at: Option<Instant>,
    /// When all was done, where that is asked for.
    pub(super) ended_at: Option<Instant>,
    /// The response.
    pub(super) response: ResponseRelay,
}

impl<'a, C: Side, T: Side> Exchange<'a, C, T> {
    /// An attempt in which nothing has happened, at `now`.
    pub(super) fn new(
        client: ClientHalf<'a, C>,
        target: &'a mut T,
        work: &'a Work,
        patience: Patience,
        context: &'a WorkerContext,
        now: Instant,
    ) -> Self {
        Self {
            client,
            target,
            work,
            patience,
            context,
            now: Some(now),
            head_sent: 0,
            wrote: false,
            refuses_body: false,
            was_reset: false,
            watches: false,
            activity: now,
            sent_at: None,
            answered_at: None,
            ended_at: None,
            response: ResponseRelay::new(),
        }
    }

    /// Goes on until the response has been written, or something failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut moved = false;
        self.watches = false;
        loop {
            let pass = self.pass(cx)?;
            moved |= pass.moved;
            if self.response.is_finished(self.client.buffers) {
                if self.patience.is_timed || self.context.records_exchanges() {
                    let now = Instant::now();
                    self.note_times(now);
                    self.ended_at = Some(now);
                }
                return Poll::Ready(Ok(()));
            }
            if !pass.again {
                break;
            }
        }
        if let Poll::Ready(end) = self.work.poll_end(cx) {
            return Poll::Ready(Err(Failure::TargetEnded(end)));
        }
        let now = self.now.take().unwrap_or_else(Instant::now);
        if moved {
            self.activity = now;
            self.note_times(now);
        }
        let (patience, failure) = self.waits_for();
        let silent = self.activity + patience;
        let due = match self.patience.pace {
            None => silent,
            Some(_) => self
                .look_at_pace(now, failure)?
                .unwrap_or(silent)
                .min(silent),
        };
        match self.client.deadline.has_passed(cx, now, due) {
            true if due < silent => {
                // It came while the timer was set: to be looked at by another clock.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            true => Poll::Ready(Err(failure)),
            false => Poll::Pending,
        }
    }

    /// When the pace is to be looked at again; `failure` is what the silence would come to.
    #[inline(never)]
    fn look_at_pace(&mut self, now: Instant, failure: Failure) -> Result<Option<Instant>, Failure> {
        let waits = match failure {
            Failure::BodyTimeout => Some((Way::In, *self.client.bytes_in)),
            Failure::ClientStalled => Some((Way::Out, self.response.bytes_out)),
            _ => None,
        };
        let pace = self.patience.pace.as_mut();
        pace.map_or(Ok(None), |pace| pace.look(now, waits))
    }

    /// What the dispatcher must know to decide about another attempt.
    pub(super) fn attempt(&self) -> Attempt {
        Attempt {
            wrote: (self.wrote || self.target.is_writing()) && !self.target.is_untouched(),
            answered: self.response.began,
            idempotent: self.client.request.idempotent,
            replayable: self.client.body.is_replayable(),
        }
    }

    /// True when the target's connection can take another request.
    pub(super) fn is_target_reusable(&self) -> bool {
        self.is_request_sent() && self.response.is_target_reusable(self.client.buffers)
    }

    fn note_times(&mut self, now: Instant) {
        if self.sent_at.is_none() && self.is_request_sent() {
            self.sent_at = Some(now);
        }
        if self.answered_at.is_none() && self.response.began {
            self.answered_at = Some(now);
        }
    }

    /// Tries each of the four ways bytes can move once.
    fn pass(&mut self, cx: &mut Context<'_>) -> Result<Pass, Failure> {
        let read = self.read_client(cx)?;
        let sent = self.write_target(cx);
        let closing = self.context.is_draining() || !self.client.body.is_complete();
        let ClientHalf {
            buffers,
            request,
            side,
            body,
            response_edits,
            ..
        } = &mut self.client;
        let terms = Terms {
            request,
            closing,
            edits: *response_edits,
            is_cut: self.was_reset,
        };
        let answered = match self.response.poll_read(cx, self.target, buffers, terms) {
            Poll::Ready(outcome) => outcome.map(|()| true)?,
            Poll::Pending => false,
        };
        if answered {
            body.stop_holding(&mut buffers.from_client);
        }
        let relayed = match self.response.poll_write(cx, *side, buffers) {
            Poll::Ready(outcome) => outcome.map(|()| true)?,
            Poll::Pending => false,
        };
        Ok(Pass {
            moved: read || sent || answered || relayed,
            // What moved is tried again, because only an attempt that would block leaves a waker
            // behind; a request that went out whole need not be.
            again: read || answered || relayed || (sent && !self.is_request_sent()),
        })
    }

    /// Reads body bytes; once there are no more to come, watches for what the client does.
    fn read_client(&mut self, cx: &mut Context<'_>) -> Result<bool, Failure> {
        let ClientHalf {
            side,
            buffers,
            body,
            bytes_in,
            finished,
            ..
        } = &mut self.client;
        let from_client = &mut buffers.from_client;
        let reads_body = !self.refuses_body && body.wants_more(from_client);
        let looks = body.is_complete() && !**finished && !from_client.is_full() && !self.watches;
        let is_readable = looks && side.poll_readable(cx).is_ready();
        self.watches |= looks && !is_readable;
        if !reads_body && !is_readable {
            return Ok(false);
        }
        match from_client.poll_fill(*side, cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(Failure::ClientClosed),
            Poll::Ready(Ok(0)) if reads_body => Err(Failure::ClientClosed),
            Poll::Ready(Ok(0)) => {
                **finished = true;
                Ok(false)
            }
            Poll::Ready(Ok(count)) => {
                **bytes_in += count as u64;
                body.scan(from_client).map_err(chunk_failure)?;
                Ok(reads_body)
            }
        }
    }

    /// Writes what there is of the request; true when something was written.
    fn write_target(&mut self, cx: &mut Context<'_>) -> bool {
        let ClientHalf { buffers, body, .. } = &mut self.client;
        let head = buffers.to_target.get(self.head_sent..).unwrap_or_default();
        let rest = body.unsent(&buffers.from_client);
        if self.refuses_body || (head.is_empty() && rest.is_empty()) {
            return false;
        }
        match self.target.poll_write(cx, head, rest) {
            Poll::Pending => false,
            Poll::Ready(Ok(count)) => {
                let of_head = count.min(head.len());
                self.wrote = true;
                self.head_sent += of_head;
                body.advance(&mut buffers.from_client, count - of_head);
                true
            }
            // What it answered before it closed may still be read.
            Poll::Ready(Err(error)) => {
                // EPIPE says that the end came first; an error is told once, here or to who reads.
                let was_reset = error.kind() != ErrorKind::BrokenPipe;
                self.was_reset = was_reset && !self.target.tells_end();
                self.refuses_body = true;
                self.wrote = true;
                true
            }
        }
    }

    fn is_request_sent(&self) -> bool {
        self.head_sent == self.client.buffers.to_target.len() && self.client.body.is_sent()
    }

    /// Whose silence it is, how long it may last, and what it comes to.
    fn waits_for(&self) -> (Duration, Failure) {
        let Patience { idle, response, .. } = self.patience;
        let ClientHalf { buffers, body, .. } = &self.client;
        if self.response.has_output(buffers) {
            return (idle, Failure::ClientStalled);
        }
        let unsent = self.head_sent < buffers.to_target.len()
            || !body.unsent(&buffers.from_client).is_empty();
        if !unsent && !body.is_complete() && !self.response.has_head() {
            return (idle, Failure::BodyTimeout);
        }
        (response, Failure::ResponseTimeout)
    }
}

/// What one pass did.
struct Pass {
    moved: bool,
    /// Another pass may move more.
    again: bool,
}

/// What a malformed chunk means in a request.
pub(super) fn chunk_failure(fault: ChunkFault) -> Failure {
    Failure::Request(match fault {
        ChunkFault::Malformed => Refusal::BadChunk,
        ChunkFault::Overhead => Refusal::LargeChunkOverhead,
        ChunkFault::Trailer => Refusal::BadTrailer,
        ChunkFault::TooLarge => Refusal::LargeBody,
    })
}
