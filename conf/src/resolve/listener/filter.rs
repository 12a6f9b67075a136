//! `[[listener.filter]]`: numbered allow and deny rules by network and port.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::document::{Kind, Table, Value};
use crate::resolve::directory::Directory;
use crate::resolve::{Sources, private};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{CollectionIdx, Diagnostic, FilterRule, Span, Spanned};

/// Rules of one listener: more than a network ACL takes (40), few enough for each to be meant.
const MAX_RULES: usize = 200;

/// A rule, and where it stands.
type Found = (FilterRule, Span);

/// Every rule of a listener, lowest number first.
pub(super) fn resolve(
    listener: &mut Reader<'_>,
    binds: &[Spanned<SocketAddr>],
    sources: Sources<'_>,
    names: &mut Directory<CollectionIdx>,
) -> Vec<FilterRule> {
    let tables = listener.tables("filter");
    if let Some(one_more) = tables.get(MAX_RULES) {
        let message = format!(
            "the filter of {} has {} rules, more than {MAX_RULES}",
            listener.title(),
            tables.len()
        );
        let error = Diagnostic::error("too-many-rules", one_more.span, message)
            .consequence("nobody could tell any more who gets in")
            .help("put the networks into `networks` of fewer rules, or into a [[cidr-collection]]");
        listener.scope().report(error);
    }
    let mut numbers = Vec::new();
    let mut rules: Vec<Found> = Vec::new();
    for table in tables {
        let mut reader = reader_of(listener, table);
        let number = number(&mut reader, listener.title(), &mut numbers);
        let networks = networks(&mut reader, sources, names);
        rules.extend(rule(reader, number, networks, binds));
    }
    rules.sort_by_key(|(rule, _)| rule.number);
    // With a rule that could not be read, nothing can be said of the whole.
    if rules.len() == numbers.len() {
        check_whole(listener, &rules);
    }
    rules.into_iter().map(|(rule, _)| rule).collect()
}

fn reader_of<'t>(listener: &Reader<'t>, table: &'t Table) -> Reader<'t> {
    let title = format!("a filter rule of {}", listener.title());
    Reader::new(listener.scope(), table, Section::Filter, title)
}

fn rule(
    mut reader: Reader<'_>,
    number: Option<u64>,
    networks: Option<Vec<IpNet>>,
    binds: &[Spanned<SocketAddr>],
) -> Option<Found> {
    reader.missing(
        "action",
        "it would not be known whether it lets in or refuses",
        "add `action = \"allow\"` or `action = \"deny\"`",
    );
    let action = reader.choice("action", &[("allow", true), ("deny", false)]);
    let ports = ports(&mut reader, "ports");
    check_binds(&reader, ports.as_deref().unwrap_or_default(), binds);
    let source_ports = self::ports(&mut reader, "source-ports");
    let span = reader.span();
    reader.finish();
    let Choice::Is(action) = action else {
        return None;
    };
    let rule = FilterRule {
        number: u16::try_from(number?).ok()?,
        allow: action.value,
        networks: networks?,
        ports: ports?,
        source_ports: source_ports?,
    };
    Some((rule, span))
}

/// Networks by CIDR, by name of a [[network]], or of all locations of collections; `None` when some
/// could not be read, which must not make a rule wider than it was meant.
fn networks(
    reader: &mut Reader<'_>,
    sources: Sources<'_>,
    names: &mut Directory<CollectionIdx>,
) -> Option<Vec<IpNet>> {
    let keys = ["networks", "cidr-collections"];
    let given = keys.iter().any(|key| reader.has(key));
    for key in keys {
        if reader.has(key) && reader.is_empty_or_absent(key) {
            empty(reader, key, "list at least one, or remove the key");
        }
    }
    let mut networks = private::networks(reader, "networks", sources.networks);
    for name in reader.texts("cidr-collections") {
        let found = names.find(name, reader.scope());
        let collection = found.and_then(|index| sources.collections.get(index.0));
        let locations = collection.into_iter().flat_map(|found| &found.locations);
        networks.extend(locations.flat_map(|location| &location.cidrs));
    }
    (!given || !networks.is_empty()).then_some(networks)
}

fn empty(reader: &Reader<'_>, key: &str, help: &str) {
    let span = reader.key_span(key).unwrap_or(reader.span());
    let message = format!("`{key}` of {} is empty", reader.title());
    reader.bad_value(span, message, help);
}

fn number(reader: &mut Reader<'_>, listener: &str, seen: &mut Vec<Spanned<u64>>) -> Option<u64> {
    reader.missing(
        "number",
        "it would not be known which rule is looked at first",
        "add `number = 100`: the lowest is looked at first",
    );
    let limit = Limit {
        default: 100,
        min: 1,
        max: 32_766,
        why: "rules of network ACLs go from 1 to 32766",
    };
    let number = reader.whole("number", &limit)?;
    reader.rename(format!("filter rule {} of {listener}", number.value));
    if let Some(first) = seen.iter().find(|first| first.value == number.value) {
        let message = format!("{listener} has two filter rules {}", number.value);
        let error = Diagnostic::error("duplicate-number", number.span, message)
            .consequence("it would not be known which of them is looked at first")
            .help("give each rule of a filter its own number")
            .related(first.span, "first used here");
        reader.scope().report(error);
        return None;
    }
    seen.push(number);
    Some(number.value)
}

/// Ports and ranges of ports: 53, "1024-65535", or a list of such; `None` when none could be read.
fn ports(reader: &mut Reader<'_>, key: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let given = reader.has(key);
    if given && reader.is_empty_or_absent(key) {
        empty(reader, key, "list at least one port, or remove the key");
    }
    let mut found = Vec::new();
    for value in reader.one_or_list(key) {
        match port_range(value) {
            Some(range) => found.push(range),
            None if matches!(value.kind, Kind::Broken) => {}
            None => {
                let message = format!("`{key}` of {} holds no range of ports", reader.title());
                let help = "write a port (53) or a range (\"1024-65535\"), of 0 to 65535";
                reader.bad_value(value.span, message, help);
            }
        }
    }
    (!given || !found.is_empty()).then_some(found)
}

fn port_range(value: &Value) -> Option<RangeInclusive<u16>> {
    match &value.kind {
        Kind::Integer(port) => u16::try_from(*port).ok().map(|port| port..=port),
        Kind::String(text) => {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (from <= to).then_some(from..=to)
        }
        _ => None,
    }
}

fn check_binds(reader: &Reader<'_>, ports: &[RangeInclusive<u16>], binds: &[Spanned<SocketAddr>]) {
    // Port 0 becomes any.
    let matches = |bind: &Spanned<SocketAddr>| {
        let port = bind.port();
        port == 0 || ports.iter().any(|range| range.contains(&port))
    };
    if ports.is_empty() || binds.is_empty() || binds.iter().any(matches) {
        return;
    }
    let span = reader.key_span("ports").unwrap_or(reader.span());
    let message = format!(
        "no port of the listener is among `ports` of {}",
        reader.title()
    );
    let warning = Diagnostic::warning("never-matches", span, message)
        .consequence("the rule would match nothing")
        .help("`ports` are the listener's own; for the client's use `source-ports`");
    reader.scope().report(warning);
}

/// What only shows when all rules are seen together.
fn check_whole(listener: &Reader<'_>, rules: &[Found]) {
    let all = |rule: &FilterRule| {
        rule.networks.is_empty() && rule.ports.is_empty() && rule.source_ports.is_empty()
    };
    let end = rules.iter().position(|(rule, _)| all(rule));
    if let Some((last, rest)) = end.map(|end| rules.split_at(end + 1))
        && let (Some((last, last_span)), Some((rule, span))) = (last.last(), rest.first())
    {
        let message = format!(
            "filter rule {} of {} is never looked at",
            rule.number,
            listener.title()
        );
        let warning = Diagnostic::warning("never-matches", *span, message)
            .consequence(format!("rule {} matches everything", last.number))
            .help("give that one a higher number, or `networks`")
            .related(*last_span, "this one matches everything");
        listener.scope().report(warning);
    }
    if let (Some((_, span)), true) = (rules.first(), rules.iter().all(|(rule, _)| !rule.allow)) {
        let message = format!("the filter of {} allows nobody", listener.title());
        let warning = Diagnostic::warning("never-matches", *span, message)
            .consequence("what no rule matches is refused, so everything would be")
            .help("add a last rule { number = 32766, action = \"allow\" }");
        listener.scope().report(warning);
    }
}
