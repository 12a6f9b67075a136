//! What is logged of a flow: one record when it ends or is refused, as one JSON object a line or in
//! AWS's formats (`aws`).
//!
//! Field names are the design's words; times are RFC 3339 in UTC, durations seconds with
//! microseconds, sizes bytes. Fields that have no value are left out.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::json::{Line, name, quoted};
use crate::metrics::RejectReason;
use crate::target::End;
use crate::tls::HandshakeReason;

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
    /// The target's fate, or that of all, ended it.
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
    /// The balancer did not let it in, or had no target for it.
    Refused(RejectReason),
    /// No TLS was agreed on.
    Handshake,
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
        let told = match self {
            Self::Target(End::Shutdown) => Self::Shutdown,
            told => told,
        };
        Self::OF_UDP.iter().position(|end| *end == told)
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
            Self::Refused(reason) => reason.as_str(),
            Self::Handshake => "tls-handshake",
            Self::Shutdown | Self::Target(End::Shutdown) => "shutdown",
        }
    }
}

/// What a flow is carried by: the kinds that NLB's metrics tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowKind {
    /// A TCP connection.
    Tcp,
    /// A TCP connection whose TLS ends here.
    Tls,
    /// Datagrams of one client address and port.
    Udp,
    /// The same, told apart by QUIC connection IDs.
    Quic,
}

impl FlowKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Tls, Self::Udp, Self::Quic];

    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Quic => "quic",
        }
    }

    /// True for TCP, whatever runs on it.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }
}

/// What a flow's TLS was; texts are empty where there is nothing to tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct TlsRecord<'a> {
    /// How long the handshake took; `None` when it was not finished.
    pub handshake: Option<Duration>,
    /// The alert that the client sent.
    pub alert: &'a str,
    /// The certificate shown, by the name of its file.
    pub certificate: &'a str,
    /// The cipher suite.
    pub cipher: &'a str,
    /// The version, as `tlsv13`.
    pub version: &'a str,
    /// The named group of the key exchange.
    pub named_group: &'a str,
    /// The server name asked for.
    pub server_name: &'a [u8],
    /// The application protocol agreed upon with the client.
    pub alpn: &'a [u8],
    /// The same with the target.
    pub target_alpn: &'a [u8],
    /// What the client offered, by commas.
    pub client_alpn: &'a [u8],
    /// An earlier session went on.
    pub resumed: bool,
    /// The client's certificate, believed or not.
    pub client: Option<CertificateRecord<'a>>,
    /// Why the handshake failed: the word, and the sentence.
    pub failure: Option<(HandshakeReason, &'a str)>,
}

/// What is told of a client's certificate.
#[derive(Debug, Clone, Copy)]
pub struct CertificateRecord<'a> {
    /// Its serial number.
    pub serial: &'a str,
    /// Whose it is (RFC 2253).
    pub subject: &'a str,
    /// From when until when: `NotBefore=…;NotAfter=…`.
    pub validity: &'a str,
}

/// One flow.
#[derive(Debug, Clone, Copy)]
pub struct FlowRecord<'a> {
    /// What it was carried by.
    pub kind: FlowKind,
    /// When it was accepted.
    pub time: SystemTime,
    /// The listener's name.
    pub listener: &'a str,
    /// The target group's name; empty when it reached none.
    pub target_group: &'a str,
    /// The client.
    pub client: SocketAddr,
    /// The address it used.
    pub local: SocketAddr,
    /// The target it ran on.
    pub target: Option<&'a str>,
    /// Bytes from client to target.
    pub bytes_in: u64,
    /// Bytes from target to client.
    pub bytes_out: u64,
    /// Datagrams from client to target and back; for TCP segments that the client sent and got, if
    /// the kernel could tell.
    pub packets: Option<(u64, u64)>,
    /// How long choosing and connecting took; `None` when no target was reached.
    pub connect: Option<Duration>,
    /// From accept to end.
    pub duration: Duration,
    /// Targets that failed it before.
    pub retries: u32,
    /// Why it ended.
    pub termination: FlowEnd,
    /// Its TLS, if that ended here.
    pub tls: Option<TlsRecord<'a>>,
}

impl FlowRecord<'_> {
    /// True when the balancer refused it.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.termination, FlowEnd::Refused(_) | FlowEnd::Handshake)
    }

    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.word(quoted!("type"), self.kind.as_str());
        line.word(quoted!("listener"), self.listener);
        line.word(
            quoted!("action"),
            if self.is_refused() {
                "reject"
            } else {
                "accept"
            },
        );
        if !self.target_group.is_empty() {
            line.word(quoted!("target_group"), self.target_group);
        }
        line.ends(self.client, self.local);
        if let Some(target) = self.target {
            line.word(quoted!("target"), target);
        }
        line.number(name!("bytes_in"), self.bytes_in);
        line.number(name!("bytes_out"), self.bytes_out);
        if let Some((inward, outward)) = self.packets {
            let names = match self.kind.is_stream() {
                true => (name!("segments_in"), name!("segments_out")),
                false => (name!("datagrams_in"), name!("datagrams_out")),
            };
            line.number(names.0, inward);
            line.number(names.1, outward);
        }
        line.optional_seconds(name!("connect"), self.connect);
        line.seconds(name!("duration"), self.duration);
        if self.retries > 0 {
            line.number(name!("retries"), u64::from(self.retries));
        }
        line.word(quoted!("termination"), self.termination.as_str());
        if let Some(tls) = &self.tls {
            tls.write(line);
        }
    }
}

impl TlsRecord<'_> {
    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.optional_seconds(name!("tls_handshake"), self.handshake);
        let texts = [
            (quoted!("tls_alert"), self.alert.as_bytes()),
            (quoted!("tls_certificate"), self.certificate.as_bytes()),
            (quoted!("tls_cipher"), self.cipher.as_bytes()),
            (quoted!("tls_version"), self.version.as_bytes()),
            (quoted!("tls_named_group"), self.named_group.as_bytes()),
            (quoted!("server_name"), self.server_name),
            (quoted!("alpn"), self.alpn),
            (quoted!("target_alpn"), self.target_alpn),
            (quoted!("client_alpn"), self.client_alpn),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            line.text(name, text);
        }
        if self.resumed {
            line.word(quoted!("tls_session"), "resumed");
        }
        if let Some(client) = self.client {
            line.text(quoted!("tls_client_serial"), client.serial.as_bytes());
            line.text(quoted!("tls_client_subject"), client.subject.as_bytes());
        }
        if let Some((reason, error)) = self.failure {
            line.word(quoted!("tls_reason"), reason.as_str());
            line.text(quoted!("tls_error"), error.as_bytes());
        }
    }
}

/// Datagrams that were refused and not recorded one by one, because their sources were too many.
#[derive(Debug, Clone, Copy)]
pub struct SkippedRecord<'a> {
    /// What they would have been carried by.
    pub kind: FlowKind,
    /// The listener's name.
    pub listener: &'a str,
    /// When the first came.
    pub time: SystemTime,
    /// From that to the last one.
    pub duration: Duration,
    /// How many there were.
    pub datagrams: u64,
}

impl SkippedRecord<'_> {
    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.word(quoted!("type"), self.kind.as_str());
        line.word(quoted!("listener"), self.listener);
        line.word(quoted!("action"), "reject");
        line.number(name!("skipped"), self.datagrams);
        line.seconds(name!("duration"), self.duration);
    }
}
