//! `[[tsig-key]]`, and the keys of a zone that say how it is copied: `allow-transfer`, `notify`,
//! `serial`, `primaries`, `allow-notify`, `allow-update`.

use std::net::SocketAddr;

use data_encoding::BASE64;

use super::Names;
use super::private;
use crate::document::{Kind, Value};
use crate::section::Section;
use crate::tree::Reader;
use crate::{KeyIdx, Network, Peer, Permission, Serial, Spanned, Transfer, TsigAlgorithm, TsigKey};

/// Port of a name server when none is given.
const PORT: u16 = 53;

/// Resolves every `[[tsig-key]]`.
pub(super) fn keys(root: &mut Reader<'_>, names: &mut Names) -> Vec<TsigKey> {
    let mut keys = Vec::new();
    for table in root.tables("tsig-key") {
        let mut reader = Reader::new(root.scope(), table, Section::TsigKey, "this TSIG key");
        let name = names.keys.declare(&mut reader);
        let algorithm = reader
            .choice("algorithm", &TsigAlgorithm::ALL)
            .value_or(TsigAlgorithm::HmacSha256);
        let secret = secret(&mut reader);
        reader.finish();
        if let (Some(name), Some(secret)) = (name, secret) {
            names.keys.place(name.value, KeyIdx(keys.len()));
            keys.push(TsigKey {
                name: name.value.to_owned(),
                algorithm,
                secret,
            });
        }
    }
    keys
}

/// The secret, from `secret` or the file that `secret-file` names. Never quoted in a message.
fn secret(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let (inline, file) = (reader.text("secret"), reader.text("secret-file"));
    let text = match (inline, file) {
        (Some(inline), None) => inline.value.to_owned(),
        (None, Some(file)) => {
            let path = reader.scope().path(file.value, file.span);
            match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    let message = format!("cannot read `{}`: {error}", file.value);
                    reader.bad_value(file.span, message, "put the secret in base64 there");
                    return None;
                }
            }
        }
        (Some(_), Some(file)) => {
            let message = format!("{} has `secret` and `secret-file`", reader.title());
            reader.bad_value(file.span, message, "keep one of them");
            return None;
        }
        (None, None) => {
            if !reader.has("secret") && !reader.has("secret-file") {
                let consequence = "nothing could be signed with it";
                reader.missing(
                    "secret",
                    consequence,
                    "add `secret = \"…\"` in base64, or `secret-file`; `tsig-keygen` makes one",
                );
            }
            return None;
        }
    };
    match BASE64.decode(text.trim().as_bytes()) {
        Ok(bytes) if !bytes.is_empty() => Some(bytes),
        _ => {
            let message = format!("the secret of {} is not base64", reader.title());
            // Not at the value: its line, with the secret, would be shown.
            reader.bad_value(
                reader.span(),
                message,
                "make one with `openssl rand -base64 32`",
            );
            None
        }
    }
}

/// Keys that make no sense for a zone that is copied, and what is wrong with each.
const OWN: [(&str, &str); 4] = [
    ("allow-update", "its records are what the primaries say"),
    ("file", "its records are what the primaries say"),
    ("record", "its records are what the primaries say"),
    ("serial", "its serial is what the primaries say"),
];

/// Reads a zone's keys. `has_file`: its SOA may be written down.
pub(super) fn of_zone(
    reader: &mut Reader<'_>,
    networks: &[Network],
    names: &mut Names,
    has_file: bool,
) -> Transfer {
    let secondary = reader.has("primaries") && !reader.is_empty_or_absent("primaries");
    if secondary {
        for (key, why) in OWN {
            let help = "remove the key, or `primaries`";
            reader.misplaced(key, why, help);
        }
    } else {
        let why = "it is not copied from anybody, so nobody has to say that it changed";
        reader.misplaced("allow-notify", why, "add `primaries`, or remove the key");
    }
    let transfer = Transfer {
        allow: permissions(reader, "allow-transfer", networks, names),
        notify: peers(reader, "notify", names),
        primaries: peers(reader, "primaries", names),
        allow_notify: match secondary {
            true => permissions(reader, "allow-notify", networks, names),
            false => Vec::new(),
        },
        allow_update: match secondary {
            true => Vec::new(),
            false => permissions(reader, "allow-update", networks, names),
        },
        serial: match secondary {
            true => Serial::File,
            false => serial(reader, has_file),
        },
    };
    if let (false, Serial::Number(number)) = (transfer.allow_update.is_empty(), transfer.serial) {
        let span = reader.key_span("serial").unwrap_or(reader.span());
        let message = format!(
            "`serial` of {} is {number} for good, and `allow-update` changes it",
            reader.title()
        );
        reader.bad_value(
            span,
            message,
            "use \"auto\" or \"file\", or remove one of the two",
        );
    }
    for (index, peer) in transfer.primaries.iter().enumerate() {
        let earlier = transfer.primaries.get(..index).unwrap_or_default();
        if earlier.contains(peer) {
            let span = reader.key_span("primaries").unwrap_or(reader.span());
            let message = format!("{} is twice in `primaries`", peer.address);
            reader.bad_value(span, message, "name each primary once");
        }
    }
    transfer
}

fn serial(reader: &mut Reader<'_>, has_file: bool) -> Serial {
    let default = if has_file { Serial::File } else { Serial::Auto };
    let Some(value) = reader.take("serial") else {
        return default;
    };
    match &value.kind {
        Kind::Integer(number) if u32::try_from(*number).is_ok() => {
            Serial::Number(u32::try_from(*number).unwrap_or_default())
        }
        Kind::String(word) if word == "auto" => Serial::Auto,
        Kind::String(word) if word == "file" => Serial::File,
        _ => {
            reader.bad_value(
                value.span,
                format!("`serial` of {} is not a serial", reader.title()),
                "write \"auto\", \"file\" or a number up to 4294967295",
            );
            default
        }
    }
}

/// Who may do something: networks by name or number, `{ key = "…" }`, or both in one table.
pub(super) fn permissions(
    reader: &mut Reader<'_>,
    key: &str,
    networks: &[Network],
    names: &mut Names,
) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for value in reader.one_or_list(key) {
        match &value.kind {
            Kind::String(word) if word == "none" => {}
            Kind::Table(table) => {
                let title = format!("an entry of `{key}`");
                let mut inner = Reader::new(reader.scope(), table, Section::Permission, title);
                let from = private::networks(&mut inner, "networks", networks);
                let name = inner.text("key");
                let found = name.and_then(|name| names.keys.find(name, inner.scope()));
                let whole = name.is_none() || found.is_some();
                let asks = name.is_some() || inner.has("networks");
                if !asks {
                    inner.missing(
                        "key",
                        "it would let everybody in",
                        "add `key = \"…\"` or `networks`; everybody is \"0.0.0.0/0\" and \"::/0\"",
                    );
                }
                let lost = inner.has("networks") && from.is_empty();
                inner.finish();
                if whole && asks && !lost {
                    permissions.push(Permission {
                        networks: from,
                        key: found,
                    });
                }
            }
            _ => {
                let found = private::network(reader, key, value, networks);
                if !found.is_empty() {
                    permissions.push(Permission {
                        networks: found,
                        key: None,
                    });
                }
            }
        }
    }
    permissions
}

/// Other servers: addresses, or tables with an address and a key.
pub(super) fn peers(reader: &mut Reader<'_>, key: &str, names: &mut Names) -> Vec<Peer> {
    let mut peers = Vec::new();
    for value in reader.one_or_list(key) {
        let peer = match &value.kind {
            Kind::Table(table) => {
                let title = format!("an entry of `{key}`");
                let mut inner = Reader::new(reader.scope(), table, Section::Peer, title);
                inner.missing(
                    "address",
                    "it would lead nowhere",
                    "add `address = \"192.0.2.1\"`",
                );
                let address = inner.text("address").and_then(|text| address(&inner, text));
                let name = inner.text("key");
                let found = name.and_then(|name| names.keys.find(name, inner.scope()));
                inner.finish();
                match (address, name, found) {
                    (_, Some(_), None) | (None, ..) => None,
                    (Some(address), _, key) => Some(Peer { address, key }),
                }
            }
            _ => text(reader, key, value)
                .and_then(|text| address(reader, text))
                .map(|address| Peer { address, key: None }),
        };
        peers.extend(peer);
    }
    peers
}

fn text<'t>(reader: &Reader<'t>, key: &str, value: &'t Value) -> Option<Spanned<&'t str>> {
    reader.as_text(key, value)
}

fn address(reader: &Reader<'_>, text: Spanned<&str>) -> Option<SocketAddr> {
    let whole = text.value.parse::<SocketAddr>();
    let plain = text
        .value
        .trim_matches(['[', ']'])
        .parse()
        .map(|ip| SocketAddr::new(ip, PORT));
    match whole.or(plain) {
        Ok(address) if address.port() != 0 => Some(address),
        _ => {
            let message = format!("`{}` is not the address of a name server", text.value);
            reader.bad_value(
                text.span,
                message,
                "write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53",
            );
            None
        }
    }
}
