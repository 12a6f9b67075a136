//! `stickiness` of a target group: so far by the client's address, below HTTP.

use crate::document::Kind;
use crate::section::Section;
use crate::tree::{Choice, Reader};
use crate::{Diagnostic, GroupProtocol};

/// True when the group's clients keep their target by address.
pub(super) fn by_source(reader: &mut Reader<'_>, protocol: Option<GroupProtocol>) -> bool {
    let Some(value) = reader.take("stickiness") else {
        return false;
    };
    let table = match &value.kind {
        Kind::Table(table) if !table.entries.is_empty() => table,
        Kind::Table(_) | Kind::Boolean(false) | Kind::Broken => return false,
        Kind::String(text) if text == "off" => return false,
        other => {
            let message = format!("`stickiness` of {} is {}", reader.title(), other.word());
            reader.bad_value(
                value.span,
                message,
                "write { type = \"source-ip\" }, or \"off\"",
            );
            return false;
        }
    };
    let title = format!("`stickiness` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::Stickiness, title.clone());
    let help = "add `type = \"source-ip\"`";
    inner.missing(
        "type",
        "it would not be known what a client is told by",
        help,
    );
    let kind = inner.choice("type", &[("source-ip", ())]);
    if matches!(kind, Choice::Is(_)) {
        let why = "an address keeps its target as long as the group keeps its targets";
        inner.misplaced("duration", why, "remove it");
    } else {
        inner.take("duration");
    }
    inner.finish();
    let Choice::Is(found) = kind else {
        return false;
    };
    let fault = match protocol {
        Some(GroupProtocol::Http | GroupProtocol::Https) => {
            "its requests share connections of many clients"
        }
        Some(GroupProtocol::Quic) => "its connections are told by their IDs",
        _ => return true,
    };
    let message = format!("{title} is `source-ip`, but {fault}");
    reader.scope().report(
        Diagnostic::error("bad-value", found.span, message)
            .consequence("clients would not keep their target by it")
            .help("remove it; `algorithm = \"source-ip-hash\"` sends an address to one target"),
    );
    false
}
