//! `targets`, `targets-file` and `resolver` of a group.
//!
//! Called by the group's resolver. A target is an address, or a name that is looked up while it is
//! served.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::address;
use super::connection_id;
use super::defaults::Numbers;
use super::limits;
use crate::document::{Kind, Value};
use crate::scalar::{AddressFault, clipped, parse_address};
use crate::section::Section;
use crate::tree::{Reader, Scope};
use crate::{
    Address, Diagnostic, NamedTarget, Resolver, Span, Spanned, Target, TargetName, TargetSources,
};

/// The port of DNS.
const DNS_PORT: u16 = 53;
/// Servers that are asked in turn, as many as resolv.conf may list.
const MAX_SERVERS: usize = 3;

/// What an entry of `targets` is.
enum Entry {
    Address(Target),
    Name(NamedTarget),
}

/// Reads all three.
pub(super) fn read(reader: &mut Reader<'_>, numbers: &Numbers) -> (Vec<Target>, TargetSources) {
    let (targets, names) = targets(reader, numbers);
    let file = reader.text("targets-file");
    let file = file.map(|path| reader.scope().path(path.value, path.span));
    let sources = TargetSources {
        resolver: resolver(reader, &names, file.is_some()),
        names,
        file,
    };
    let title = reader.title();
    let named = reader.has("targets-file");
    if targets.is_empty() && !named && reader.is_empty_or_absent("targets") {
        reader.scope().report(
            Diagnostic::warning(
                "no-targets",
                reader.span(),
                format!("{title} has no targets"),
            )
            .consequence("every request to it would get 503 at once")
            .help("add `targets = [\"127.0.0.1:3001\"]`"),
        );
    }
    let nobody = !targets.is_empty() && targets.iter().all(|target| target.weight == 0);
    if nobody && sources.is_empty() {
        reader.scope().report(
            Diagnostic::warning(
                "no-targets",
                reader.span(),
                format!("every target of {title} has weight 0"),
            )
            .consequence("none of them would get new work, so every request would get 503")
            .help("give one of them a weight of 1 or more"),
        );
    }
    (targets, sources)
}

fn targets(reader: &mut Reader<'_>, numbers: &Numbers) -> (Vec<Target>, Vec<NamedTarget>) {
    let written = reader.one_or_list("targets");
    let (title, scope) = (reader.title(), reader.scope());
    let mut addresses: HashMap<Address, Span> = HashMap::new();
    let mut seen: HashMap<TargetName, Span> = HashMap::new();
    let (mut targets, mut names) = (Vec::new(), Vec::new());
    for value in written {
        match entry(value, title, numbers, scope) {
            Some(Entry::Address(target)) => {
                let address = target.address;
                let canonical = address.to_canonical();
                match addresses.get(&canonical) {
                    Some(first) => scope.report(duplicate(title, &address, target.span, *first)),
                    None => {
                        addresses.insert(canonical, target.span);
                        targets.push(target);
                    }
                }
            }
            Some(Entry::Name(named)) => match seen.get(&named.name) {
                Some(first) => scope.report(duplicate(title, &named.name, named.span, *first)),
                None => {
                    seen.insert(named.name.clone(), named.span);
                    names.push(named);
                }
            },
            None => {}
        }
    }
    (targets, names)
}

fn duplicate(title: &str, target: &dyn std::fmt::Display, at: Span, first: Span) -> Diagnostic {
    Diagnostic::error(
        "duplicate-target",
        at,
        format!("{title} has the target `{target}` twice"),
    )
    .consequence("its health and its share of the work would be counted twice")
    .help("remove one; for a larger share set `weight`")
    .related(first, "first listed here")
}

fn entry<'t>(
    value: &'t Value,
    title: &str,
    numbers: &Numbers,
    scope: &'t Scope<'t>,
) -> Option<Entry> {
    let table = match &value.kind {
        Kind::String(text) => {
            return match place(Spanned::new(text, value.span), scope)? {
                Place::Address(address) => Some(Entry::Address(Target {
                    span: value.span,
                    ..Target::at(address)
                })),
                Place::Name(name) => Some(Entry::Name(NamedTarget {
                    name,
                    span: value.span,
                    weight: 1,
                    availability_zone: String::new(),
                    backup: false,
                    max_in_flight: 0,
                })),
            };
        }
        Kind::Table(table) => table,
        Kind::Broken => return None,
        other => {
            scope.report(
                Diagnostic::error(
                    "wrong-type",
                    value.span,
                    format!(
                        "a target of {title} must be a string or a table, not {}",
                        other.word()
                    ),
                )
                .consequence("there would be nothing to connect to")
                .help("write \"127.0.0.1:3001\" or { address = \"127.0.0.1:3001\", weight = 2 }"),
            );
            return None;
        }
    };
    let title = format!("a target of {title}");
    let mut reader = Reader::new(scope, table, Section::Target, title);
    let place = match reader.has("srv") {
        true => service(&mut reader),
        false => {
            let help = "add `address = \"127.0.0.1:3001\"`, or `srv = \"_http._tcp.example.test\"`";
            reader.missing("address", "there would be nothing to connect to", help);
            let text = reader.text("address");
            text.and_then(|text| self::place(text, scope))
        }
    };
    let weight = reader.whole("weight", &numbers.target_weight);
    let weight = weight.map_or(numbers.target_weight.default, |found| found.value);
    let weight = u16::try_from(weight).unwrap_or(u16::MAX);
    let availability_zone = reader.text("availability-zone");
    let availability_zone = availability_zone.map_or("", |zone| zone.value).to_owned();
    let backup = reader.flag("backup").is_some_and(|flag| flag.value);
    if matches!(place, Some(Place::Name(_))) {
        let why = "the servers behind one name have IDs of their own";
        reader.misplaced("server-id", why, "list them by address, each with its ID");
    }
    let max_in_flight = limits::of_target(&mut reader, numbers);
    let server_id = connection_id::server_id(&mut reader);
    reader.finish();
    let span = value.span;
    Some(match place? {
        Place::Address(address) => Entry::Address(Target {
            address,
            span,
            weight,
            availability_zone,
            backup,
            max_in_flight,
            server_id,
        }),
        Place::Name(name) => Entry::Name(NamedTarget {
            name,
            span,
            weight,
            availability_zone,
            backup,
            max_in_flight,
        }),
    })
}

/// Where a target is.
enum Place {
    Address(Address),
    Name(TargetName),
}

fn place(text: Spanned<&str>, scope: &Scope<'_>) -> Option<Place> {
    if matches!(parse_address(text.value), Err(AddressFault::UnixPath)) {
        return address::unix(text, scope).map(Place::Address);
    }
    if !matches!(parse_address(text.value), Err(AddressFault::HostName)) {
        return address::destination(text, scope).map(|ip| Place::Address(ip.into()));
    }
    let name = TargetName::parse(text.value);
    if name.is_none() {
        let message = format!("`{}` is not a name and a port", clipped(text.value));
        scope.report(
            Diagnostic::error("bad-address", text.span, message)
                .consequence("no address would ever be found")
                .help("write a host name and a port: \"app.example.test:3001\""),
        );
    }
    name.map(Place::Name)
}

fn service(reader: &mut Reader<'_>) -> Option<Place> {
    let why = "`srv` says where its targets are";
    reader.misplaced("address", why, "keep one of the two");
    let why = "the SRV records have weights";
    reader.misplaced("weight", why, "remove it");
    let text = reader.text("srv")?;
    let name = TargetName::parse_service(text.value);
    if name.is_none() {
        let message = format!("`{}` is not the name of SRV records", clipped(text.value));
        let help = "write the service, the protocol and the domain: \"_http._tcp.example.test\"";
        reader.bad_value(text.span, message, help);
    }
    name.map(Place::Name)
}

/// Who is asked for names.
fn resolver(reader: &mut Reader<'_>, names: &[NamedTarget], has_file: bool) -> Resolver {
    let span = reader.key_span("resolver");
    let mut servers = Vec::new();
    for text in reader.texts("resolver") {
        let alone = text.value.parse::<IpAddr>();
        let address = match (parse_address(text.value), alone) {
            (Ok(address), _) => address,
            (_, Ok(ip)) => SocketAddr::new(ip, DNS_PORT),
            _ => {
                let message = format!("`{}` is not a name server", clipped(text.value));
                let help =
                    "write an IP address, with its port unless that is 53: \"127.0.0.1:5300\"";
                reader.bad_value(text.span, message, help);
                continue;
            }
        };
        match Target::unusable(address) {
            None => servers.push(address),
            Some(why) => {
                let message = format!("`{}` is not a name server: {why}", clipped(text.value));
                let help = "write the address that it answers on";
                reader.bad_value(text.span, message, help);
            }
        }
    }
    let Some(span) = span else {
        return Resolver::System;
    };
    if names.is_empty() && !has_file {
        let message = format!("{} has no target by name", reader.title());
        reader.scope().report(
            Diagnostic::warning("unused", span, message)
                .consequence("no name would be looked up, so `resolver` would ask nobody")
                .help("remove it, or list a name in `targets`: \"app.example.test:3001\""),
        );
    }
    if servers.len() > MAX_SERVERS {
        let message = format!("`resolver` of {} lists more than three", reader.title());
        reader.bad_value(span, message, "keep the three nearest");
        servers.truncate(MAX_SERVERS);
    }
    match servers.is_empty() {
        true => Resolver::System,
        false => Resolver::Servers(servers.into()),
    }
}
