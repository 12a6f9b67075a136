//! Past requests: what became of the last ones, kept for people who ask why.
//!
//! Each worker has a ring of its own. An exchange that is to be remembered carries a [`PastRequest`] from
//! its start, notes in it each choice of a target with what it was made by, and hands it back when its
//! record is written; the control thread reads the rings when somebody asks. Heads are kept for working
//! out which rules held, and are shown to nobody.
//!
//! Cost where it is off: one relaxed load per exchange. Where it is on: copies into memory that is used
//! again, no reading of the clock where nothing was waited for, and one lock that nobody else takes
//! unless somebody asks, and then for no longer than cloning a list of pointers takes.

mod choice;
mod find;
mod report;
mod ring;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::access_log::{ConnectionTrace, ExchangeRecord};
pub(crate) use choice::{How, PastAttempt};
pub(crate) use find::find;
pub use report::{AttemptReport, PastQuestion, PastReport};
pub(crate) use ring::{PastRing, PastRings};

/// Longest head that is kept, in bytes: the rules of longer ones are not looked at again.
pub(crate) const MAX_HEAD: usize = 8 * 1024;

/// Memory for texts that a request whose memory is used again keeps: long ones are rare.
const TEXT_KEPT: usize = 4 * 1024;

/// A text of the exchange's record.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
enum Text {
    Method,
    Host,
    Path,
    RewrittenHost,
    RewrittenPath,
    Location,
    TraceId,
    Rule,
    Listener,
    Group,
    Tls,
    /// The head as it came; empty when it was not read, or is too long.
    Head,
}

/// How many there are.
const TEXTS: usize = 12;

/// One exchange that has ended, or is under way.
#[derive(Debug)]
pub(crate) struct PastRequest {
    time: SystemTime,
    /// The configuration generation it began under.
    generation: u64,
    client: SocketAddr,
    connection: ConnectionTrace,
    protocol: &'static str,
    action: Option<&'static str>,
    /// All of them, one after the other, and where each ends: one piece of memory.
    texts: Vec<u8>,
    ends: [u32; TEXTS],
    attempts: Vec<PastAttempt>,
    /// What was chosen from, attempt after attempt.
    candidates: Vec<choice::Candidate>,
    status: u16,
    target_status: Option<u16>,
    bytes: (u64, u64),
    queued: Option<Duration>,
    sent: Option<Duration>,
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    duration: Duration,
    desync: Option<(&'static str, &'static str)>,
    reason: Option<&'static str>,
    over_limit: bool,
    termination: Option<&'static str>,
}

impl Default for PastRequest {
    fn default() -> Self {
        Self {
            time: UNIX_EPOCH,
            generation: 0,
            client: SocketAddr::from(([0, 0, 0, 0], 0)),
            connection: ConnectionTrace::default(),
            protocol: "",
            action: None,
            texts: Vec::new(),
            ends: [0; TEXTS],
            attempts: Vec::new(),
            candidates: Vec::new(),
            status: 0,
            target_status: None,
            bytes: (0, 0),
            queued: None,
            sent: None,
            connect: None,
            first_byte: None,
            duration: Duration::ZERO,
            desync: None,
            reason: None,
            over_limit: false,
            termination: None,
        }
    }
}

impl PastRequest {
    /// Forgets what the next exchange does not write over, and memory that few need.
    fn clear(&mut self) {
        self.texts.clear();
        self.texts.shrink_to(TEXT_KEPT);
        self.clear_attempts();
    }

    /// Takes over what is known when the exchange has ended; `head` is as it came.
    pub(crate) fn end(&mut self, record: &ExchangeRecord<'_>, head: &[u8]) {
        self.time = record.time;
        (self.client, self.connection) = (record.client, record.connection);
        (self.protocol, self.action) = (record.protocol, record.action);
        let tls = record.tls.as_ref();
        let texts = [
            record.method,
            record.host,
            record.path,
            record.rewritten_host,
            record.rewritten_path,
            record.location,
            record.trace_id,
            record.rule.unwrap_or_default().as_bytes(),
            record.listener.as_bytes(),
            record.target_group.as_bytes(),
            tls.map_or("", |tls| tls.version).as_bytes(),
            head,
        ];
        self.texts.clear();
        for (end, text) in self.ends.iter_mut().zip(texts) {
            let kept = text.get(..MAX_HEAD).unwrap_or(text);
            self.texts.extend_from_slice(kept);
            *end = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        }
        (self.status, self.target_status) = (record.status, record.target_status);
        self.bytes = (record.bytes_in, record.bytes_out);
        (self.queued, self.sent) = (record.queued, record.sent);
        (self.connect, self.first_byte) = (record.connect, record.first_byte);
        self.duration = record.duration;
        let desync = record.desync;
        self.desync = desync.map(|verdict| (verdict.tier.as_str(), verdict.reason.as_str()));
        (self.reason, self.termination) = (record.reason, record.termination);
        self.over_limit = record.over_limit;
    }

    fn text(&self, which: Text) -> &[u8] {
        let place = which as usize;
        let end = |place: usize| self.ends.get(place).map_or(0, |end| *end as usize);
        let start = place.checked_sub(1).map_or(0, end);
        self.texts.get(start..end(place)).unwrap_or_default()
    }
}

/// A past request that nobody else has yet.
pub(crate) type Remembered = Arc<PastRequest>;
