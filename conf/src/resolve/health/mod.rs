//! Health checks: `[target-group.health-check]` here, `[[health-check]]` in `standalone`.
//!
//! Called by the resolver of target groups and by the resolver itself. One file for each kind of
//! probe; what no kind of probe reads is reported as misplaced from the one list below.

mod endpoint;
mod exec;
mod grpc;
mod http;
mod matcher;
pub(super) mod metric;
mod payload;
mod standalone;
mod timing;
pub(super) mod tls;

use std::time::Duration;

pub(super) use standalone::standalone;

use super::defaults::Numbers;
use super::proxy;
use crate::document::{Kind, Table};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader, Scope};
use crate::{
    Diagnostic, GroupProtocol, Profile, ProxyProtocol, Span, TargetHealthCheck,
    TargetHealthCheckKind, TcpCheck,
};

/// How long a UDP check that nobody wrote waits for an ICMP error: a new target is used only after
/// that long a silence, and on a network of one's own such errors take milliseconds.
const SILENCE: Duration = Duration::from_millis(500);

/// The key of every probe over TCP that asks the service itself.
const PROXY: &str = proxy::OUT;

/// What a probe speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Tls,
    Http,
    Https,
    H2,
    H2c,
    Udp,
    Grpc,
    Agent,
    Exec,
}

impl Protocol {
    /// Every one with its word.
    const WORDS: [(&'static str, Self); 10] = [
        ("tcp", Self::Tcp),
        ("tls", Self::Tls),
        ("http", Self::Http),
        ("https", Self::Https),
        ("h2", Self::H2),
        ("h2c", Self::H2c),
        ("udp", Self::Udp),
        ("grpc", Self::Grpc),
        ("agent", Self::Agent),
        ("exec", Self::Exec),
    ];

    /// The keys that mean something to it, beside those of every probe.
    fn keys(self) -> Vec<&'static str> {
        match self {
            Self::Tcp => vec!["send", "receive", PROXY],
            Self::Tls => [&tls::KEYS[..], &[PROXY]].concat(),
            Self::Http | Self::H2c => [&http::KEYS[..], &[PROXY]].concat(),
            Self::Https | Self::H2 => [&http::KEYS[..], &tls::KEYS[..], &[PROXY]].concat(),
            Self::Udp => vec!["send", "receive"],
            Self::Grpc => [&grpc::KEYS[..], &tls::KEYS[..], &[PROXY]].concat(),
            Self::Agent => vec!["send"],
            Self::Exec => vec!["command"],
        }
    }

    /// Why other keys mean nothing to it.
    fn refusal(self) -> &'static str {
        match self {
            Self::Tcp => "a tcp probe connects, and compares bytes",
            Self::Tls => "a tls probe only agrees on TLS",
            Self::Http => "an http probe is in clear text",
            Self::Https => "an https probe does not read it",
            Self::H2 => "an h2 probe does not read it",
            Self::H2c => "an h2c probe is in clear text",
            Self::Udp => "a udp probe sends a datagram",
            Self::Grpc => "a grpc probe calls a method",
            Self::Agent => "an agent probe reads one line",
            Self::Exec => "an exec probe runs a program",
        }
    }
}

/// What to do about a key that means nothing to the protocol.
fn takers(key: &str) -> String {
    let words = Protocol::WORDS.iter();
    let takers: Vec<_> = words
        .filter(|(_, protocol)| protocol.keys().contains(&key))
        .map(|(word, _)| format!("`{word}`"))
        .collect();
    let takers = match takers.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    };
    format!("use protocol {takers}, or remove it")
}

/// Where a target health check belongs.
pub(super) struct Owner {
    pub(super) protocol: GroupProtocol,
    pub(super) profile: Profile,
    /// What connections of the group begin with.
    pub(super) proxy_protocol_out: ProxyProtocol,
}

impl Owner {
    /// True for what would be an Application Load Balancer.
    fn is_alb(&self) -> bool {
        self.profile == Profile::Aws && self.protocol.is_http()
    }
}

/// Resolves a group's own check; `table` is `None` when the file gives none.
pub(super) fn of_targets(
    table: Option<&Table>,
    title: &str,
    owner: &Owner,
    numbers: &Numbers,
    scope: &Scope<'_>,
) -> TargetHealthCheck {
    let Some(table) = table else {
        return unwritten(owner, numbers);
    };
    let title = format!("the health check of {title}");
    let mut reader = Reader::new(scope, table, Section::TargetHealthCheck, title);
    let protocol = target_protocol(&mut reader, owner);
    let kind = target_kind(&mut reader, protocol, owner);
    let timing = timing::read(&mut reader, protocol, owner, numbers);
    let port = port(&mut reader);
    let proxy_protocol_out = proxy_protocol_out(&mut reader, protocol, port, owner);
    let check = TargetHealthCheck {
        kind,
        port,
        proxy_protocol_out,
        interval: timing.interval,
        fast_interval: timing.fast_interval,
        timeout: timing.timeout,
        healthy_threshold: threshold(&mut reader, "healthy-threshold", &numbers.healthy_threshold),
        unhealthy_threshold: threshold(
            &mut reader,
            "unhealthy-threshold",
            &numbers.unhealthy_threshold,
        ),
    };
    reader.finish();
    check
}

/// The check of a group whose file gives none: TCP, but for ELB's http groups, which ask for `/`,
/// and for udp groups, whose targets need not listen on TCP (ELB probes those over TCP all the
/// same).
fn unwritten(owner: &Owner, numbers: &Numbers) -> TargetHealthCheck {
    let protocol = default_protocol(owner);
    let interval = numbers.interval.default;
    let timeout = timing::default_timeout(interval, protocol, owner, numbers);
    TargetHealthCheck {
        kind: match protocol {
            Protocol::Http => TargetHealthCheckKind::Http(http::unwritten(owner)),
            Protocol::H2c => TargetHealthCheckKind::Http(crate::HttpCheck {
                version: crate::HttpVersion::Http2,
                ..http::unwritten(owner)
            }),
            Protocol::Grpc => TargetHealthCheckKind::Grpc(grpc::unwritten()),
            Protocol::Udp => TargetHealthCheckKind::Udp(payload::silence()),
            _ => TargetHealthCheckKind::Tcp(TcpCheck::default()),
        },
        port: None,
        proxy_protocol_out: match protocol {
            Protocol::Udp => ProxyProtocol::Off,
            _ => owner.proxy_protocol_out,
        },
        interval,
        fast_interval: interval,
        timeout: match protocol {
            Protocol::Udp => timeout.min(SILENCE),
            _ => timeout,
        },
        healthy_threshold: narrow(numbers.healthy_threshold.default),
        unhealthy_threshold: narrow(numbers.unhealthy_threshold.default),
    }
}

fn default_protocol(owner: &Owner) -> Protocol {
    match (owner.profile, owner.protocol) {
        (Profile::Aws, GroupProtocol::Http) => Protocol::Http,
        (Profile::Aws, GroupProtocol::Https) => Protocol::Https,
        (Profile::Aws, GroupProtocol::H2) => Protocol::H2,
        (Profile::Aws, GroupProtocol::H2c) => Protocol::H2c,
        (Profile::Aws, GroupProtocol::Grpc) => Protocol::Grpc,
        (Profile::Local, GroupProtocol::Udp | GroupProtocol::Quic) => Protocol::Udp,
        _ => Protocol::Tcp,
    }
}

fn target_protocol(reader: &mut Reader<'_>, owner: &Owner) -> Protocol {
    let (protocol, place) = match reader.choice("protocol", &Protocol::WORDS) {
        Choice::Is(found) => (found.value, found.span),
        Choice::Absent => implied_protocol(reader, owner),
        Choice::Later | Choice::Refused => return Protocol::Http,
    };
    if !is_in_elb(protocol, owner) {
        let diagnostic = not_in_elb(reader.title(), protocol, place, owner);
        reader.scope().report(diagnostic);
    }
    protocol
}

/// Keys that one protocol alone reads ask for it as clearly as its name would; and where they do.
fn implied_protocol(reader: &Reader<'_>, owner: &Owner) -> (Protocol, Span) {
    let http = http::KEYS.iter().map(|key| (*key, Protocol::Http));
    let others = [("service", Protocol::Grpc), ("command", Protocol::Exec)];
    let mut all = http.chain(others);
    all.find_map(|(key, protocol)| Some((protocol, reader.key_span(key)?)))
        .unwrap_or((default_protocol(owner), reader.span()))
}

/// True for the protocols that the load balancer of the profile has.
fn is_in_elb(protocol: Protocol, owner: &Owner) -> bool {
    match protocol {
        Protocol::Http | Protocol::Https => true,
        Protocol::Tcp => !owner.is_alb(),
        Protocol::Grpc | Protocol::H2 | Protocol::H2c => {
            owner.profile == Profile::Local || owner.is_alb()
        }
        Protocol::Tls | Protocol::Udp | Protocol::Agent | Protocol::Exec => {
            owner.profile == Profile::Local
        }
    }
}

fn not_in_elb(title: &str, protocol: Protocol, span: Span, owner: &Owner) -> Diagnostic {
    let words = Protocol::WORDS.iter();
    let mut words = words.filter(|(_, known)| *known == protocol);
    let word = words.next().map_or("", |(word, _)| word);
    let (who, instead) = match owner.is_alb() {
        true => ("an Application Load Balancer", "use protocol `http`"),
        false => ("a Network Load Balancer", "use protocol `tcp` or `http`"),
    };
    Diagnostic::error(
        "not-in-elb",
        span,
        format!("{title} cannot be `{word}` in ELB"),
    )
    .consequence(format!("{who} would refuse the target group"))
    .help(format!("{instead}, or `defaults = \"local\"`"))
}

fn target_kind(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    owner: &Owner,
) -> TargetHealthCheckKind {
    let kind = match protocol {
        Protocol::Tcp => TargetHealthCheckKind::Tcp(payload::tcp(reader, owner.profile)),
        Protocol::Tls => TargetHealthCheckKind::Tls(tls::read(reader, owner.profile, None)),
        Protocol::Http | Protocol::Https | Protocol::H2 | Protocol::H2c => {
            TargetHealthCheckKind::Http(http::read(reader, protocol, owner))
        }
        Protocol::Udp => TargetHealthCheckKind::Udp(payload::udp(reader)),
        Protocol::Grpc => TargetHealthCheckKind::Grpc(grpc::read(reader, owner)),
        Protocol::Agent => TargetHealthCheckKind::Agent(payload::agent(reader)),
        Protocol::Exec => exec::read(reader).map_or(
            TargetHealthCheckKind::Tcp(TcpCheck::default()), // reported: the file is not served
            TargetHealthCheckKind::Exec,
        ),
    };
    let own = protocol.keys();
    let why = protocol.refusal();
    for (_, other) in Protocol::WORDS {
        for key in other.keys() {
            if !own.contains(&key) {
                reader.misplaced_once(key, why, &takers(key));
            }
        }
    }
    kind
}

/// As the check says; else as its group's connections, unless another port is probed, where another
/// service listens (as HAProxy).
fn proxy_protocol_out(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    port: Option<u16>,
    owner: &Owner,
) -> ProxyProtocol {
    if !protocol.keys().contains(&PROXY) {
        return ProxyProtocol::Off;
    }
    let default = match port {
        None => owner.proxy_protocol_out,
        Some(_) => ProxyProtocol::Off,
    };
    (reader.choice(PROXY, &ProxyProtocol::WORDS)).value_or(default)
}

fn port(reader: &mut Reader<'_>) -> Option<u16> {
    let value = reader.take("port")?;
    match &value.kind {
        Kind::Integer(number) => match u16::try_from(*number) {
            Ok(port) if port > 0 => return Some(port),
            _ => {}
        },
        Kind::String(text) if text == "traffic-port" => return None,
        _ => {}
    }
    let help = "write a number from 1 to 65535, or \"traffic-port\" for the target's own";
    reader.bad_value(
        value.span,
        format!("`port` of {} is no port", reader.title()),
        help,
    );
    None
}

fn threshold(reader: &mut Reader<'_>, key: &str, limit: &Limit<u64>) -> u32 {
    let found = reader.whole(key, limit);
    narrow(found.map_or(limit.default, |found| found.value))
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
