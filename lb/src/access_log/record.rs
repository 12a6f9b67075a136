//! What is logged of HTTP: one record per exchange, as one JSON object a line (or as ALB does, see
//! `alb`).
//!
//! Field names are the design's words; times are RFC 3339 in UTC, durations seconds with
//! microseconds, sizes bytes. Fields that have no value are left out.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::connection::ConnectionTrace;
use super::flow::TlsRecord;
use super::json::{Line, name, quoted};
use crate::l7::desync::Verdict;

/// One HTTP exchange.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeRecord<'a> {
    /// When its first byte came.
    pub time: SystemTime,
    /// The listener's name.
    pub listener: &'a str,
    /// The target group's name; empty when it went to none.
    pub target_group: &'a str,
    /// The priority of the rule that claimed it, or `default`; `None` when it was refused before.
    pub rule: Option<&'a str>,
    /// What the rule said: `forward`, `redirect`, `fixed-response`.
    pub action: Option<&'static str>,
    /// The action's requests must carry a token.
    pub asks_for_token: bool,
    /// The client.
    pub client: SocketAddr,
    /// Its connection.
    pub connection: ConnectionTrace,
    /// The target that answered, or was tried last.
    pub target: Option<&'a str>,
    /// What the client speaks: `http/1.0`, `http/1.1`, `h2` (RFC 7301's names).
    pub protocol: &'static str,
    /// It is a gRPC call.
    pub is_grpc: bool,
    /// The method as it was sent.
    pub method: &'a [u8],
    /// The Host (or absolute-form authority).
    pub host: &'a [u8],
    /// Path and query.
    pub path: &'a [u8],
    /// Status sent to the client; 0 = none was.
    pub status: u16,
    /// Status the target sent.
    pub target_status: Option<u16>,
    /// Bytes received from the client, head included.
    pub bytes_in: u64,
    /// Bytes sent to the client, head included.
    pub bytes_out: u64,
    /// How long it waited for a target, or for a place on one; `None` = not at all.
    pub queued: Option<Duration>,
    /// From its first byte to its being sent to the target.
    pub sent: Option<Duration>,
    /// The port it came in at.
    pub port: u16,
    /// The host it was forwarded with, if rewritten.
    pub rewritten_host: &'a [u8],
    /// Path and query it was forwarded with, if rewritten.
    pub rewritten_path: &'a [u8],
    /// Where a redirect led.
    pub location: &'a [u8],
    /// User-Agent; with full detail only.
    pub user_agent: &'a [u8],
    /// X-Amzn-Trace-Id as it was forwarded, or made for the log; with full detail only.
    pub trace_id: &'a [u8],
    /// How long connecting took; `None` on a kept connection.
    pub connect: Option<Duration>,
    /// From the request being sent to the answer's first byte.
    pub first_byte: Option<Duration>,
    /// From the request's first byte to the end.
    pub duration: Duration,
    /// Attempts beyond the first.
    pub retries: u32,
    /// What was agreed on with the client; `None` in clear text.
    pub tls: Option<TlsRecord<'a>>,
    /// What is odd about the request, by ELB's words; `None` when nothing is.
    pub desync: Option<Verdict>,
    /// Why the balancer answered itself (`no-target`, `bad-request`, …).
    pub reason: Option<&'static str>,
    /// It was over a rate limit that only counts.
    pub over_limit: bool,
    /// How the exchange ended when not well (`client-closed`, `target-closed`, …).
    pub termination: Option<&'static str>,
}

impl ExchangeRecord<'_> {
    /// True when something went wrong: such records are never left out.
    pub(super) fn is_remarkable(&self) -> bool {
        self.reason.is_some() || self.termination.is_some() || self.status >= 500
    }

    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.word(quoted!("type"), "http");
        line.word(quoted!("listener"), self.listener);
        if !self.target_group.is_empty() {
            line.word(quoted!("target_group"), self.target_group);
        }
        if let Some(rule) = self.rule {
            line.word(quoted!("rule"), rule);
        }
        if let Some(action) = self.action {
            line.word(quoted!("action"), action);
        }
        line.address(quoted!("client"), self.client);
        if let Some(target) = self.target {
            line.word(quoted!("target"), target);
        }
        line.word(quoted!("protocol"), self.protocol);
        line.text(quoted!("method"), self.method);
        line.text(quoted!("host"), self.host);
        line.text(quoted!("path"), self.path);
        if !self.trace_id.is_empty() {
            line.text(quoted!("trace_id"), self.trace_id);
        }
        line.number(name!("status"), u64::from(self.status));
        if let Some(status) = self.target_status {
            line.number(name!("target_status"), u64::from(status));
        }
        line.number(name!("bytes_in"), self.bytes_in);
        line.number(name!("bytes_out"), self.bytes_out);
        let texts = [
            (quoted!("rewritten_host"), self.rewritten_host),
            (quoted!("rewritten_path"), self.rewritten_path),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            line.text(name, text);
        }
        line.optional_seconds(name!("queue"), self.queued);
        line.optional_seconds(name!("connect"), self.connect);
        line.optional_seconds(name!("first_byte"), self.first_byte);
        line.seconds(name!("duration"), self.duration);
        if self.retries > 0 {
            line.number(name!("retries"), u64::from(self.retries));
        }
        if let Some(tls) = self.tls {
            tls.write(line);
        }
        if let Some(verdict) = self.desync {
            line.word(quoted!("classification"), verdict.tier.as_str());
            line.word(quoted!("classification_reason"), verdict.reason.as_str());
        }
        if let Some(reason) = self.reason {
            line.word(quoted!("reason"), reason);
        }
        if self.over_limit {
            line.word(quoted!("rate_limit"), "dry-run");
        }
        if let Some(termination) = self.termination {
            line.word(quoted!("termination"), termination);
        }
    }
}
