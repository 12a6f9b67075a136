//! `redirect`: its parts, their placeholders, and redirects that lead back to themselves.

use super::action::Scene;
use crate::document::Kind;
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{
    Condition, Diagnostic, ListenerProtocol, Pattern, Piece, Placeholder, Redirect, Scheme,
    Spanned, Template,
};

/// Characters of one part (ELB).
const MAX_PART: usize = 128;

/// The `redirect` of a listener or rule that `conditions` lead to.
pub(super) fn read(
    reader: &mut Reader<'_>,
    conditions: &[Condition],
    scene: &Scene<'_>,
) -> Option<Redirect> {
    let key = reader.key_span("redirect");
    let table = reader.table("redirect")?;
    let title = format!("`redirect` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::Redirect, title);
    let words = [
        ("http", Some(Scheme::Http)),
        ("https", Some(Scheme::Https)),
        ("#{protocol}", None),
    ];
    let protocol = match inner.choice("protocol", &words) {
        Choice::Is(found) => found.value,
        _ => None,
    };
    let host = part(&mut inner, "host", Placeholder::Host, &[Placeholder::Host]);
    let port = port(&mut inner);
    let in_path = [Placeholder::Host, Placeholder::Port, Placeholder::Path];
    let path = part(&mut inner, "path", Placeholder::Path, &in_path);
    let query = part(&mut inner, "query", Placeholder::Query, &Placeholder::ALL);
    let statuses = Limit {
        default: 302,
        min: 301,
        max: 302,
        why: "clients would not follow it as a redirect of ELB's two kinds",
    };
    let status = inner.whole("status", &statuses);
    inner.finish();
    let redirect = Redirect {
        protocol,
        host: host?,
        port: port?,
        path: path?,
        query: query?,
        status: u16::try_from(status.map_or(statuses.default, |found| found.value)).ok()?,
    };
    if is_loop(&redirect, conditions, scene) {
        let message = format!("{} leads to the address that was asked for", reader.title());
        reader.scope().report(
            Diagnostic::error("redirect-loop", key, message)
                .consequence("clients would be sent in a circle until they give up")
                .help("change at least one of `protocol`, `host`, `port` and `path`"),
        );
    }
    Some(redirect)
}

/// `port = 443`, `"443"` or `"#{port}"`. The outer `None` is a value that was reported.
#[expect(clippy::option_option, reason = "bad, as it was, or another one")]
fn port(reader: &mut Reader<'_>) -> Option<Option<u16>> {
    let Some(value) = reader.take("port") else {
        return Some(None);
    };
    let number = match &value.kind {
        Kind::String(text) if text == Placeholder::Port.as_str() => return Some(None),
        Kind::String(text) => text.parse::<u16>().ok(),
        Kind::Integer(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let port = number.filter(|port| *port > 0);
    if port.is_none() {
        let message = format!("`port` of {} is not a port", reader.title());
        reader.bad_value(value.span, message, "write 1 to 65535, or \"#{port}\"");
    }
    port.map(Some)
}

/// The part called `key`; when it is absent it stays as it was asked for.
fn part(
    reader: &mut Reader<'_>,
    key: &str,
    own: Placeholder,
    allowed: &[Placeholder],
) -> Option<Template> {
    if !reader.has(key) {
        let as_it_was = match own {
            Placeholder::Path => Template::parse("/#{path}").ok()?,
            _ => Template::of(own),
        };
        return Some(as_it_was);
    }
    let text = reader.text(key)?;
    let template = match check(key, text.value, allowed) {
        Ok(template) => template,
        Err((fault, help)) => {
            let message = format!("`{key}` of {} {fault}", reader.title());
            reader.bad_value(text.span, message, help);
            return None;
        }
    };
    check_host(reader, key, text, &template)?;
    Some(template)
}

/// The parsed text, or what is wrong with it and how to mend it.
fn check(key: &str, text: &str, allowed: &[Placeholder]) -> Result<Template, (String, String)> {
    let words: Vec<String> = allowed
        .iter()
        .map(|p| format!("`{}`", p.as_str()))
        .collect();
    let words = words.join(", ");
    if text.len() > MAX_PART {
        let fault = format!("has {} characters, more than {MAX_PART}", text.len());
        return Err((fault, "shorten it".to_owned()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let fault = "holds a character that cannot stand in a URL".to_owned();
        return Err((
            fault,
            "write it percent-encoded: `%20` for a blank".to_owned(),
        ));
    }
    let template = Template::parse(text)
        .map_err(|word| (format!("holds `{word}`"), format!("it takes {words}")))?;
    let stranger = template.pieces().iter().find_map(|piece| match piece {
        Piece::Placeholder(placeholder) if !allowed.contains(placeholder) => Some(*placeholder),
        _ => None,
    });
    if let Some(stranger) = stranger {
        return Err((
            format!("holds `{}`", stranger.as_str()),
            format!("it takes {words}"),
        ));
    }
    match key {
        "path" if !text.starts_with('/') => Err((
            "does not begin with `/`".to_owned(),
            format!("write \"/{text}\""),
        )),
        "path" if text.contains('?') => Err((
            "holds a `?`".to_owned(),
            "write what follows it as `query`".to_owned(),
        )),
        "query" if text.starts_with('?') => Err((
            "begins with `?`, which is added anyway".to_owned(),
            format!("write {:?}", text.trim_start_matches('?')),
        )),
        _ => Ok(template),
    }
}

/// Hosts are names: anything else would make a URL that means something else.
fn check_host(
    reader: &Reader<'_>,
    key: &str,
    text: Spanned<&str>,
    template: &Template,
) -> Option<()> {
    let is_name = |piece: &Piece| match piece {
        Piece::Text(text) => text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
        Piece::Placeholder(_) => true,
    };
    if key != "host" || (!text.value.is_empty() && template.pieces().iter().all(is_name)) {
        return Some(());
    }
    let message = format!("`host` of {} is not a host name", reader.title());
    let help = "write a name such as \"www.example.test\" or \"www.#{host}\"; the port is `port`";
    reader.bad_value(text.span, message, help);
    None
}

/// True when every part but the query comes out as it was asked for.
fn is_loop(redirect: &Redirect, conditions: &[Condition], scene: &Scene<'_>) -> bool {
    let own = scene
        .protocol
        .map_or(Scheme::Http, ListenerProtocol::scheme);
    let same_protocol = redirect.protocol.is_none_or(|scheme| scheme == own);
    let ports = &scene.ports;
    let same_port = redirect
        .port
        .is_none_or(|port| !ports.is_empty() && ports.iter().all(|bound| *bound == port));
    let same_host = redirect.host == Template::of(Placeholder::Host)
        || redirect.host.literal().is_some_and(|host| {
            asks_only_for(conditions, |condition| match condition {
                Condition::Host(values) => Some((values, host.to_owned())),
                _ => None,
            })
        });
    let same_path = redirect.path.to_string() == "/#{path}"
        || redirect.path.literal().is_some_and(|path| {
            asks_only_for(conditions, |condition| match condition {
                Condition::Path(values) => Some((values, path.to_owned())),
                _ => None,
            })
        });
    same_protocol && same_port && same_host && same_path
}

/// True when the condition that `pick` takes lets exactly one text through: the one it gives.
fn asks_only_for<'c>(
    conditions: &'c [Condition],
    pick: impl Fn(&'c Condition) -> Option<(&'c Vec<Pattern>, String)>,
) -> bool {
    conditions.iter().filter_map(pick).any(|(values, wanted)| {
        values.iter().all(|value| match value {
            Pattern::Wildcard(text) => *text == wanted && !text.contains(['*', '?']),
            Pattern::Regex(_) => false,
        })
    })
}
