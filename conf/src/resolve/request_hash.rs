//! `hash-by` and `hash-balance-factor` of a target group with `algorithm = "request-hash"`.

use crate::document::Kind;
use crate::section::Section;
use crate::tree::{Limit, Reader};
use crate::{Algorithm, HashBy, RequestHash};

/// Mirrokni, Thorup, Zadimoghaddam 2016 leave the factor open; 125 is what HAProxy's manual names.
const BALANCE: Limit<u64> = Limit {
    default: 125,
    min: 0,
    max: 10_000,
    why: "it is a percentage of a target's share, over 100, or 0 for no bound",
};

/// Reads the keys, which mean nothing with other algorithms.
pub(super) fn read(reader: &mut Reader<'_>, algorithm: Algorithm) -> Option<RequestHash> {
    if algorithm != Algorithm::RequestHash {
        let help = "remove it, or add `algorithm = \"request-hash\"`";
        for key in ["hash-by", "hash-balance-factor"] {
            reader.misplaced(key, "another algorithm chooses", help);
        }
        return None;
    }
    let help =
        "add `hash-by = { header = \"…\" }`, or `cookie`, or `query`, or `hash-by = \"path\"`";
    reader.missing("hash-by", "it would not be known what to hash", help);
    let balance = reader.whole("hash-balance-factor", &BALANCE);
    if let Some(found) = balance.filter(|found| (1..=100).contains(&found.value)) {
        let message = format!(
            "`hash-balance-factor` of {} is {}",
            reader.title(),
            found.value
        );
        let help = "write more than 100, such as 125, or 0 for no bound";
        reader.bad_value(found.span, message, help);
    }
    let balance = balance.map_or(BALANCE.default, |found| found.value);
    Some(RequestHash {
        by: by(reader, help)?,
        balance: u32::try_from(balance).unwrap_or(u32::MAX),
    })
}

fn by(reader: &mut Reader<'_>, help: &str) -> Option<HashBy> {
    let value = reader.take("hash-by")?;
    let table = match &value.kind {
        Kind::String(text) if text == "path" => return Some(HashBy::Path),
        Kind::Table(table) => table,
        _ => {
            let message = format!("`hash-by` of {} names no part of a request", reader.title());
            reader.bad_value(value.span, message, help);
            return None;
        }
    };
    let title = format!("`hash-by` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::HashBy, title);
    let header = inner
        .text("header")
        .map(|name| HashBy::Header(name.value.to_owned()));
    let cookie = inner
        .text("cookie")
        .map(|name| HashBy::Cookie(name.value.to_owned()));
    let query = inner
        .text("query")
        .map(|name| HashBy::Query(name.value.to_owned()));
    let mut found: Vec<HashBy> = [header, cookie, query].into_iter().flatten().collect();
    if table.entries.len() != 1 {
        let message = format!(
            "{} names {} parts of a request",
            inner.title(),
            table.entries.len()
        );
        inner.bad_value(value.span, message, "name one");
    }
    inner.finish();
    found.pop()
}
