//! `stickiness` of a target group and of a weighted forward: what clients are told by.
//!
//! By the client's address below HTTP; by cookies of the balancer's, or of the application's, in
//! groups of requests.

use std::time::Duration;

use crate::document::Kind;
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{CookieName, CookieStickiness, Diagnostic, GroupProtocol, GroupStickiness, Spanned};

/// Attributes of a cookie take longer names, browsers do not.
const MAX_NAME: usize = 128;

/// ELB's default and range.
const DURATION: Limit<Duration> = Limit {
    default: Duration::from_secs(24 * 60 * 60),
    min: Duration::from_secs(1),
    max: Duration::from_secs(7 * 24 * 60 * 60),
    why: "ELB's range is 1s to 7d",
};

/// What a group's clients are told by.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    /// Their address.
    pub(super) by_source: bool,
    /// A cookie.
    pub(super) cookie: Option<CookieStickiness>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Source,
    Balancer,
    Application,
}

/// Reads a group's key. `name` is the group's; `aws_cookies`: AWS's names are those to use unless the
/// file says otherwise.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    aws_cookies: bool,
    name: &str,
) -> Sticky {
    let Some(value) = reader.take("stickiness") else {
        return Sticky::default();
    };
    let table = match &value.kind {
        Kind::Table(table) if !table.entries.is_empty() => table,
        Kind::Table(_) | Kind::Boolean(false) | Kind::Broken => return Sticky::default(),
        Kind::String(text) if text == "off" => return Sticky::default(),
        other => {
            let message = format!("`stickiness` of {} is {}", reader.title(), other.word());
            let help = "write { type = \"lb-cookie\" }, { type = \"source-ip\" }, or \"off\"";
            reader.bad_value(value.span, message, help);
            return Sticky::default();
        }
    };
    let title = format!("`stickiness` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::Stickiness, title);
    let sticky = of_type(&mut inner, protocol, aws_cookies, name);
    inner.finish();
    sticky
}

fn of_type(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    aws_cookies: bool,
    name: &str,
) -> Sticky {
    let help =
        "add `type = \"lb-cookie\"`, or `type = \"source-ip\"` in a group that is not `http`";
    reader.missing(
        "type",
        "it would not be known what a client is told by",
        help,
    );
    let types = [
        ("source-ip", Type::Source),
        ("lb-cookie", Type::Balancer),
        ("app-cookie", Type::Application),
    ];
    let Choice::Is(kind) = reader.choice("type", &types) else {
        for key in ["duration", "cookie-name", "aws-names", "honour-draining"] {
            reader.take(key);
        }
        return Sticky::default();
    };
    match kind.value {
        Type::Source => Sticky {
            by_source: by_source(reader, kind, protocol),
            cookie: None,
        },
        _ => Sticky {
            by_source: false,
            cookie: by_cookie(reader, kind, protocol, aws_cookies, name),
        },
    }
}

/// True when the group's clients keep their target by address.
fn by_source(
    reader: &mut Reader<'_>,
    kind: Spanned<Type>,
    protocol: Option<GroupProtocol>,
) -> bool {
    let why = "an address keeps its target as long as the group keeps its targets";
    reader.misplaced("duration", why, "remove it");
    let why = "an address is no cookie";
    for key in ["cookie-name", "aws-names", "honour-draining"] {
        reader.misplaced(key, why, "remove it");
    }
    let (fault, help) = match protocol {
        Some(protocol) if protocol.is_http() => (
            "its requests share connections of many clients",
            "use type `lb-cookie`; `algorithm = \"source-ip-hash\"` sends an address to one target",
        ),
        Some(GroupProtocol::Quic | GroupProtocol::TcpQuic) => (
            "its connections are told by their IDs",
            "remove it; `algorithm = \"source-ip-hash\"` sends an address to one target",
        ),
        _ => return true,
    };
    let message = format!("{} is `source-ip`, but {fault}", reader.title());
    reader.scope().report(
        Diagnostic::error("bad-value", kind.span, message)
            .consequence("clients would not keep their target by it")
            .help(help),
    );
    false
}

fn by_cookie(
    reader: &mut Reader<'_>,
    kind: Spanned<Type>,
    protocol: Option<GroupProtocol>,
    aws_cookies: bool,
    group: &str,
) -> Option<CookieStickiness> {
    let duration = reader.duration_or("duration", &DURATION);
    let named = reader.key_span("cookie-name");
    let name = cookie_name(reader);
    let asked = reader.flag("aws-names");
    let honour = reader.flag("honour-draining");
    let is_aws = asked.map_or(aws_cookies, |asked| asked.value);
    if let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) {
        let message = format!(
            "{} is by cookie, but a {} group sees no requests",
            reader.title(),
            protocol.as_str()
        );
        let help = match protocol {
            GroupProtocol::Quic => "remove it: connection IDs keep connections on their target",
            _ => "use type `source-ip`",
        };
        reader.scope().report(
            Diagnostic::error("bad-value", kind.span, message)
                .consequence("clients would not keep their target by it")
                .help(help),
        );
        return None;
    }
    let (cookie, application) = match kind.value {
        Type::Application => {
            if named.is_none() {
                let why =
                    "it would not be known which cookie of the application's begins a session";
                let help = "add `cookie-name = \"…\"`, the name of the cookie that targets set";
                reader.missing("cookie-name", why, help);
            }
            let cookie = match is_aws {
                true => CookieName::aws("AWSALBAPP-0", None),
                false => CookieName::derived(&format!("app-cookie {group}")),
            };
            (cookie, Some(name?))
        }
        _ if is_aws => {
            if let (Some(span), Some(_)) = (named, asked.filter(|asked| asked.value)) {
                let message = format!("{} has `cookie-name` and AWS's names", reader.title());
                reader.bad_value(span, message, "keep one of `cookie-name` and `aws-names`");
            }
            let aws = CookieName::aws("AWSALB", Some("AWSALBCORS"));
            (name.map_or(aws, CookieName::own), None)
        }
        _ => {
            let derived = CookieName::derived(&format!("lb-cookie {group}"));
            (name.map_or(derived, CookieName::own), None)
        }
    };
    Some(CookieStickiness {
        duration,
        cookie,
        application,
        honour_draining: honour.is_some_and(|honour| honour.value),
    })
}

/// A cookie's name as the file gives it.
fn cookie_name(reader: &mut Reader<'_>) -> Option<String> {
    let name = reader.text("cookie-name")?;
    // RFC 6265 section 4.1.1: a token of RFC 9110 section 5.6.2.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let text = name.value;
    let fault = if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(is_token) {
        format!("`{text}` cannot be the name of a cookie")
    } else if text.starts_with("AWSALB") {
        format!("`{text}` begins as AWS's own cookies do")
    } else {
        return Some(text.to_owned());
    };
    let help = "write letters, digits, `-` and `_`, such as \"SESSION\"; `aws-names = true` gives the balancer's cookies AWS's names";
    reader.bad_value(name.span, fault, help);
    None
}

/// `stickiness` of a weighted forward: how long clients keep their group. `of` names the forward.
pub(super) fn of_forward(
    reader: &mut Reader<'_>,
    is_http: bool,
    aws_cookies: bool,
    of: &str,
) -> Option<GroupStickiness> {
    let value = reader.take("stickiness")?;
    let off = match &value.kind {
        Kind::Table(table) => table.entries.is_empty(),
        Kind::String(text) => text == "off",
        Kind::Boolean(flag) => !flag,
        _ => false,
    };
    if off {
        return None;
    }
    if !is_http {
        let why = "only requests carry cookies";
        reader.misplaced("stickiness", why, "remove it");
        return None;
    }
    let duration = reader.duration("stickiness", &DURATION)?.value;
    let cookie = match aws_cookies {
        true => CookieName::aws("AWSALBTG", Some("AWSALBTGCORS")),
        false => CookieName::derived(&format!("forward {of}")),
    };
    Some(GroupStickiness { duration, cookie })
}
