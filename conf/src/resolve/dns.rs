//! `[dns]`, `[[zone]]` and the files of `zone-files`.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::address;
use super::defaults::Numbers;
use super::process::{not_written, whole_or};
use super::record::{self, ZoneContext};
use super::{Definitions, Names, dns_service, forward, lints, location, private, region, transfer};
use crate::document::{Kind, Table};
use crate::load::matches;
use crate::section::Section;
use crate::tree::{Limit, Reader};
use crate::{
    Diagnostic, Dns, DnsService, Fallthrough, GeoDatabase, Permission, Region, Serial, Span,
    Spanned, Transfer, Whereabouts, Zone,
};

/// Port of the DNS server when none is given; 5353 belongs to mDNS.
const DNS_PORT: u16 = 5300;

/// Files of one pattern of `zone-files` at most: each becomes a zone in memory.
const ZONE_FILES: usize = 1_000_000;

/// Senders whose ECS options count when the file does not say: this machine and private networks,
/// where resolvers under test are.
const BELIEVED: [&str; 8] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

/// The DNS part of the model.
pub(super) struct Resolved {
    pub(super) model: Dns,
    /// True when `zone-files` names zones, found or not.
    pub(super) wants_zones: bool,
}

/// Resolves the server and its zones; `None` when nothing asks for one.
pub(super) fn resolve(
    root: &mut Reader<'_>,
    numbers: &Numbers,
    names: &mut Names,
    definitions: Definitions<'_>,
) -> Option<Resolved> {
    let table = root.table("dns");
    let zone_tables = root.tables("zone");
    if table.is_none() && zone_tables.is_empty() && !root.has("forward-rule") {
        return None;
    }
    let default_bind = SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT));
    let place = table.map_or(root.span(), |table| table.span);
    let mut model = Dns {
        binds: vec![Spanned::new(default_bind, not_written(place))],
        span: table.map(|table| table.span),
        ttl: seconds(numbers.ttl.default),
        tcp_idle_timeout: numbers.dns_tcp_idle_timeout.default,
        tcp_max_connections: whole_or(None, numbers.dns_tcp_max_connections.default),
        home: None,
        geo_database: GeoDatabase::BuiltIn,
        asn_database: None,
        ecs: BELIEVED
            .iter()
            .filter_map(|cidr| cidr.parse().ok())
            .collect(),
        service: DnsService::default(),
        forward_rules: forward::rules(root, definitions.networks, names),
        zones: Vec::new(),
    };
    let mut globs = Vec::new();
    let mut zones = Zones::default();
    if let Some(table) = table {
        let mut reader = Reader::new(root.scope(), table, Section::Dns, "[dns]");
        server(&mut reader, numbers, &mut model, names);
        model.home = home(&mut reader, definitions.regions, names);
        zones.allow =
            transfer::permissions(&mut reader, "allow-transfer", definitions.networks, names);
        globs = reader.texts("zone-files");
        reader.finish();
    }
    for table in zone_tables {
        let reader = Reader::new(root.scope(), table, Section::Zone, "this zone");
        zones.read(reader, model.ttl, numbers, names, definitions);
    }
    for glob in &globs {
        zones.add_files(glob, root);
    }
    if globs.is_empty() && !root.has("zone") && !root.has("forward-rule") && root.has("listener") {
        no_zones(root, place);
    }
    model.zones = zones.list;
    Some(Resolved {
        model,
        wants_zones: !globs.is_empty(),
    })
}

fn server(reader: &mut Reader<'_>, numbers: &Numbers, model: &mut Dns, names: &mut Names) {
    let binds = address::binds(reader, "bind");
    if !binds.is_empty() {
        model.binds = binds;
    } else if reader.has("bind") && reader.is_empty_or_absent("bind") {
        let span = reader.key_span("bind").unwrap_or(reader.span());
        let help = "write `bind = \"127.0.0.1:5300\"`, or leave it out for that";
        reader.bad_value(span, "`bind` of [dns] is empty".to_owned(), help);
    }
    if let Some(ttl) = ttl(reader, &numbers.ttl) {
        model.ttl = ttl;
    }
    model.service = dns_service::resolve(reader, names);
    model.geo_database = geo_database(reader);
    model.asn_database = asn_database(reader);
    if let Some(senders) = ecs(reader) {
        model.ecs = senders;
    }
    model.tcp_idle_timeout = reader.duration_or("tcp-idle-timeout", &numbers.dns_tcp_idle_timeout);
    let connections = reader.whole("tcp-max-connections", &numbers.dns_tcp_max_connections);
    model.tcp_max_connections = whole_or(connections, numbers.dns_tcp_max_connections.default);
}

/// Where clients are that nothing else locates.
fn home(reader: &mut Reader<'_>, regions: &[Region], names: &mut Names) -> Option<Whereabouts> {
    let table = reader.table("home")?;
    let mut inner = Reader::new(reader.scope(), table, Section::Home, "`home` of [dns]");
    let whereabouts = region::whereabouts(&mut inner, regions, names);
    inner.finish();
    whereabouts
}

/// What says where clients are.
fn geo_database(reader: &mut Reader<'_>) -> GeoDatabase {
    let Some(value) = reader.take("geo-database") else {
        return GeoDatabase::BuiltIn;
    };
    match &value.kind {
        Kind::Boolean(false) => GeoDatabase::Off,
        Kind::String(word) if word == "off" => GeoDatabase::Off,
        Kind::String(path) if !path.is_empty() => {
            let path = reader.scope().path(path, value.span);
            GeoDatabase::File(Spanned::new(path, value.span))
        }
        _ => {
            reader.bad_value(
                value.span,
                "`geo-database` of [dns] is not the path of a file".to_owned(),
                "write `geo-database = \"city.mmdb\"`, `false` for none, or leave the key out for the table of countries that is built in",
            );
            GeoDatabase::BuiltIn
        }
    }
}

/// What says whose addresses are.
fn asn_database(reader: &mut Reader<'_>) -> Option<Spanned<PathBuf>> {
    let file = reader.text("asn-database")?;
    let path = reader.scope().path(file.value, file.span);
    Some(Spanned::new(path, file.span))
}

/// Believed senders of ECS; `None` when the file does not say.
fn ecs(reader: &mut Reader<'_>) -> Option<Vec<IpNet>> {
    let mut senders = Vec::new();
    let given = reader.has("ecs");
    for value in reader.one_or_list("ecs") {
        match &value.kind {
            Kind::Boolean(false) => {}
            Kind::String(word) if word == "off" => {}
            Kind::String(text) => {
                let text = Spanned::new(text.as_str(), value.span);
                senders.extend(location::cidr(reader, &text));
            }
            _ => reader.bad_value(
                value.span,
                "`ecs` takes the networks of resolvers that are believed".to_owned(),
                "write `ecs = [\"192.0.2.0/24\"]`, or `ecs = []` for none",
            ),
        }
    }
    given.then_some(senders)
}

/// A TTL in whole seconds.
pub(super) fn ttl(reader: &mut Reader<'_>, limit: &Limit<Duration>) -> Option<u32> {
    let found = reader.duration("ttl", limit)?;
    Some(whole_seconds(reader, "ttl", &found))
}

/// The seconds of a duration that was found by `key`; reported when there are parts of one.
pub(super) fn whole_seconds(reader: &Reader<'_>, key: &str, found: &Spanned<Duration>) -> u32 {
    if found.value.subsec_nanos() != 0 {
        let message = format!(
            "`{key}` of {} is not a whole number of seconds",
            reader.title()
        );
        let help = format!("DNS counts in seconds: write `{key} = 1`");
        reader.bad_value(found.span, message, help);
    }
    seconds(found.value)
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn no_zones(root: &Reader<'_>, span: Span) {
    root.scope().report(
        Diagnostic::warning("no-zones", span, "the DNS server has no zones")
            .consequence("every query would be refused")
            .help("add a [[zone]], or `zone-files = [\"zones/*.zone\"]`"),
    );
}

/// The zones read so far.
#[derive(Default)]
struct Zones {
    list: Vec<Zone>,
    names: HashMap<(String, Vec<IpNet>), Span>,
    ids: HashMap<String, Span>,
    files: HashSet<PathBuf>,
    /// Who may copy zones that do not say it themselves.
    allow: Vec<Permission>,
}

impl Zones {
    fn read(
        &mut self,
        mut reader: Reader<'_>,
        ttl: u32,
        numbers: &Numbers,
        names: &mut Names,
        definitions: Definitions<'_>,
    ) {
        reader.missing(
            "name",
            "there would be no names to answer for",
            "add `name = \"example.test\"`",
        );
        let name = reader.text("name");
        if let Some(name) = &name {
            reader.rename(format!("zone `{}`", name.value));
        }
        let (networks, fallthrough) = private::resolve(&mut reader, definitions.networks);
        let good = name
            .as_ref()
            .is_some_and(|name| self.check_name(&reader, name, &networks));
        let id = reader.text("id");
        let file = reader.text("file").map(|file| {
            let path = reader.scope().path(file.value, file.span);
            self.files.insert(identity(&path));
            Spanned::new(path, file.span)
        });
        let has_file = reader.has("file");
        let own = reader.has("allow-transfer");
        let mut transfer = transfer::of_zone(&mut reader, definitions.networks, names, has_file);
        if !own {
            transfer.allow.clone_from(&self.allow);
        }
        let tables: Vec<&Table> = reader.tables("record");
        let context = ZoneContext {
            name: name
                .as_ref()
                .filter(|_| good)
                .map(|name| record::plain(name.value)),
            has_file: reader.has("file"),
            ttl,
        };
        let records = record::resolve(
            &tables,
            &context,
            reader.scope(),
            numbers,
            names,
            definitions,
        );
        let span = reader.span();
        let id = id.or_else(|| {
            name.as_ref()
                .map(|name| Spanned::new(name.value, name.span))
        });
        let unique = good && id.as_ref().is_some_and(|id| self.claim_id(&reader, id));
        reader.finish();
        if let (true, Some(name), Some(id)) = (unique, name, id) {
            self.list.push(Zone {
                id: id.value.to_owned(),
                name: Spanned::new(name.value.to_owned(), name.span),
                name_from_file: false,
                file,
                networks,
                fallthrough,
                transfer,
                records,
                span,
            });
        }
    }

    fn check_name(
        &mut self,
        reader: &Reader<'_>,
        name: &Spanned<&str>,
        networks: &[IpNet],
    ) -> bool {
        if !is_zone_name(name.value) {
            reader.scope().report(bad_zone_name(name.value, name.span));
            return false;
        }
        lints::zone(reader, name.value, name.span);
        let key = (record::plain(name.value), networks.to_vec());
        if let Some(first) = self.names.get(&key) {
            reader.scope().report(
                Diagnostic::error("duplicate-zone", name.span, format!("there are two zones called `{}`", name.value))
                    .consequence("only one of them could be answered from")
                    .help("put all records into one zone, or give them different `networks`, and each an `id`")
                    .related(*first, "first defined here"),
            );
            return false;
        }
        self.names.insert(key, name.span);
        true
    }

    fn claim_id(&mut self, reader: &Reader<'_>, id: &Spanned<&str>) -> bool {
        if let Some(first) = self.ids.get(id.value) {
            reader
                .scope()
                .report(duplicate_id(id.value, id.span, *first));
            return false;
        }
        self.ids.insert(id.value.to_owned(), id.span);
        true
    }

    /// Adds a zone for each file that `glob` matches and no `[[zone]]` names.
    fn add_files(&mut self, glob: &Spanned<&str>, root: &Reader<'_>) {
        let scope = root.scope();
        match matches(scope.folder(glob.span), glob.value, ZONE_FILES) {
            Err(fault) => scope.report(fault.at(glob.value, glob.span)),
            Ok(paths) if paths.is_empty() => scope.report(
                Diagnostic::error(
                    "no-zone-file",
                    glob.span,
                    format!("`{}` matches no file", glob.value),
                )
                .consequence("the zones it should bring would be missing")
                .help("check the path; it is relative to this file's folder"),
            ),
            Ok(paths) => {
                for path in paths.into_iter().filter(|path| !path.is_dir()) {
                    self.add_file(path, glob.span, root);
                }
            }
        }
    }

    fn add_file(&mut self, path: PathBuf, span: Span, root: &Reader<'_>) {
        if !self.files.insert(identity(&path)) {
            return;
        }
        let stem = path.file_stem().unwrap_or_default();
        let name = stem.to_string_lossy().into_owned();
        if let Some(first) = self.ids.get(&name) {
            root.scope().report(duplicate_id(&name, span, *first));
            return;
        }
        self.ids.insert(name.clone(), span);
        self.list.push(Zone {
            id: name.clone(),
            name: Spanned::new(name, span),
            name_from_file: true,
            file: Some(Spanned::new(path, span)),
            networks: Vec::new(),
            fallthrough: Fallthrough::None,
            transfer: Transfer {
                serial: Serial::File,
                allow: self.allow.clone(),
                ..Transfer::default()
            },
            records: Vec::new(),
            span,
        });
    }
}

/// What tells whether two paths are one file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn duplicate_id(id: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::error(
        "duplicate-zone",
        span,
        format!("there are two zones with the id `{id}`"),
    )
    .consequence("the API and the metrics could not tell them apart")
    .help("give one of them another `id`, or rename its file")
    .related(first, "first used here")
}

pub(super) fn bad_zone_name(name: &str, span: Span) -> Diagnostic {
    Diagnostic::error("bad-zone-name", span, format!("`{name}` cannot be the name of a zone"))
        .consequence("no query could ask for a name in it")
        .help("use labels of 1 to 63 letters, digits, `-` and `_`, joined by dots, 253 characters at most")
}

pub(super) fn is_zone_name(name: &str) -> bool {
    if name == "." {
        return true;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    // `/` is for classless reverse zones (RFC 2317 section 4).
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/');
    name.len() <= 253
        && name
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(good))
}
