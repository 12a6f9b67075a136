//! What an exchange keeps of a request head once the forwarded head has been written.
//!
//! Made by the client connection from its buffer; the head itself is gone afterwards. Cost: the
//! codec's, and three copies into the log text when the access log is on.

use std::mem::MaybeUninit;
use std::net::IpAddr;

use tokio::time::Instant;

use super::buffer::Buffers;
use super::desync::{Passage, Tier, Verdict};
use super::http1::{
    BodyLength, Forwarding, HeadLimits, MAX_FIELDS, Refusal, Version, parse_request, write_request,
};
use super::log_text::{Led, LogMarks};
use crate::access_log::Detail;
use crate::metrics::RequestCounters;
use crate::rules::{Action, Denial, Passing, Rules};
use crate::snapshot::Listener;
use crate::sticky::{Asked, Claim};

/// What rules go by beside the head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routing<'a> {
    pub(super) listener: &'a Listener,
    pub(super) peer: IpAddr,
    pub(super) worker: usize,
    /// When the request's first byte was read.
    pub(super) started: Instant,
    pub(super) cookies: Asked<'a>,
}

/// A request whose forwarded head stands in [`Buffers::to_target`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// What the client speaks.
    pub(super) version: Version,
    /// The method is HEAD.
    pub(super) to_head: bool,
    /// Sending it twice does what sending it once does.
    pub(super) idempotent: bool,
    /// The client will send another request, and may do so here.
    pub(super) persists: bool,
    /// The client has said that it will send no other.
    pub(super) is_last: bool,
    /// An upgrade was forwarded.
    pub(super) upgrade: bool,
    /// How long its body is.
    pub(super) body: BodyLength,
    /// Bytes of the head as it came.
    pub(super) head_length: usize,
    /// The place of the rule that claimed it; `None` = the default action.
    pub(super) rule: Option<usize>,
    /// Why its rule does not let it pass.
    pub(super) denied: Option<Denial>,
    /// It was over a rate limit that only counts.
    pub(super) over_limit: bool,
    /// Where it belongs, if the forward it takes is sticky.
    pub(super) claim: Option<Claim>,
    /// Both sides' connections end with it.
    pub(super) once: bool,
    /// Its head was waited for: not all of it was there with its first bytes.
    pub(super) in_pieces: bool,
    /// What is odd about it, when something is.
    pub(super) desync: Option<Verdict>,
    /// Where texts end in [`Buffers::log_text`].
    pub(super) log_marks: LogMarks,
}

/// Counts the rules that were looked at until one claimed the request.
fn count_rules(counters: &RequestCounters, rules: &Rules, claimed_by: Option<usize>) {
    let looked_at = claimed_by.map_or(rules.len(), |place| place + 1);
    if looked_at > 0 {
        counters.rules.add(looked_at as u64);
    }
}

impl Request {
    /// Takes the head at the start of the client's buffer; `None` when it is not complete. What
    /// stands in [`Buffers::to_target`] then is for the action that `routing` led to: the head to
    /// forward, or a Location.
    pub(super) fn take(
        buffers: &mut Buffers,
        limits: HeadLimits,
        forwarding: Forwarding<'_>,
        routing: Routing<'_>,
        detail: Detail,
    ) -> Result<Option<Self>, Refusal> {
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut slots_again = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let filled = buffers.from_client.filled();
        let strictness = routing.listener.strictness;
        let (mut passage, mut rewritten) = (None, Vec::new());
        let head = match parse_request(filled, &mut slots, limits) {
            Ok(Some(head)) if !head.unusual => head,
            Ok(Some(head)) => {
                passage = Some(strictness.judge(head.bytes)?);
                head
            }
            Ok(None) => return Ok(None),
            Err(refusal) => {
                passage = strictness.judge_refused(filled, refusal, limits, &mut rewritten)?;
                if passage.is_none() {
                    return Ok(None);
                }
                // Longer than it came, but not by more than each byte encoded.
                let limits = HeadLimits {
                    bytes: limits.bytes.saturating_mul(4),
                };
                let head = parse_request(&rewritten, &mut slots_again, limits)?;
                head.ok_or(refusal)?
            }
        };
        if matches!(head.body, BodyLength::Counted(size) if size > routing.listener.max_request_body)
        {
            return Err(Refusal::LargeBody);
        }
        let rule = routing
            .listener
            .rule_for(&head, routing.peer, routing.worker);
        let counters = &routing.listener.counters.of(routing.worker).requests;
        count_rules(counters, &routing.listener.rules, rule);
        if let Some(edits) = &routing.listener.request_edits
            && edits.drops_invalid(&head)
        {
            counters.invalid_fields.add(1);
        }
        let out = &mut buffers.to_target;
        out.clear();
        let branch = routing.listener.branch(rule);
        let passing = Passing {
            head: &head,
            peer: routing.peer,
            now: routing.started,
            worker: routing.worker,
        };
        let passed = branch.gate.as_ref().map(|gate| gate.pass(passing));
        if let (Some(gate), Some(Ok(_))) = (&branch.gate, &passed)
            && gate.asks_for_token()
        {
            counters.tokens.add(1);
        }
        match (&branch.action, &passed) {
            (_, Some(Err(_))) | (Action::FixedResponse(_), _) => {}
            (Action::Forward(_), None) => write_request(out, &head, forwarding),
            (Action::Forward(_), Some(Ok(passed))) => {
                write_request(out, &passed.rewritten.onto(head.clone()), forwarding);
            }
            (Action::Redirect(redirect), _) => {
                redirect.write_location(out, &head, forwarding.local);
            }
        }
        let mut request = Self {
            version: head.version,
            to_head: head.method == "HEAD",
            idempotent: head.is_idempotent(),
            persists: head.persists(),
            is_last: !head.persists(),
            upgrade: head.upgrade,
            body: head.body,
            head_length: head.bytes.len(),
            rule,
            over_limit: matches!(&passed, Some(Ok(passed)) if passed.over_limit),
            claim: match (&branch.action, &passed) {
                (Action::Forward(forward), None | Some(Ok(_))) => {
                    forward.claim(&head, routing.cookies)
                }
                _ => None,
            },
            denied: passed
                .as_ref()
                .and_then(|passed| passed.as_ref().err().copied()),
            log_marks: LogMarks::default(),
            once: false,
            in_pieces: false,
            desync: None,
        };
        if let Some(passage) = passage {
            request.pass(passage);
        }
        if detail != Detail::Off {
            let led = match (&branch.action, request.denied) {
                (Action::Redirect(_), None) => Led::Location(&buffers.to_target),
                (Action::Forward(_), None) => Led::Forwarded(&buffers.to_target),
                _ => Led::Nowhere,
            };
            let passed = passed.as_ref().and_then(|passed| passed.as_ref().ok());
            request.log_marks = LogMarks::write(&mut buffers.log_text, &head, passed, led, detail);
        }
        buffers.from_client.consume(request.head_length);
        Ok(Some(request))
    }

    /// Notes how an unusual request passes.
    fn pass(&mut self, passage: Passage) {
        self.once = passage.once;
        self.persists &= !passage.once;
        self.head_length = passage.rewritten.unwrap_or(self.head_length);
        if passage.http10 {
            self.version = Version::Http10;
        }
        let is_odd = passage.verdict.tier > Tier::Compliant;
        self.desync = is_odd.then_some(passage.verdict);
    }
}
