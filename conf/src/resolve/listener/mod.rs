//! `[[listener]]`: where traffic is accepted, and what is done with it.

mod action;
mod condition;
mod datagram;
mod desync;
mod error_page;
mod field_edits;
mod filter;
mod headers;
mod http;
mod jwt;
mod limit;
mod mutual;
mod pace;
mod proxy;
mod redirect;
mod rewrite;
mod rule;
mod tls;
mod unix;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::address;
use super::defaults::Numbers;
use super::process::whole_or;
use super::{Names, Sources};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{Gate, Listener, ListenerIdx, ListenerProtocol, Spanned, TargetGroup};
use action::Scene;
use http::HttpLimits;

/// Resolves every listener.
pub(super) fn resolve(
    root: &mut Reader<'_>,
    numbers: &Numbers,
    groups: &[TargetGroup],
    sources: Sources<'_>,
    names: &mut Names,
) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for table in root.tables("listener") {
        let reader = Reader::new(root.scope(), table, Section::Listener, "this listener");
        if let Some(listener) = listener(reader, numbers, groups, sources, names) {
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
    sources: Sources<'_>,
    names: &mut Names,
) -> Option<Listener> {
    let name = names.listeners.declare(&mut reader);
    let protocol = protocol(&mut reader);
    reader.missing(
        "bind",
        "there would be no address to accept on",
        "add `bind = \"127.0.0.1:8080\"`",
    );
    let (binds, sockets) = address::listener_binds(&mut reader);
    let unix = unix::read(&mut reader, sockets, protocol);
    if reader.has("bind") && reader.is_empty_or_absent("bind") {
        no_bind(&reader);
    }
    let given = address::advertised(&mut reader);
    let mut scene = Scene {
        groups,
        directory: &mut names.groups,
        protocol,
        aws_cookies: numbers.as_elb,
        ports: binds.iter().map(|bind| bind.port()).collect(),
    };
    let action = action::of_listener(&mut reader, &mut scene);
    let reads_requests = protocol.is_none_or(ListenerProtocol::is_http);
    let limits = limit::read(&mut reader, reads_requests);
    let jwt = jwt::of_listener(&mut reader, reads_requests);
    let gate = Gate {
        jwt: jwt.clone(),
        limits: Vec::new(),
        rewrites: rewrite::read(&mut reader, action.as_ref(), reads_requests),
    };
    let rules = rule::resolve(&mut reader, &numbers.rules, jwt.as_ref(), &mut scene);
    let filter = filter::resolve(&mut reader, &binds, sources, &mut names.collections);
    let http = HttpLimits::read(&mut reader, protocol, numbers);
    let idle = match protocol {
        Some(protocol) if !protocol.is_http() => &numbers.tcp_idle_timeout,
        _ => &numbers.http_idle_timeout,
    };
    let hello_timeout = (protocol == Some(ListenerProtocol::TlsPassthrough))
        .then(|| reader.duration_or("tls-handshake-timeout", &numbers.handshake_timeout));
    let tls = tls::read(&mut reader, protocol, http.http2, numbers);
    let udp = datagram::read(&mut reader, protocol, numbers);
    let proxy_in = proxy::read(&mut reader, protocol, &binds, sources, numbers);
    let desync = desync::read(&mut reader, protocol);
    let header_edits = headers::read(&mut reader, protocol, numbers, &proxy_in.trusted);
    let error_pages = error_page::read(&mut reader, protocol);
    let pace = pace::read(&mut reader, protocol);
    let idle_timeout = idle_timeout(&mut reader, protocol, idle);
    let max_connections = reader.whole("max-connections", &numbers.max_connections);
    let backlog = backlog(&mut reader, protocol, numbers);
    let per_source = per_source(&mut reader, protocol, numbers);
    reader.finish();
    let (name, default_action) = (name?, action?);
    if binds.is_empty() && unix.names.is_empty() {
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
        unix,
        protocol: protocol?,
        filter,
        rules,
        default_action,
        limits,
        gate,
        max_connections: whole_or(max_connections, numbers.max_connections.default),
        proxy_in,
        backlog,
        max_connections_per_source: per_source,
        idle_timeout,
        header_timeout: hello_timeout.unwrap_or(http.header_timeout),
        max_header_bytes: http.max_header_bytes,
        http2: http.http2.value,
        client_keep_alive: http.client_keep_alive,
        http1_requests: http.max_requests.http1,
        http2_requests: http.max_requests.http2,
        max_request_body: http.max_request_body,
        desync,
        header_edits,
        min_rate: pace.min_rate,
        min_rate_window: pace.window,
        request_timeout: pace.request_timeout,
        error_pages,
        tls,
        udp,
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
        ("https", ListenerProtocol::Https),
        ("tcp", ListenerProtocol::Tcp),
        ("tls", ListenerProtocol::Tls),
        ("tls-passthrough", ListenerProtocol::TlsPassthrough),
        ("udp", ListenerProtocol::Udp),
        ("tcp-udp", ListenerProtocol::TcpUdp),
        ("quic", ListenerProtocol::Quic),
        ("tcp-quic", ListenerProtocol::TcpQuic),
    ];
    match reader.choice("protocol", &words) {
        Choice::Is(protocol) => Some(protocol.value),
        Choice::Absent | Choice::Refused | Choice::Later => None,
    }
}

fn backlog(reader: &mut Reader<'_>, protocol: Option<ListenerProtocol>, numbers: &Numbers) -> u32 {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.takes_streams()) {
        let why = format!("a {} listener accepts no connections", protocol.as_str());
        reader.misplaced("backlog", &why, "remove it");
    }
    let limit = &numbers.backlog;
    let number = reader
        .whole("backlog", limit)
        .map_or(limit.default, |found| found.value);
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Connections of one client address; of datagrams flows are limited.
fn per_source(
    reader: &mut Reader<'_>,
    protocol: Option<ListenerProtocol>,
    numbers: &Numbers,
) -> u32 {
    const KEY: &str = "max-connections-per-source";
    if let Some(protocol) = protocol.filter(|protocol| !protocol.takes_streams()) {
        let why = format!(
            "a {} listener has flows, not connections",
            protocol.as_str()
        );
        reader.misplaced(KEY, &why, "use `max-flows-per-source`");
    }
    let limit = &numbers.max_connections_per_source;
    let number = reader
        .whole(KEY, limit)
        .map_or(limit.default, |found| found.value);
    u32::try_from(number).unwrap_or(u32::MAX)
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
