//! `connection-id` of a `quic` or `tcp-quic` group, and `server-id` of its targets.

use std::collections::HashMap;

use crate::document::{Kind, Table};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{Algorithm, ConnectionId, Diagnostic, GroupProtocol, ServerIdFormat, Target};

/// Longest connection ID of QUIC version 1, in bytes.
const MAX_ID: u64 = 20;
/// Server ID and nonce together: what the first octet leaves of it.
const MAX_PLAIN: u8 = 19;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Hash,
    Learned,
    ServerId,
}

/// Reads `connection-id`, and makes it and the algorithm agree.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    algorithm: Choice<Algorithm>,
    targets: &[Target],
) -> (Algorithm, Option<ConnectionId>) {
    let hashes =
        matches!(&algorithm, Choice::Is(found) if found.value == Algorithm::ConnectionIdHash);
    let given = !matches!(algorithm, Choice::Absent);
    let algorithm = algorithm.value_or(Algorithm::RoundRobin);
    if protocol.is_some_and(|protocol| !protocol.is_quic()) {
        other_protocol(reader, hashes, targets);
        return (algorithm, None);
    }
    let tables = one_or_tables(reader);
    let mode = match (tables.as_slice(), hashes) {
        ([], true) => Some(ConnectionId::Hash { length: 8 }),
        ([], false) => Some(ConnectionId::Learned),
        ([first, ..], _) => mode(reader, first, &tables),
    };
    let Some(mode) = mode.filter(|_| protocol.is_some()) else {
        return (algorithm, None);
    };
    check_server_ids(reader, &mode, targets);
    let hash_mode = matches!(mode, ConnectionId::Hash { .. });
    let agrees = if hash_mode { hashes || !given } else { !hashes };
    let algorithm = match hash_mode {
        _ if !agrees => disagree(reader, &mode, algorithm),
        true => Algorithm::ConnectionIdHash,
        false => algorithm,
    };
    if mode == ConnectionId::Learned {
        warn_of_migration(reader);
    }
    (algorithm, Some(mode))
}

/// `server-id` of a target.
pub(super) fn server_id(reader: &mut Reader<'_>) -> Box<[u8]> {
    let Some(text) = reader.text("server-id") else {
        return Box::default();
    };
    match unhex(text.value).filter(|id| (1..=15).contains(&id.len())) {
        Some(id) => id.into(),
        None => {
            let message = format!("`{}` is not a server ID", text.value.escape_debug());
            let help = "write 1 to 15 bytes as pairs of hexadecimal digits: \"0x1122334455667788\"";
            reader.bad_value(text.span, message, help);
            Box::default()
        }
    }
}

fn other_protocol(reader: &mut Reader<'_>, hashes: bool, targets: &[Target]) {
    let why = "only quic has connection IDs";
    reader.misplaced("connection-id", why, "remove it, or use protocol `quic`");
    if hashes && let Some(span) = reader.key_span("algorithm") {
        let message = format!(
            "`connection-id-hash` means nothing in {}: {why}",
            reader.title()
        );
        reader.bad_value(span, message, "use `flow-hash`, or protocol `quic`");
    }
    if let Some(target) = targets.iter().find(|target| !target.server_id.is_empty()) {
        let message = format!("`server-id` means nothing in {}: {why}", reader.title());
        reader.bad_value(target.span, message, "remove it, or use protocol `quic`");
    }
}

fn one_or_tables<'t>(reader: &mut Reader<'t>) -> Vec<&'t Table> {
    let mut tables = Vec::new();
    for value in reader.one_or_list("connection-id") {
        match &value.kind {
            Kind::Table(table) => tables.push(table),
            Kind::Broken => {}
            other => {
                let message = format!("`connection-id` of {} is {}", reader.title(), other.word());
                reader.bad_value(value.span, message, "write { mode = \"learned\" }");
            }
        }
    }
    tables
}

/// `None` when some entry's mode could not be read.
fn mode(outer: &Reader<'_>, first: &Table, tables: &[&Table]) -> Option<ConnectionId> {
    let title = format!("`connection-id` of {}", outer.title());
    let mut formats: Vec<ServerIdFormat> = Vec::new();
    let mut found = Some(ConnectionId::Learned);
    let mut others = 0;
    for table in tables {
        let mut reader = Reader::new(outer.scope(), table, Section::ConnectionId, title.clone());
        match mode_of(&mut reader) {
            Some(Mode::Hash) => {
                found = Some(hash(&mut reader));
                others += 1;
            }
            Some(Mode::Learned) => {
                unread(&mut reader, "a learned ID has any length", true);
                others += 1;
            }
            Some(Mode::ServerId) => formats.extend(format(&mut reader, &formats)),
            None => {
                for key in ["length", "nonce-length", "rotation", "key"] {
                    reader.take(key);
                }
                found = None;
            }
        }
        reader.finish();
    }
    if tables.len() > 1 && others > 0 {
        let message = format!("{title} has several entries that are not all `server-id`");
        let help = "keep one; only `server-id` has several, told apart by `rotation`";
        outer.bad_value(first.span, message, help);
    }
    match formats.is_empty() {
        true => found,
        false => found.map(|_| ConnectionId::ServerId(formats)),
    }
}

fn mode_of(reader: &mut Reader<'_>) -> Option<Mode> {
    reader.missing(
        "mode",
        "it would not be known what connection IDs say",
        "add `mode = \"server-id\"`, `\"learned\"` or `\"hash\"`",
    );
    let words = [
        ("hash", Mode::Hash),
        ("learned", Mode::Learned),
        ("server-id", Mode::ServerId),
    ];
    match reader.choice("mode", &words) {
        Choice::Is(mode) => Some(mode.value),
        _ => None,
    }
}

fn hash(reader: &mut Reader<'_>) -> ConnectionId {
    unread(reader, "hashed IDs are not looked into", false);
    let length = limit(8, 1, MAX_ID, "QUIC has no such connection IDs");
    ConnectionId::Hash {
        length: number(reader, "length", &length),
    }
}

fn unread(reader: &mut Reader<'_>, why: &str, length: bool) {
    for key in ["nonce-length", "rotation", "key"] {
        reader.misplaced(key, why, "remove it, or use mode `server-id`");
    }
    if length {
        reader.misplaced(
            "length",
            why,
            "remove it, or use mode `server-id` or `hash`",
        );
    }
}

/// One format; `None` when its rotation bits are taken.
fn format(reader: &mut Reader<'_>, known: &[ServerIdFormat]) -> Option<ServerIdFormat> {
    let id = limit(
        8,
        1,
        15,
        "server ID and nonce share 19 bytes, and the nonce has 4 at least",
    );
    let server_id_length: u8 = number(reader, "length", &id);
    let left = MAX_PLAIN.saturating_sub(server_id_length);
    let nonce = limit(
        u64::from(left.min(7)),
        4,
        u64::from(left),
        "QUIC-LB asks for 4 bytes, and version 1 leaves 19 for both",
    );
    let nonce_length = number(reader, "nonce-length", &nonce);
    let bits = limit(0, 0, 6, "0b111 stands for IDs that cannot be routed");
    let written = reader.has("rotation");
    let rotation = reader.whole("rotation", &bits);
    let readable = rotation.is_some() || !written;
    let rotation = rotation.map_or(0, |found| u8::try_from(found.value).unwrap_or_default());
    let key = key(reader);
    if readable && known.iter().any(|format| format.rotation == rotation) {
        let span = reader.key_span("rotation").unwrap_or(reader.span());
        let message = format!("{} has `rotation` {rotation} twice", reader.title());
        reader.bad_value(
            span,
            message,
            "give each entry bits of its own, from 0 to 6",
        );
        return None;
    }
    Some(ServerIdFormat {
        rotation,
        server_id_length,
        nonce_length,
        key,
    })
}

fn key(reader: &mut Reader<'_>) -> Option<[u8; 16]> {
    let text = reader.text("key")?;
    let key = unhex(text.value).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    if key.is_none() {
        let message = format!("`key` of {} is no AES-128 key", reader.title());
        reader.bad_value(
            text.span,
            message,
            "write 16 bytes as 32 hexadecimal digits",
        );
    }
    key
}

/// Every target needs an ID of the right length, and nobody else may have it.
fn check_server_ids(reader: &Reader<'_>, mode: &ConnectionId, targets: &[Target]) {
    let ConnectionId::ServerId(formats) = mode else {
        if let Some(target) = targets.iter().find(|target| !target.server_id.is_empty()) {
            let message = format!("`server-id` is not used by {}", reader.title());
            let help = "set `connection-id = { mode = \"server-id\" }`, or remove it";
            reader.bad_value(target.span, message, help);
        }
        return;
    };
    let mut seen = HashMap::new();
    for target in targets {
        let length = target.server_id.len();
        let fits = |format: &ServerIdFormat| usize::from(format.server_id_length) == length;
        if !formats.iter().all(fits) {
            let wanted = formats.first().map_or(0, |format| format.server_id_length);
            let message = format!(
                "target `{}` of {} has a `server-id` of {length} bytes, not of {wanted}",
                target.address,
                reader.title()
            );
            let digits = "11".repeat(usize::from(wanted));
            let help = format!("write `server-id = \"0x{digits}\"` as its server is configured");
            reader.bad_value(target.span, message, help);
        } else if let Some(first) = seen.insert(&target.server_id, target.span) {
            let message = format!(
                "two targets of {} have the same `server-id`",
                reader.title()
            );
            reader.scope().report(
                Diagnostic::error("duplicate-server-id", target.span, message)
                    .consequence("connections of one would go to the other")
                    .help("give each server an ID of its own")
                    .related(first, "the other one"),
            );
        }
    }
}

fn disagree(reader: &Reader<'_>, mode: &ConnectionId, algorithm: Algorithm) -> Algorithm {
    let span = reader.key_span("algorithm").unwrap_or(reader.span());
    let (mode, word) = (mode.as_str(), algorithm.as_str());
    let message = format!(
        "`algorithm = \"{word}\"` and `connection-id` mode `{mode}` of {} disagree",
        reader.title()
    );
    let help = "leave `algorithm` out with mode `hash`, and choose another than `connection-id-hash` with the others";
    reader.bad_value(span, message, help);
    algorithm
}

fn warn_of_migration(reader: &Reader<'_>) {
    let span = reader.key_span("connection-id").unwrap_or(reader.span());
    let message = format!("{} learns connection IDs", reader.title());
    reader.scope().report(
        Diagnostic::warning("learned-connection-ids", span, message)
            .consequence(
                "clients that migrate on purpose use IDs nobody could learn, and lose their connection",
            )
            .help(
                "have servers write their ID into connection IDs: mode `server-id`, and `server-id` for each target",
            ),
    );
}

const fn limit(default: u64, min: u64, max: u64, why: &'static str) -> Limit<u64> {
    Limit {
        default,
        min,
        max,
        why,
    }
}

fn number(reader: &mut Reader<'_>, key: &str, limit: &Limit<u64>) -> u8 {
    let found = reader.whole(key, limit);
    let number = found.map_or(limit.default, |found| found.value);
    u8::try_from(number.clamp(limit.min, limit.max)).unwrap_or(u8::MAX)
}

/// Pairs of hexadecimal digits, after `0x` or without.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}
