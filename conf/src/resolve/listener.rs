//! `[[listener]]` and where it forwards to.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Names;
use super::address;
use super::defaults::Numbers;
use super::process::whole_or;
use crate::document::Kind;
use crate::known;
use crate::scalar::Bytes;
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{
    Action, Diagnostic, GroupIdx, GroupProtocol, Listener, ListenerIdx, ListenerProtocol, Spanned,
    TargetGroup,
};

/// Resolves every listener.
pub(super) fn resolve(
    root: &mut Reader<'_>,
    numbers: &Numbers,
    groups: &[TargetGroup],
    names: &mut Names,
) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for table in root.tables("listener") {
        let reader = Reader::new(root.scope(), table, Section::Listener, "this listener");
        if let Some(listener) = listener(reader, numbers, groups, names) {
            let index = ListenerIdx(listeners.len());
            names.listeners.place(&listener.name, index);
            listeners.push(listener);
        }
    }
    listeners
}

fn listener(
    mut reader: Reader<'_>,
    numbers: &Numbers,
    groups: &[TargetGroup],
    names: &mut Names,
) -> Option<Listener> {
    let name = names.listeners.declare(&mut reader);
    let protocol = protocol(&mut reader);
    reader.missing(
        "bind",
        "there would be no address to accept on",
        "add `bind = \"127.0.0.1:8080\"`",
    );
    let binds = address::binds(&mut reader, "bind");
    if reader.has("bind") && reader.is_empty_or_absent("bind") {
        no_bind(&reader);
    }
    let given = address::advertised(&mut reader);
    let group = forward(&mut reader, names);
    let http = HttpLimits::read(&mut reader, protocol, numbers);
    let idle = match protocol {
        Some(ListenerProtocol::Tcp) => &numbers.tcp_idle_timeout,
        _ => &numbers.http_idle_timeout,
    };
    let idle_timeout = idle_timeout(&mut reader, protocol, idle);
    let max_connections = reader.whole("max-connections", &numbers.max_connections);
    if let (Some(protocol), Some((group, span))) = (protocol, &group)
        && let Some(group) = groups.get(group.0)
    {
        check_protocols(&reader, protocol, group, span);
    }
    reader.finish();
    let (name, (group, _)) = (name?, group?);
    if binds.is_empty() {
        return None;
    }
    Some(Listener {
        name: name.value.to_owned(),
        span: name.span,
        advertise: if given.is_empty() {
            own_addresses(&binds)
        } else {
            given
        },
        binds,
        protocol: protocol?,
        default_action: Action::Forward(group),
        max_connections: whole_or(max_connections, numbers.max_connections.default),
        idle_timeout,
        header_timeout: http.header_timeout,
        max_header_bytes: http.max_header_bytes,
    })
}

fn protocol(reader: &mut Reader<'_>) -> Option<ListenerProtocol> {
    reader.missing(
        "protocol",
        "it would not be known what clients speak",
        "add `protocol = \"http\"` or `protocol = \"tcp\"`",
    );
    let words = [
        ("http", ListenerProtocol::Http),
        ("tcp", ListenerProtocol::Tcp),
    ];
    match reader.choice("protocol", &words) {
        Choice::Is(protocol) => Some(protocol.value),
        Choice::Absent | Choice::Refused | Choice::Later => None,
    }
}

fn no_bind(reader: &Reader<'_>) {
    let span = reader.key_span("bind").unwrap_or(reader.span());
    reader.bad_value(
        span,
        format!("`bind` of {} is empty", reader.title()),
        "write `bind = \"127.0.0.1:8080\"`",
    );
}

/// The addresses of the binds that are not wildcards, each once.
fn own_addresses(binds: &[Spanned<SocketAddr>]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for bind in binds {
        if !bind.ip().is_unspecified() && !found.contains(&bind.ip()) {
            found.push(bind.ip());
        }
    }
    found
}

/// What only `http` listeners have.
struct HttpLimits {
    header_timeout: Duration,
    max_header_bytes: usize,
}

impl HttpLimits {
    fn read(
        reader: &mut Reader<'_>,
        protocol: Option<ListenerProtocol>,
        numbers: &Numbers,
    ) -> Self {
        if protocol == Some(ListenerProtocol::Tcp) {
            for key in ["header-timeout", "max-header-bytes"] {
                reader.misplaced(key, "a tcp listener reads no headers", "remove it");
            }
        }
        let mut limits = Self {
            header_timeout: numbers.header_timeout.default,
            max_header_bytes: bytes(numbers.max_header_bytes.default),
        };
        if protocol != Some(ListenerProtocol::Tcp) {
            limits.header_timeout = reader.duration_or("header-timeout", &numbers.header_timeout);
            if let Some(size) = reader.size("max-header-bytes", &numbers.max_header_bytes) {
                limits.max_header_bytes = bytes(size.value);
            }
        }
        limits
    }
}

fn bytes(size: Bytes) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

/// The range depends on the protocol; when that is unknown, only the form is worth a report.
fn idle_timeout(
    reader: &mut Reader<'_>,
    protocol: Option<ListenerProtocol>,
    limit: &Limit<Duration>,
) -> Duration {
    let limit = match protocol {
        Some(_) => *limit,
        None => Limit {
            min: Duration::ZERO,
            max: Duration::MAX,
            ..*limit
        },
    };
    reader.duration_or("idle-timeout", &limit)
}

/// The group of `forward`, and where it is named.
fn forward(reader: &mut Reader<'_>, names: &mut Names) -> Option<(GroupIdx, crate::Span)> {
    if !["redirect", "fixed-response"]
        .iter()
        .any(|key| reader.has(key))
    {
        reader.missing(
            "forward",
            "what it accepts would have nowhere to go",
            "add `forward = \"…\"` with the name of a target group",
        );
    }
    let value = reader.take("forward")?;
    let name = match &value.kind {
        Kind::Table(table) => {
            let title = format!("`forward` of {}", reader.title());
            let inner = Reader::new(reader.scope(), table, Section::Forward, title);
            only_group(inner)?
        }
        _ => reader.as_text("forward", value)?,
    };
    let span = name.span;
    let group = names.groups.find(name, reader.scope())?;
    Some((group, span))
}

/// The long form with one group means what the short form does; with several it is of a later
/// version.
fn only_group(mut reader: Reader<'_>) -> Option<Spanned<&str>> {
    let help = "add `target-groups = [{ name = \"…\" }]`, or write `forward = \"…\"`";
    reader.missing(
        "target-groups",
        "there would be nowhere to forward to",
        help,
    );
    let entries = reader.tables("target-groups");
    let mut names = Vec::new();
    for table in &entries {
        let title = "an entry of `target-groups`";
        let mut inner = Reader::new(reader.scope(), table, Section::ForwardGroup, title);
        inner.missing(
            "name",
            "there would be nowhere to forward to",
            "add `name = \"…\"`",
        );
        names.push(inner.text("name"));
        let limit = Limit {
            default: 1,
            min: 0,
            max: 999,
            why: "ELB weights go from 0 to 999",
        };
        inner.whole("weight", &limit);
        inner.finish();
    }
    if let (Some(span), [_, _, ..]) = (reader.key_span("target-groups"), entries.as_slice()) {
        let text = known::Text {
            missing: "all traffic would go to one of the groups",
            instead: "put the targets into one group, with a `weight` each",
        };
        let what = "forwarding to several target groups";
        reader.scope().report(known::refuse(what, span, text));
    }
    reader.finish();
    names.into_iter().next().flatten()
}

fn check_protocols(
    reader: &Reader<'_>,
    protocol: ListenerProtocol,
    group: &TargetGroup,
    span: &crate::Span,
) {
    let matches = matches!(
        (protocol, group.protocol),
        (ListenerProtocol::Http, GroupProtocol::Http) | (ListenerProtocol::Tcp, GroupProtocol::Tcp)
    );
    if !matches {
        let (ours, theirs) = (protocol.as_str(), group.protocol.as_str());
        reader.scope().report(
            Diagnostic::error(
                "protocol-mismatch",
                *span,
                format!(
                    "{} is `{ours}`, but target group `{}` is `{theirs}`",
                    reader.title(),
                    group.name
                ),
            )
            .consequence(
                "the group's settings are for other traffic than the listener would send it",
            )
            .help(format!("make both `{ours}` or both `{theirs}`"))
            .related(group.span, format!("this group is `{theirs}`")),
        );
    }
}
