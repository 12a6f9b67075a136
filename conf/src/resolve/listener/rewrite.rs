//! `rewrite-host` and `rewrite-url`: what a forwarded request is turned into.
//!
//! What the expression will make of a request cannot be known here; everything that no request
//! could make right is an error of the file.

use super::condition::bad_regex;
use crate::section::Section;
use crate::tree::Reader;
use crate::{Action, Diagnostic, Regex, Rewrite, RewritePiece, Rewrites, Spanned};

/// Characters of an expression or a replacement (ELB).
const MAX_TEXT: usize = 1024;

const KEYS: [&str; 2] = ["rewrite-host", "rewrite-url"];

/// The rewrites of a listener or rule with this action; none where `reads_requests` is false.
pub(super) fn read(
    reader: &mut Reader<'_>,
    action: Option<&Action>,
    reads_requests: bool,
) -> Rewrites {
    let why = match action {
        _ if !reads_requests => Some("requests are not read".to_owned()),
        Some(Action::Forward(_)) | None => None,
        Some(other) => Some(format!("`{}` sends nothing to a target", other.as_str())),
    };
    if let Some(why) = why {
        for key in KEYS {
            reader.misplaced(key, &why, "remove it; rewrites go with `forward`");
        }
        return Rewrites::default();
    }
    Rewrites {
        host: rewrite(reader, "rewrite-host", true),
        url: rewrite(reader, "rewrite-url", false),
    }
}

fn rewrite(outer: &mut Reader<'_>, key: &str, is_host: bool) -> Option<Rewrite> {
    let table = outer.table(key)?;
    let title = format!("`{key}` of {}", outer.title());
    let mut reader = Reader::new(outer.scope(), table, Section::Rewrite, title);
    let help = match is_host {
        true => "add `regex = \"^(.+)[.]example[.]com$\"`, or what else the host may be",
        false => "add `regex = \"^/old/(.*)$\"`, or what else path and query may be",
    };
    reader.missing("regex", "it would not be known what to replace", help);
    let help = "add `replace = \"…\"`, with `$1` for the expression's first group";
    reader.missing("replace", "it would not be known what to put there", help);
    let regex = text(&mut reader, "regex", |_| true).and_then(|text| regex(&reader, text, is_host));
    let may_stand = |byte: u8| match is_host {
        true => byte.is_ascii_alphanumeric() || b"-._~:[]$".contains(&byte),
        false => byte != b'#',
    };
    let replace = text(&mut reader, "replace", may_stand);
    let pieces = replace.and_then(|text| pieces(&reader, text, regex.as_ref(), is_host));
    reader.finish();
    Some(Rewrite::new(regex?, pieces?))
}

/// Visible ASCII for which `may_stand` is true, and not too much of it.
fn text<'t>(
    reader: &mut Reader<'t>,
    key: &str,
    may_stand: impl Fn(u8) -> bool,
) -> Option<Spanned<&'t str>> {
    let text = reader.text(key)?;
    let shown = format!("`{key}` of {}", reader.title());
    if text.value.len() > MAX_TEXT {
        let message = format!(
            "{shown} has {} characters, more than {MAX_TEXT}",
            text.value.len()
        );
        reader.bad_value(text.span, message, "shorten it");
        return None;
    }
    let wrong = |byte: u8| !byte.is_ascii_graphic() || !may_stand(byte);
    if text.value.bytes().any(wrong) {
        let message = format!("{shown} holds a character that cannot stand in a request there");
        let help = "write a URL's characters percent-encoded (`%20` for a blank), and host names in letters, digits, `-` and `.`";
        reader.bad_value(text.span, message, help);
        return None;
    }
    Some(text)
}

fn regex(reader: &Reader<'_>, text: Spanned<&str>, any_case: bool) -> Option<Regex> {
    if text.value.is_empty() {
        let message = format!("`regex` of {} is empty", reader.title());
        reader.bad_value(text.span, message, "write what is to be replaced");
        return None;
    }
    match Regex::new(text.value, any_case) {
        Ok(regex) => Some(regex),
        Err(error) => {
            bad_regex(reader, "regex", text, &error.to_string());
            None
        }
    }
}

fn pieces(
    reader: &Reader<'_>,
    text: Spanned<&str>,
    regex: Option<&Regex>,
    is_host: bool,
) -> Option<Vec<RewritePiece>> {
    let pieces = match Rewrite::parse(text.value) {
        Ok(pieces) => pieces,
        Err(shown) => {
            let message = format!("`replace` of {} holds `{shown}`", reader.title());
            let help =
                "write `$1` to `$9` for a group, `$0` for all of the match and `$$` for a dollar";
            reader.bad_value(text.span, message, help);
            return None;
        }
    };
    let beyond = |piece: &RewritePiece| match (piece, regex) {
        (RewritePiece::Group(number), Some(regex)) if *number >= regex.groups() => Some(*number),
        _ => None,
    };
    if let Some(number) = pieces.iter().find_map(beyond) {
        let groups = regex.map_or(0, |regex| regex.groups() - 1);
        let message = format!(
            "`replace` of {} holds `${number}`, but groups of its `regex`: {groups}",
            reader.title()
        );
        reader.bad_value(
            text.span,
            message,
            "put `( )` around what it is to stand for",
        );
        return None;
    }
    warn_of_whole(reader, text, regex, is_host);
    Some(pieces)
}

/// What replaces the whole text must be a whole path or host.
fn warn_of_whole(reader: &Reader<'_>, text: Spanned<&str>, regex: Option<&Regex>, is_host: bool) {
    let from_start = regex.is_some_and(|regex| regex.as_str().starts_with('^'));
    if from_start && !is_host && !text.value.starts_with(['/', '$']) {
        let message = format!(
            "`replace` of {} does not begin with `/`, as every path does",
            reader.title()
        );
        reader.scope().report(
            Diagnostic::warning("bad-path", text.span, message)
                .consequence("requests that match would be answered 500, unless what follows it begins with `/`")
                .help(format!("write \"/{}\"", text.value)),
        );
    }
}
