//! Unix sockets among a listener's `bind`, and whose their files are: `unix-mode`, `unix-owner`.

use crate::resolve::address::UnixNames;
use crate::tree::Reader;
use crate::{Diagnostic, ListenerProtocol, UnixBinds, UnixOwner};

const MODE: &str = "unix-mode";
const OWNER: &str = "unix-owner";

/// The owner's and the group's: services of one application share a group.
const DEFAULT_MODE: u32 = 0o660;

/// Reads what belongs to the sockets that `bind` names, all of them when it `is_whole`; `protocol` is `None` when it could not be read.
pub(super) fn read(
    reader: &mut Reader<'_>,
    UnixNames { names, is_whole }: UnixNames,
    protocol: Option<ListenerProtocol>,
) -> UnixBinds {
    if let Some(protocol) = protocol.filter(|protocol| protocol.takes_datagrams()) {
        for name in &names {
            let message = format!(
                "`{}` cannot be a bind of {}: a {} listener takes datagrams over IP only",
                name.value,
                reader.title(),
                protocol.as_str()
            );
            reader.scope().report(
                Diagnostic::error("unix-bind", name.span, message)
                    .consequence("no client could send it a datagram")
                    .help("write an IP address and a port, or use protocol `tcp`"),
            );
        }
    }
    if is_whole && !names.iter().any(|name| name.value.path().is_some()) {
        let why = "no `bind` of the listener is the path of a Unix socket";
        let help = "remove it, or add `bind = \"unix:/run/app.sock\"`";
        for key in [MODE, OWNER] {
            reader.misplaced(key, why, help);
        }
    }
    UnixBinds {
        names,
        mode: mode(reader),
        owner: owner(reader),
    }
}

/// `user`, `user:group` or `:group`.
fn owner(reader: &mut Reader<'_>) -> UnixOwner {
    let Some(text) = reader.text(OWNER) else {
        return UnixOwner::default();
    };
    let (user, group) = text.value.split_once(':').unwrap_or((text.value, ""));
    let symbol = |c: char| c.is_ascii_alphanumeric() || "_-.$@".contains(c);
    let good = |name: &str| name.chars().all(symbol);
    if !good(user) || !good(group) || (user.is_empty() && group.is_empty()) {
        let message = format!("`{}` is not a user and a group", text.value);
        let help = "write \"www-data\", \"www-data:www-data\" or \":www-data\"; numbers will do";
        reader.bad_value(text.span, message, help);
        return UnixOwner::default();
    }
    let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    UnixOwner {
        user: named(user),
        group: named(group),
    }
}

fn mode(reader: &mut Reader<'_>) -> u32 {
    let Some(text) = reader.text(MODE) else {
        return DEFAULT_MODE;
    };
    let digits = text.value.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text.value, 8).ok();
    match mode.filter(|mode| digits && *mode <= 0o777) {
        Some(mode) => mode,
        None => {
            let message = format!("`{}` is not the mode of a file", text.value);
            let help =
                "write three octal digits: \"0660\" for owner and group, \"0666\" for everybody";
            reader.bad_value(text.span, message, help);
            DEFAULT_MODE
        }
    }
}
