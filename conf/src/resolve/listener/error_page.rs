//! `error-pages` of a listener: pages for answers of the balancer's own.

use std::io::Read;
use std::path::Path;

use crate::document::{Kind, Table, Value};
use crate::section::Section;
use crate::tree::Reader;
use crate::{Diagnostic, ErrorPage, ListenerProtocol, PagePart, PageValue, Span, Spanned};

const KEY: &str = "error-pages";
/// Pages of one listener.
const MAX_PAGES: usize = 32;
/// Bytes of a page: they are kept in memory, and sent to whoever asks for what is not there.
const MAX_BYTES: usize = 64 * 1024;

/// The pages of a listener.
pub(super) fn read(
    listener: &mut Reader<'_>,
    protocol: Option<ListenerProtocol>,
) -> Vec<ErrorPage> {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) {
        let why = format!("a {} listener answers nothing itself", protocol.as_str());
        listener.misplaced(KEY, &why, "remove it");
    }
    let tables = listener.tables(KEY);
    if let Some(one_more) = tables.get(MAX_PAGES) {
        let message = format!("{} has more than {MAX_PAGES} pages", listener.title());
        listener.bad_value(one_more.span, message, "give a page several statuses");
    }
    let mut seen = Vec::new();
    let mut pages = Vec::new();
    for table in tables {
        pages.extend(page(listener, table, &mut seen));
    }
    pages
}

fn page(
    listener: &Reader<'_>,
    table: &Table,
    seen: &mut Vec<Spanned<String>>,
) -> Option<ErrorPage> {
    let title = format!("an error page of {}", listener.title());
    let mut reader = Reader::new(listener.scope(), table, Section::ErrorPage, title);
    reader.missing(
        "status",
        "it would not be known when the page is shown",
        "add `status = 503`, a list of statuses, or \"5xx\"",
    );
    let (mut statuses, mut classes) = (Vec::new(), Vec::new());
    for value in reader.one_or_list("status") {
        if matches!(value.kind, Kind::Broken) {
            continue;
        }
        match status(value) {
            Some(Status::Class(class)) => classes.push(class),
            Some(Status::Is(status)) => statuses.push(status),
            None => {
                let message = "`status` is no status that the balancer answers with".to_owned();
                let help = "write one from 400 to 599, \"4xx\", \"5xx\", or a list of such";
                reader.bad_value(value.span, message, help);
                continue;
            }
        }
        once(&reader, value, seen);
    }
    let body = body(&mut reader);
    let given = reader.text("content-type");
    let content_type = content_type(&reader, given, body.as_ref().map(|body| body.of));
    reader.finish();
    Some(ErrorPage {
        statuses,
        classes,
        content_type,
        parts: body?.parts,
    })
}

enum Status {
    Is(u16),
    Class(u16),
}

fn status(value: &Value) -> Option<Status> {
    match &value.kind {
        Kind::Integer(number @ 400..=599) => u16::try_from(*number).ok().map(Status::Is),
        Kind::String(text) if text == "4xx" => Some(Status::Class(4)),
        Kind::String(text) if text == "5xx" => Some(Status::Class(5)),
        _ => None,
    }
}

/// Reports a status that has a page already.
fn once(reader: &Reader<'_>, value: &Value, seen: &mut Vec<Spanned<String>>) {
    let name = match &value.kind {
        Kind::Integer(number) => number.to_string(),
        Kind::String(text) => text.clone(),
        _ => return,
    };
    if let Some(first) = seen.iter().find(|first| first.value == name) {
        let message = format!("two error pages are for {name}");
        let error = Diagnostic::error("duplicate-status", value.span, message)
            .consequence("it would not be known which of them is shown")
            .help("keep one; a page for 503 goes before one for \"5xx\"")
            .related(first.span, "first used here");
        return reader.scope().report(error);
    }
    seen.push(Spanned::new(name, value.span));
}

/// A body, and whose.
struct Body<'t> {
    parts: Vec<PagePart>,
    /// The file's name; empty when it stands in the configuration.
    of: &'t str,
}

fn body<'t>(reader: &mut Reader<'t>) -> Option<Body<'t>> {
    let (file, text) = (reader.text("file"), reader.text("body"));
    let (found, of) = match (file, text) {
        (Some(file), None) => (Spanned::new(contents(reader, file)?, file.span), file.value),
        (None, Some(text)) => (Spanned::new(text.value.to_owned(), text.span), ""),
        (Some(_), Some(text)) => {
            let message = format!("{} has both `file` and `body`", reader.title());
            reader.bad_value(text.span, message, "keep one of them");
            return None;
        }
        (None, None) if reader.has("file") || reader.has("body") => return None,
        (None, None) => {
            let help = "add `file = \"…\"` or `body = \"…\"`";
            reader.missing("file", "there would be nothing to show", help);
            return None;
        }
    };
    if found.value.len() > MAX_BYTES {
        let message = format!("the page has {} bytes, more than 64 KiB", found.value.len());
        let help = "let it refer to images and styles instead of holding them";
        reader.bad_value(found.span, message, help);
        return None;
    }
    let parts = parts(reader, &found.value, found.span);
    Some(Body { parts, of })
}

/// What is in the file; no more than is needed to know that it is too long.
fn contents(reader: &Reader<'_>, file: Spanned<&str>) -> Option<String> {
    let path = reader.scope().path(file.value, file.span);
    let read = read_file(&path);
    if let Err(error) = &read {
        let message = format!("`{}` cannot be read: {error}", path.display());
        let error = Diagnostic::error("bad-page", file.span, message)
            .consequence("clients would not get the page")
            .help("name a text file in UTF-8; paths are relative to this file's folder");
        reader.scope().report(error);
    }
    read.ok()
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let limit = MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(limit)
        .read_to_end(&mut bytes)?;
    // A character that the limit cut in two is no fault of the file's.
    if bytes.len() > MAX_BYTES {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// The text and the placeholders in it: `#{status}`.
fn parts(reader: &Reader<'_>, text: &str, span: Span) -> Vec<PagePart> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("#{") {
        push_text(&mut parts, before);
        let Some((name, left)) = after.split_once('}') else {
            let shown: String = after.chars().take(20).collect();
            let message = format!("the page has a placeholder without its end: `#{{{shown}`");
            reader.bad_value(span, message, "write `}` after the name of a placeholder");
            return parts;
        };
        let mut known = PageValue::NAMES.iter();
        match known.find(|(known, _)| *known == name) {
            Some((_, value)) => parts.push(PagePart::Value(*value)),
            None => unknown(reader, name, span),
        }
        rest = left;
    }
    push_text(&mut parts, rest);
    parts
}

fn push_text(parts: &mut Vec<PagePart>, text: &str) {
    if !text.is_empty() {
        parts.push(PagePart::Text(text.to_owned()));
    }
}

fn unknown(reader: &Reader<'_>, name: &str, span: Span) {
    let shown: String = name.chars().take(20).collect();
    let known: Vec<_> = PageValue::NAMES
        .iter()
        .map(|(name, _)| format!("#{{{name}}}"))
        .collect();
    let message = format!("the page has an unknown placeholder `#{{{shown}}}`");
    let help = format!("a page can show: {}", known.join(", "));
    reader.bad_value(span, message, help);
}

/// What is written, else by the file's ending.
fn content_type(reader: &Reader<'_>, given: Option<Spanned<&str>>, of: Option<&str>) -> String {
    if let Some(given) = given {
        let visible = given
            .value
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte));
        if visible && given.value.contains('/') && given.value.len() <= 128 {
            return given.value.to_owned();
        }
        let message = "`content-type` is no media type".to_owned();
        reader.bad_value(
            given.span,
            message,
            "write one as `text/html; charset=utf-8`",
        );
    }
    let of = of.unwrap_or_default();
    let ending = of.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        _ => "text/plain; charset=utf-8",
    }
    .to_owned()
}
