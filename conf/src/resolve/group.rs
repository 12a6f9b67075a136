//! `[[target-group]]` and its targets.

use super::algorithm;
use super::anomaly;
use super::connection_id;
use super::cross_zone;
use super::defaults::Numbers;
use super::directory::Directory;
use super::health::{self, Owner};
use super::{
    limits, passive, proxy, request_hash, retries, slow_start, stickiness, target, termination,
    unix_target,
};
use crate::section::Section;
use crate::tree::{Choice, Reader};
use crate::{
    Algorithm, ConnectionId, Diagnostic, GroupIdx, GroupProtocol, MinimumHealthy, Profile, Span,
    Spanned, TargetGroup, TargetSources, TlsCheck,
};

/// Resolves every group. `place` is the profile, and the availability zone of this process.
pub(super) fn resolve(
    root: &mut Reader<'_>,
    place: (Profile, &str),
    numbers: &Numbers,
    directory: &mut Directory<GroupIdx>,
) -> Vec<TargetGroup> {
    let mut groups = Vec::new();
    for table in root.tables("target-group") {
        let reader = Reader::new(
            root.scope(),
            table,
            Section::TargetGroup,
            "this target group",
        );
        if let Some(group) = group(reader, place, numbers, directory) {
            directory.place(&group.name, GroupIdx(groups.len()));
            groups.push(group);
        }
    }
    groups
}

fn group(
    mut reader: Reader<'_>,
    (profile, zone): (Profile, &str),
    numbers: &Numbers,
    directory: &mut Directory<GroupIdx>,
) -> Option<TargetGroup> {
    let name = directory.declare(&mut reader);
    let protocol = protocol(&mut reader);
    let preserve_client_ip = preserve_client_ip(&mut reader, protocol);
    let proxy_out = proxy::out(&mut reader, protocol);
    let owner = Owner {
        protocol: protocol.unwrap_or(GroupProtocol::Tcp),
        profile,
        proxy_protocol_out: proxy_out.version,
    };
    let (targets, sources) = target::read(&mut reader, numbers);
    let (max_in_flight, queue_timeout) = limits::of_group(&mut reader, numbers);
    let check = reader.table("health-check");
    let health_check = health::of_targets(check, reader.title(), &owner, numbers, reader.scope());
    let passive_health = passive::read(&mut reader, protocol, numbers);
    misplaced(&mut reader, protocol);
    let tls = tls(&mut reader, protocol, profile);
    let response_timeout = match protocol {
        Some(protocol) if protocol.is_http() => {
            reader.duration_or("response-timeout", &numbers.response_timeout)
        }
        _ => numbers.response_timeout.default,
    };
    // Of other sources it is not known how many targets they have, and where.
    let known = if sources.is_empty() {
        &targets[..]
    } else {
        &[]
    };
    let nlb = profile == Profile::Aws && protocol.is_some_and(|protocol| !protocol.is_http());
    let only_zone = cross_zone::read(&mut reader, zone, nlb, known);
    let used = cross_zone::count(only_zone.as_deref(), known);
    let (unhealthy_state_routing, dns_failover) = thresholds(&mut reader, numbers, used);
    let algorithms = Algorithm::ALL.map(|algorithm| (algorithm.as_str(), algorithm));
    let algorithm = reader.choice("algorithm", &algorithms);
    algorithm::check(&reader, &algorithm, protocol);
    let (algorithm, connection_id) =
        connection_id::read(&mut reader, protocol, algorithm, &targets);
    without_ids(&reader, connection_id.as_ref(), &sources);
    let sticky = stickiness::read(
        &mut reader,
        protocol,
        numbers.as_elb,
        name.map_or("", |name| name.value),
    );
    let (connection_termination, unhealthy_flows) =
        termination::read(&mut reader, protocol, profile, numbers);
    let deregistration_delay =
        reader.duration_or("deregistration-delay", &numbers.deregistration_delay);
    let anomaly_mitigation = anomaly::read(&mut reader, protocol, algorithm, numbers);
    let slow_start = slow_start::read(&mut reader, (algorithm, sticky.by_source), numbers);
    let hold = reader.duration_or("hold", &numbers.hold);
    let connect_timeout = reader.duration_or("connect-timeout", &numbers.connect_timeout);
    let request_hash = request_hash::read(&mut reader, algorithm);
    let retries = retries::read(&mut reader, protocol);
    let scope = reader.scope();
    reader.finish();
    let name = name?;
    let group = TargetGroup {
        name: name.value.to_owned(),
        span: name.span,
        protocol: protocol?,
        algorithm,
        connection_id,
        sticky_by_source: sticky.by_source,
        cookie: sticky.cookie,
        targets,
        sources,
        deregistration_delay,
        hold,
        connect_timeout,
        response_timeout,
        tls,
        max_in_flight,
        request_hash,
        retries,
        queue_timeout,
        preserve_client_ip,
        proxy_out,
        connection_termination,
        unhealthy_flows,
        unhealthy_state_routing,
        dns_failover,
        passive_health,
        slow_start,
        anomaly_mitigation,
        only_zone,
        health_check,
    };
    unix_target::check(&group, scope);
    Some(group)
}

/// Whom connections to the targets believe; its keys mean nothing in clear text.
fn tls(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    profile: Profile,
) -> Option<TlsCheck> {
    match protocol {
        Some(protocol) if protocol.is_tls() => Some(health::tls::read(reader, profile, None)),
        Some(protocol) => {
            let word = protocol.as_str();
            let help = match protocol {
                GroupProtocol::Http => "use protocol `https`, or remove the key",
                GroupProtocol::H2c => "use protocol `h2`, or remove the key",
                GroupProtocol::Grpc => "use protocol `grpcs`, or remove the key",
                GroupProtocol::Tcp => "use protocol `tls`, or remove the key",
                _ => "remove it",
            };
            for key in health::tls::KEYS {
                reader.misplaced(key, &format!("a {word} group speaks no TLS"), help);
            }
            None
        }
        None => {
            for key in health::tls::KEYS {
                reader.take(key);
            }
            None
        }
    }
}

/// Targets of names have no server IDs.
fn without_ids(reader: &Reader<'_>, mode: Option<&ConnectionId>, sources: &TargetSources) {
    if let (Some(ConnectionId::ServerId(_)), Some(named)) = (mode, sources.names.first()) {
        let message = format!(
            "the targets of `{}` of {} have no `server-id`",
            named.name,
            reader.title()
        );
        let help = "list them by address, each with its ID, or use another mode of `connection-id`";
        reader.bad_value(named.span, message, help);
    }
}

/// Reports keys that mean nothing to the protocol.
fn misplaced(reader: &mut Reader<'_>, protocol: Option<GroupProtocol>) {
    let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) else {
        return;
    };
    let word = protocol.as_str();
    let why = format!("a {word} group does not know what is an answer");
    let help = match protocol.takes_streams() {
        true => "remove it; the listener's `idle-timeout` ends silent connections",
        false => "remove it; the listener's `udp-unreplied-timeout` ends flows without answers",
    };
    reader.misplaced("response-timeout", &why, help);
    if !protocol.takes_streams() {
        let why = format!("a {word} group connects to nothing");
        reader.misplaced("connect-timeout", &why, "remove it");
    }
}

/// Off unless asked for, as NLB's for targets by address.
fn preserve_client_ip(reader: &mut Reader<'_>, protocol: Option<GroupProtocol>) -> bool {
    const KEY: &str = "preserve-client-ip";
    if let Some(protocol) = protocol.filter(|protocol| protocol.takes_datagrams()) {
        let why = format!(
            "a {} group's flows have this machine's address",
            protocol.as_str()
        );
        reader.misplaced(KEY, &why, "remove it, or use protocol `tcp`");
    }
    reader.flag(KEY).is_some_and(|flag| flag.value)
}

fn protocol(reader: &mut Reader<'_>) -> Option<GroupProtocol> {
    reader.missing(
        "protocol",
        "it would not be known how to speak to the targets",
        "add `protocol = \"http\"` or `protocol = \"tcp\"`",
    );
    let words = [
        ("http", GroupProtocol::Http),
        ("https", GroupProtocol::Https),
        ("h2", GroupProtocol::H2),
        ("h2c", GroupProtocol::H2c),
        ("grpc", GroupProtocol::Grpc),
        ("grpcs", GroupProtocol::Grpcs),
        ("tls", GroupProtocol::Tls),
        ("tcp", GroupProtocol::Tcp),
        ("udp", GroupProtocol::Udp),
        ("tcp-udp", GroupProtocol::TcpUdp),
        ("quic", GroupProtocol::Quic),
        ("tcp-quic", GroupProtocol::TcpQuic),
    ];
    match reader.choice("protocol", &words) {
        Choice::Is(protocol) => Some(protocol.value),
        Choice::Absent | Choice::Refused | Choice::Later => {
            // Right or wrong with a protocol that is not known: not worth a second error.
            reader.take("response-timeout");
            None
        }
    }
}

/// One threshold as the file gives it.
struct Given {
    count: Option<Spanned<u64>>,
    percentage: Option<Spanned<u64>>,
    span: Option<Span>,
}

fn thresholds(
    reader: &mut Reader<'_>,
    numbers: &Numbers,
    registered: usize,
) -> (MinimumHealthy, MinimumHealthy) {
    let routing = given(reader, "unhealthy-state-routing", numbers);
    let failover = given(reader, "dns-failover", numbers);
    for threshold in [&routing, &failover] {
        check_reachable(reader, threshold, registered);
    }
    let routing = MinimumHealthy {
        count: value(&routing.count, numbers.healthy_count.default),
        percentage: percent(&routing.percentage, numbers.healthy_percentage.default),
    };
    // ELB wants DNS to give a group up no later than routing does; what the file does not give follows.
    let lifted = MinimumHealthy {
        count: value(&failover.count, u64::from(routing.count.max(1))),
        percentage: percent(&failover.percentage, u64::from(routing.percentage)),
    };
    if lifted.count < routing.count || lifted.percentage < routing.percentage {
        let span = failover.span.unwrap_or(reader.span());
        let mut problem = Diagnostic::error(
            "dns-failover-too-low",
            span,
            format!(
                "`dns-failover` of {} is below its `unhealthy-state-routing`",
                reader.title()
            ),
        )
        .consequence(
            "DNS would still send clients when routing has already given the health checks up",
        )
        .help("make `dns-failover` at least as high, or leave it out: it then follows");
        if let Some(other) = reader.key_span("unhealthy-state-routing") {
            problem = problem.related(other, "this is the higher one");
        }
        reader.scope().report(problem);
    }
    (routing, lifted)
}

fn given(reader: &mut Reader<'_>, key: &'static str, numbers: &Numbers) -> Given {
    let mut given = Given {
        count: None,
        percentage: None,
        span: reader.key_span(key),
    };
    if let Some(table) = reader.table(key) {
        let title = format!("`{key}` of {}", reader.title());
        let mut inner = Reader::new(reader.scope(), table, Section::MinimumHealthy, title);
        given.count = inner.whole("count", &numbers.healthy_count);
        given.percentage = inner.whole("percentage", &numbers.healthy_percentage);
        inner.finish();
    }
    given
}

fn check_reachable(reader: &Reader<'_>, given: &Given, registered: usize) {
    if let Some(count) = &given.count
        && registered > 0
        && count.value > registered as u64
    {
        reader.scope().report(
            Diagnostic::warning(
                "threshold-above-targets",
                count.span,
                format!(
                    "`count` is {}, more than {} has targets",
                    count.value,
                    reader.title()
                ),
            )
            .consequence("the threshold would always be missed")
            .help("use `percentage`, or a lower `count`"),
        );
    }
}

fn value(given: &Option<Spanned<u64>>, default: u64) -> u32 {
    let number = given.as_ref().map_or(default, |found| found.value);
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn percent(given: &Option<Spanned<u64>>, default: u64) -> u8 {
    let number = given.as_ref().map_or(default, |found| found.value);
    u8::try_from(number).unwrap_or(100)
}
