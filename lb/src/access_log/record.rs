//! What is logged: one record per HTTP exchange, one per TCP or UDP flow, as one JSON object a line.
//!
//! Field names are the design's words; times are RFC 3339 in UTC, durations seconds with
//! microseconds, sizes bytes. Fields that have no value are left out.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::json::Line;
use crate::target::End;

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
    pub action: Option<&'a str>,
    /// The client.
    pub client: SocketAddr,
    /// The target that answered, or was tried last.
    pub target: Option<&'a str>,
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
    /// How long connecting took; `None` on a kept connection.
    pub connect: Option<Duration>,
    /// From the request being sent to the answer's first byte.
    pub first_byte: Option<Duration>,
    /// From the request's first byte to the end.
    pub duration: Duration,
    /// Attempts beyond the first.
    pub retries: u32,
    /// Why the balancer answered itself (`no-target`, `bad-request`, …).
    pub reason: Option<&'a str>,
    /// How the exchange ended when not well (`client-closed`, `target-closed`, …).
    pub termination: Option<&'a str>,
}

/// Why a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowEnd {
    /// Both sides had said everything.
    Finished,
    /// The client reset it.
    ClientReset,
    /// The target reset it.
    TargetReset,
    /// No byte for the listener's idle timeout.
    IdleTimeout,
    /// The target's fate ended it.
    Target(End),
    /// The target's host said that nobody listens, or the network that there is no way.
    TargetUnreachable,
    /// The target never answered (UDP).
    Unreplied,
    /// The target sent as many datagrams as `udp-responses` says (UDP).
    Answered,
    /// It made room for another flow (UDP).
    Evicted,
    /// The listener no longer has the address (UDP).
    ListenerRemoved,
    /// No target could be used.
    NoTarget,
    /// No target recovered within `hold`.
    HoldExpired,
    /// The process is shutting down.
    Shutdown,
}

impl FlowEnd {
    /// How UDP flows end, in the order of [`FlowEnd::place`].
    pub const OF_UDP: [Self; 9] = [
        Self::Answered,
        Self::IdleTimeout,
        Self::Unreplied,
        Self::Evicted,
        Self::TargetUnreachable,
        Self::Target(End::TargetUnhealthy),
        Self::Target(End::TargetDeregistered),
        Self::ListenerRemoved,
        Self::Shutdown,
    ];

    /// Its place among [`FlowEnd::OF_UDP`].
    pub(crate) fn place(self) -> Option<usize> {
        Self::OF_UDP.iter().position(|end| *end == self)
    }

    /// The name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::ClientReset => "client-reset",
            Self::TargetReset => "target-reset",
            Self::IdleTimeout => "idle-timeout",
            Self::Target(End::TargetUnhealthy) => "target-unhealthy",
            Self::Target(End::TargetDeregistered) => "target-deregistered",
            Self::TargetUnreachable => "target-unreachable",
            Self::Unreplied => "unreplied",
            Self::Answered => "answered",
            Self::Evicted => "evicted",
            Self::ListenerRemoved => "listener-removed",
            Self::NoTarget => "no-target",
            Self::HoldExpired => "hold-expired",
            Self::Shutdown => "shutdown",
        }
    }
}

/// One TCP or UDP flow.
#[derive(Debug, Clone, Copy)]
pub struct FlowRecord<'a> {
    /// `tcp`, `udp` or `quic`.
    pub transport: &'static str,
    /// When it was accepted.
    pub time: SystemTime,
    /// The listener's name.
    pub listener: &'a str,
    /// The target group's name.
    pub target_group: &'a str,
    /// The client.
    pub client: SocketAddr,
    /// The target it ran on.
    pub target: Option<&'a str>,
    /// Bytes from client to target.
    pub bytes_in: u64,
    /// Bytes from target to client.
    pub bytes_out: u64,
    /// Datagrams from client to target and back; `None` for TCP.
    pub datagrams: Option<(u64, u64)>,
    /// How long choosing and connecting took; `None` when no target was reached.
    pub connect: Option<Duration>,
    /// From accept to end.
    pub duration: Duration,
    /// Targets that failed it before.
    pub retries: u32,
    /// Why it ended.
    pub termination: FlowEnd,
}

impl ExchangeRecord<'_> {
    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.time("time", self.time);
        line.word("type", "http");
        line.text("listener", self.listener.as_bytes());
        if !self.target_group.is_empty() {
            line.text("target_group", self.target_group.as_bytes());
        }
        if let Some(rule) = self.rule {
            line.word("rule", rule);
        }
        if let Some(action) = self.action {
            line.word("action", action);
        }
        line.address("client", self.client);
        if let Some(target) = self.target {
            line.word("target", target);
        }
        line.text("method", self.method);
        line.text("host", self.host);
        line.text("path", self.path);
        line.number("status", u64::from(self.status));
        if let Some(status) = self.target_status {
            line.number("target_status", u64::from(status));
        }
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        line.optional_seconds("connect", self.connect);
        line.optional_seconds("first_byte", self.first_byte);
        line.seconds("duration", self.duration);
        if self.retries > 0 {
            line.number("retries", u64::from(self.retries));
        }
        if let Some(reason) = self.reason {
            line.word("reason", reason);
        }
        if let Some(termination) = self.termination {
            line.word("termination", termination);
        }
    }
}

impl FlowRecord<'_> {
    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.time("time", self.time);
        line.word("type", self.transport);
        line.text("listener", self.listener.as_bytes());
        line.text("target_group", self.target_group.as_bytes());
        line.address("client", self.client);
        if let Some(target) = self.target {
            line.word("target", target);
        }
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        if let Some((inward, outward)) = self.datagrams {
            line.number("datagrams_in", inward);
            line.number("datagrams_out", outward);
        }
        line.optional_seconds("connect", self.connect);
        line.seconds("duration", self.duration);
        if self.retries > 0 {
            line.number("retries", u64::from(self.retries));
        }
        line.word("termination", self.termination.as_str());
    }
}
