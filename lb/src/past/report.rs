//! A past request for the API and in words.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PastRequest, Text, choice};
use crate::explain::{RuleReport, TargetReport};
use crate::sockets::is_nowhere;

/// Which past requests are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastQuestion {
    /// What the request was known by; `None` = any.
    pub trace: Option<String>,
    /// So many at most, the newest ones.
    pub limit: usize,
}

/// What became of a request, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PastReport {
    /// When its first byte came (RFC 3339).
    pub time: String,
    /// The configuration generation it began under.
    pub generation: u64,
    /// Its X-Amzn-Trace-Id, as forwarded, else made for the logs.
    pub trace_id: String,
    /// What its connection is known by in the logs.
    pub connection: String,
    /// The client's address; `unix:` at a Unix socket, where it has none.
    pub client: String,
    /// What the client spoke.
    pub protocol: String,
    /// The client's TLS version; `None` in clear text.
    pub tls: Option<String>,
    /// The method; empty when the head could not be read.
    pub method: String,
    /// Its host.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The listener that got it.
    pub listener: String,
    /// Every rule, in the order they are looked at; none when the rules have changed since.
    pub rules: Vec<RuleReport>,
    /// Another configuration serves now.
    pub rules_changed: bool,
    /// The priority of the rule that claimed it, or `default`; `None` when it was refused before.
    pub rule: Option<String>,
    /// What that said: `forward`, `redirect`, `fixed-response`.
    pub action: Option<String>,
    /// It was over a rate limit that only counts.
    pub over_limit: bool,
    /// The host it was forwarded with, if rewritten.
    pub rewritten_host: Option<String>,
    /// Path and query it was forwarded with, if rewritten.
    pub rewritten_path: Option<String>,
    /// Where a redirect led.
    pub location: Option<String>,
    /// What was odd about it: tier and reason.
    pub classification: Option<(String, String)>,
    /// The group it went to.
    pub group: Option<String>,
    /// Seconds it waited for a target, or for a place on one.
    pub queue: Option<f64>,
    /// Every attempt, the last one last.
    pub attempts: Vec<AttemptReport>,
    /// Seconds that connecting took; `None` on a kept connection.
    pub connect: Option<f64>,
    /// Seconds from its first byte to its being sent.
    pub sent: Option<f64>,
    /// Seconds from its being sent to the answer's first byte.
    pub first_byte: Option<f64>,
    /// Seconds from its first byte to the end.
    pub duration: f64,
    /// What the client got; 0 = nothing.
    pub status: u16,
    /// What the target sent.
    pub target_status: Option<u16>,
    /// Why the balancer answered itself.
    pub reason: Option<String>,
    /// How it ended when not well.
    pub termination: Option<String>,
    /// Bytes from the client, head included.
    pub bytes_in: u64,
    /// Bytes to the client, head included.
    pub bytes_out: u64,
}

/// One attempt on a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttemptReport {
    /// The target; `None` when none could be used.
    pub target: Option<String>,
    /// Seconds after the request's first byte; 0 for a first one that nothing was waited for.
    pub after: f64,
    /// The group's algorithm.
    pub algorithm: String,
    /// Why this target.
    pub how: String,
    /// Too few were healthy: all that were registered were used.
    pub fail_open: bool,
    /// Registered targets; no more than 16 of them are shown.
    pub registered: usize,
    /// The targets as they were then.
    pub targets: Vec<TargetReport>,
    /// Why another attempt was necessary; `None` for the last one.
    pub failed: Option<String>,
}

impl PastReport {
    pub(super) fn of(past: &PastRequest) -> Self {
        let text = |which| String::from_utf8_lossy(past.text(which)).into_owned();
        let some = |which| Some(text(which)).filter(|text| !text.is_empty());
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let word = |word: Option<&'static str>| word.map(str::to_owned);
        Self {
            time: healthcheck::rfc3339(past.time),
            generation: past.generation,
            trace_id: text(Text::TraceId),
            connection: past.connection.to_string(),
            client: match is_nowhere(past.client) {
                true => "unix:".to_owned(),
                false => past.client.to_string(),
            },
            protocol: past.protocol.to_owned(),
            tls: some(Text::Tls),
            method: text(Text::Method),
            host: text(Text::Host),
            path: text(Text::Path),
            listener: text(Text::Listener),
            rules: Vec::new(),
            rules_changed: false,
            rule: some(Text::Rule),
            action: word(past.action),
            over_limit: past.over_limit,
            rewritten_host: some(Text::RewrittenHost),
            rewritten_path: some(Text::RewrittenPath),
            location: some(Text::Location),
            classification: past
                .desync
                .map(|(tier, reason)| (tier.to_owned(), reason.to_owned())),
            group: some(Text::Group),
            queue: seconds(past.queued),
            attempts: attempts(past),
            connect: seconds(past.connect),
            sent: seconds(past.sent),
            first_byte: seconds(past.first_byte),
            duration: past.duration.as_secs_f64(),
            status: past.status,
            target_status: past.target_status,
            reason: word(past.reason),
            termination: word(past.termination),
            bytes_in: past.bytes.0,
            bytes_out: past.bytes.1,
        }
    }
}

fn attempts(past: &PastRequest) -> Vec<AttemptReport> {
    let attempt = |(place, attempt): (usize, &super::PastAttempt)| {
        let candidates = past.candidates.iter();
        let seen = candidates.filter(|candidate| usize::from(candidate.attempt) == place);
        AttemptReport {
            target: attempt.target.map(|address| address.to_string()),
            after: attempt.after.as_secs_f64(),
            algorithm: attempt.algorithm.to_owned(),
            how: attempt.how.to_owned(),
            fail_open: attempt.fail_open,
            registered: attempt.registered,
            targets: seen.map(choice::Candidate::report).collect(),
            failed: attempt.failed.map(str::to_owned),
        }
    };
    past.attempts.iter().enumerate().map(attempt).collect()
}

impl fmt::Display for PastReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method.as_str() {
            "" => "a request that could not be read",
            method => method,
        };
        let tls = self.tls.as_deref().unwrap_or("in clear text");
        writeln!(f, "{method} {}{}", self.host, self.path)?;
        writeln!(
            f,
            "at {} from {}, {}, {tls}",
            self.time, self.client, self.protocol
        )?;
        if !self.trace_id.is_empty() {
            writeln!(f, "trace {}", self.trace_id)?;
        }
        writeln!(f, "connection {}", self.connection)?;
        writeln!(f, "listener {}", self.listener)?;
        self.fmt_rules(f)?;
        self.fmt_way(f)?;
        self.attempts
            .iter()
            .enumerate()
            .try_for_each(|(place, attempt)| attempt.fmt(f, place + 1))?;
        self.fmt_end(f)
    }
}

impl PastReport {
    fn fmt_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.rules {
            rule.fmt(f, self.rule.as_deref() == Some(&rule.priority.to_string()))?;
        }
        match (self.rule.as_deref(), self.rules_changed) {
            (None, _) => writeln!(f, "refused before any rule was looked at"),
            (Some("default"), _) => writeln!(f, "no rule claimed it: the listener's own action"),
            (Some(rule), true) => writeln!(
                f,
                "rule {rule} claimed it, in generation {}: another configuration serves now",
                self.generation
            ),
            (Some(_), false) => Ok(()),
        }
    }

    fn fmt_way(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.over_limit {
            writeln!(f, "over a rate limit that only counts")?;
        }
        if let Some((tier, reason)) = &self.classification {
            writeln!(f, "desync mitigation: {tier} ({reason})")?;
        }
        let rewritten = [
            ("host", &self.rewritten_host),
            ("URL", &self.rewritten_path),
        ];
        for (what, text) in rewritten {
            if let Some(text) = text {
                writeln!(f, "forwarded with the {what} {text}")?;
            }
        }
        if let Some(location) = &self.location {
            writeln!(f, "redirected to {location}")?;
        }
        if let Some(group) = &self.group {
            writeln!(f, "group {group}")?;
        }
        match self.queue {
            Some(queue) => writeln!(f, "waited {queue:.6} s for a target"),
            None => Ok(()),
        }
    }

    fn fmt_end(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            0 => write!(f, "no answer")?,
            status => write!(f, "answered {status}")?,
        }
        match (&self.reason, self.target_status) {
            (Some(reason), _) => write!(f, " by the balancer ({reason})")?,
            (None, Some(_)) => write!(f, " by the target")?,
            (None, None) => {}
        }
        if let Some(status) = self.target_status.filter(|status| *status != self.status) {
            write!(f, "; the target had said {status}")?;
        }
        if let Some(termination) = &self.termination {
            write!(f, "; ended by {termination}")?;
        }
        writeln!(f, ", {} bytes in, {} out", self.bytes_in, self.bytes_out)?;
        let phases = [
            ("connect", self.connect),
            ("sent after", self.sent),
            ("first byte", self.first_byte),
            ("in all", Some(self.duration)),
        ];
        let known = phases
            .iter()
            .filter_map(|(what, time)| Some((what, (*time)?)));
        let shown: Vec<String> = known
            .map(|(what, time)| format!("{what} {time:.6} s"))
            .collect();
        writeln!(f, "times: {}", shown.join(", "))
    }
}

impl AttemptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>, number: usize) -> fmt::Result {
        let open = match self.fail_open {
            true => ", failing open",
            false => "",
        };
        write!(f, "attempt {number} after {:.6} s: ", self.after)?;
        if let Some(target) = &self.target {
            write!(f, "{target}, ")?;
        }
        writeln!(f, "{} ({}{open})", self.how, self.algorithm)?;
        for target in &self.targets {
            write!(f, "{target}")?;
        }
        if self.targets.len() < self.registered && !self.targets.is_empty() {
            let more = self.registered - self.targets.len();
            writeln!(f, "  and {more} more")?;
        }
        match &self.failed {
            Some(failed) => writeln!(f, "  failed: {failed}"),
            None => Ok(()),
        }
    }
}
