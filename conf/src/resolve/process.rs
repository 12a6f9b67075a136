//! `state-dir`, `[admin]`, `[runtime]`, `[logs]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::address;
use super::defaults::Numbers;
use crate::section::Section;
use crate::tree::{Limit, Reader};
use crate::{
    AccessLog, Admin, Diagnostic, LogFormat, Logs, Runtime, Span, Spanned, read_ticket_secrets,
};

/// Port of the admin surface when none is given.
const ADMIN_PORT: u16 = 9901;

/// The part of the model that is about the process itself.
pub(super) struct Process {
    pub(super) state_dir: PathBuf,
    pub(super) admin: Admin,
    pub(super) runtime: Runtime,
    pub(super) logs: Logs,
}

/// Reads the process's tables.
pub(super) fn resolve(root: &mut Reader<'_>, numbers: &Numbers) -> Process {
    let state_dir = match root.text("state-dir") {
        Some(path) => root.scope().path(path.value, path.span),
        None => root.scope().path("state", root.span()),
    };
    Process {
        admin: admin(root, &state_dir),
        runtime: runtime(root, numbers),
        logs: logs(root),
        state_dir,
    }
}

fn admin(root: &mut Reader<'_>, state_dir: &std::path::Path) -> Admin {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT));
    let table = root.table("admin");
    let mut admin = Admin {
        bind: Spanned::new(
            default,
            not_written(table.map_or(root.span(), |table| table.span)),
        ),
        socket: state_dir.join("admin.sock"),
        hosts: Vec::new(),
    };
    let Some(table) = table else {
        return admin;
    };
    let mut reader = Reader::new(root.scope(), table, Section::Admin, "[admin]");
    let binds = address::binds(&mut reader, "bind");
    if let [_, second, ..] = binds.as_slice() {
        let help = "keep one; the Unix socket in `socket` is opened beside it";
        reader.bad_value(
            second.span,
            "[admin] has one `bind`, not a list".into(),
            help,
        );
    }
    if let Some(bind) = binds.into_iter().next() {
        check_loopback(&reader, &bind);
        admin.bind = bind;
    }
    if let Some(path) = reader.text("socket") {
        admin.socket = reader.scope().path(path.value, path.span);
    }
    admin.hosts = hosts(&mut reader);
    reader.finish();
    admin
}

fn hosts(reader: &mut Reader<'_>) -> Vec<String> {
    let texts = reader.texts("hosts");
    texts
        .iter()
        .map(|host| host.value.to_ascii_lowercase())
        .collect()
}

fn check_loopback(reader: &Reader<'_>, bind: &Spanned<SocketAddr>) {
    if !bind.ip().is_loopback() {
        reader.scope().report(
            Diagnostic::error(
                "admin-not-loopback",
                bind.span,
                format!("the admin surface on `{}` would be open to other machines", bind.value),
            )
            .consequence("everybody who reaches the address could drain targets: it has no login in this version")
            .help("bind 127.0.0.1 or [::1]; reach it from elsewhere through an SSH tunnel"),
        );
    }
}

fn runtime(root: &mut Reader<'_>, numbers: &Numbers) -> Runtime {
    let mut runtime = Runtime {
        workers: 0,
        grace: numbers.grace.default,
        shutdown_delay: numbers.shutdown_delay.default,
        health_memory: numbers.health_memory.default,
        max_probes: whole_or(None, numbers.max_probes.default),
        availability_zone: String::new(),
        ticket_key_file: None,
        span: None,
    };
    let Some(table) = root.table("runtime") else {
        return runtime;
    };
    let mut reader = Reader::new(root.scope(), table, Section::Runtime, "[runtime]");
    let workers = reader.whole("workers", &numbers.workers);
    runtime.workers = whole_or(workers, numbers.workers.default);
    runtime.grace = reader.duration_or("grace", &numbers.grace);
    runtime.shutdown_delay = reader.duration_or("shutdown-delay", &numbers.shutdown_delay);
    runtime.health_memory = reader.duration_or("health-memory", &numbers.health_memory);
    let probes = reader.whole("max-probes", &numbers.max_probes);
    runtime.max_probes = whole_or(probes, numbers.max_probes.default);
    let zone = reader.text("availability-zone");
    runtime.availability_zone = zone.map_or("", |zone| zone.value).to_owned();
    runtime.ticket_key_file = ticket_key_file(&mut reader);
    runtime.span = Some(table.span);
    reader.finish();
    runtime
}

/// A file that is there and has what it should: it is read again when TLS begins.
fn ticket_key_file(reader: &mut Reader<'_>) -> Option<Spanned<PathBuf>> {
    let named = reader.text("ticket-key-file")?;
    let path = reader.scope().path(named.value, named.span);
    if let Err((what, help)) = read_ticket_secrets(&path) {
        reader.scope().report(
            Diagnostic::error("bad-ticket-keys", named.span, what)
                .consequence("clients could not resume their sessions with the processes that share the file")
                .help(help),
        );
    }
    Some(Spanned::new(path, named.span))
}

/// `sample`: one exchange of so many.
const SAMPLE: Limit<u64> = Limit {
    default: 1,
    min: 1,
    max: 1_000_000,
    why: "1 logs every exchange, N one of N; `access = \"off\"` logs none",
};

/// `past-requests`: a day of clicking around, in less than 1 MiB.
const PAST_REQUESTS: Limit<u64> = Limit {
    default: 200,
    min: 0,
    max: 100_000,
    why: "each worker remembers so many; one takes 1 to 10 KiB, and 0 remembers none",
};

fn logs(root: &mut Reader<'_>) -> Logs {
    let mut logs = Logs {
        access: AccessLog::Stdout,
        format: LogFormat::Json,
        sample: 1,
        flow: None,
        flow_format: LogFormat::Json,
        connection: AccessLog::Off,
        connection_format: LogFormat::Json,
        health: AccessLog::Off,
        past_requests: PAST_REQUESTS.default as usize,
    };
    let Some(table) = root.table("logs") else {
        return logs;
    };
    let mut reader = Reader::new(root.scope(), table, Section::Logs, "[logs]");
    if let Some(access) = destination(&mut reader, "access") {
        logs.access = access;
    }
    let formats = [("json", LogFormat::Json), ("aws", LogFormat::Aws)];
    logs.format = reader.choice("format", &formats).value_or(LogFormat::Json);
    if let Some(sample) = reader.whole("sample", &SAMPLE) {
        logs.sample = u32::try_from(sample.value).unwrap_or(u32::MAX);
    }
    logs.flow = destination(&mut reader, "flow");
    let format = reader.choice("flow-format", &formats);
    logs.flow_format = format.value_or(logs.format);
    if let Some(connection) = destination(&mut reader, "connection") {
        logs.connection = connection;
    }
    let format = reader.choice("connection-format", &formats);
    logs.connection_format = format.value_or(logs.format);
    if let Some(health) = destination(&mut reader, "health") {
        logs.health = health;
    }
    let past = reader.whole("past-requests", &PAST_REQUESTS);
    // Who has no use for a record of exchanges is not to pay for one.
    let default = match logs.access {
        AccessLog::Off => 0,
        _ => PAST_REQUESTS.default,
    };
    logs.past_requests = whole_or(past, default);
    reader.finish();
    logs
}

/// `stdout`, `off` or a path.
fn destination(reader: &mut Reader<'_>, key: &str) -> Option<AccessLog> {
    let text = reader.text(key)?;
    match text.value {
        "off" => Some(AccessLog::Off),
        "stdout" => Some(AccessLog::Stdout),
        "" => {
            let help = "write \"stdout\", \"off\" or a path";
            reader.bad_value(text.span, format!("`{key}` is empty"), help);
            None
        }
        path => Some(AccessLog::File(reader.scope().path(path, text.span))),
    }
}

/// The place of a value that the file does not give: an empty span where it could stand.
pub(super) fn not_written(near: Span) -> Span {
    Span {
        end: near.start,
        ..near
    }
}

/// The number given, else `default`.
pub(super) fn whole_or(found: Option<Spanned<u64>>, default: u64) -> usize {
    usize::try_from(found.map_or(default, |found| found.value)).unwrap_or(usize::MAX)
}
