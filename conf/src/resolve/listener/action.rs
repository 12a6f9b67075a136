//! Actions: `forward`, `redirect`, `fixed-response`, of a listener or of a rule.
//!
//! Exactly one of the three; all that are written are read, so that their own mistakes are found.

use super::super::directory::Directory;
use super::super::stickiness;
use super::redirect;
use crate::document::{Kind, Table};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{
    Action, Condition, Diagnostic, FixedResponse, Forward, GroupIdx, GroupProtocol,
    ListenerProtocol, Span, Spanned, TargetGroup, WeightedGroup,
};

/// The keys, of which one is to be there.
const ACTIONS: [&str; 3] = ["forward", "redirect", "fixed-response"];

/// Groups of one forward (ELB).
const MAX_GROUPS: usize = 5;
/// Bytes of a fixed response's body (ELB).
const MAX_BODY: usize = 1024;

const CONTENT_TYPES: [(&str, &str); 5] = [
    ("text/plain", "text/plain"),
    ("text/css", "text/css"),
    ("text/html", "text/html"),
    ("application/javascript", "application/javascript"),
    ("application/json", "application/json"),
];

/// What actions are read against.
pub(super) struct Scene<'a> {
    pub(super) groups: &'a [TargetGroup],
    pub(super) directory: &'a mut Directory<GroupIdx>,
    /// The listener's; `None` when it could not be read.
    pub(super) protocol: Option<ListenerProtocol>,
    /// The balancer's cookies have AWS's names.
    pub(super) aws_cookies: bool,
    /// The ports it accepts on.
    pub(super) ports: Vec<u16>,
}

/// The default action of a listener.
pub(super) fn of_listener(reader: &mut Reader<'_>, scene: &mut Scene<'_>) -> Option<Action> {
    if let Some(protocol) = scene.protocol.filter(|protocol| !protocol.is_http()) {
        let why = format!("a {} listener answers nothing itself", protocol.as_str());
        for key in ["redirect", "fixed-response"] {
            reader.misplaced(key, &why, "use `forward`");
        }
        missing_forward(reader);
        return forward(reader, scene).map(Action::Forward);
    }
    read(reader, &[], scene)
}

/// The action of a listener or rule that `conditions` lead to.
pub(super) fn read(
    reader: &mut Reader<'_>,
    conditions: &[Condition],
    scene: &mut Scene<'_>,
) -> Option<Action> {
    let given: Vec<&str> = ACTIONS.into_iter().filter(|key| reader.has(key)).collect();
    if given.is_empty() {
        missing_forward(reader);
    }
    if let [first, second, ..] = given.as_slice() {
        several(reader, first, second);
    }
    let forward = forward(reader, scene).map(Action::Forward);
    let redirect = redirect::read(reader, conditions, scene).map(Action::Redirect);
    let fixed = fixed_response(reader).map(Action::FixedResponse);
    forward.or(redirect).or(fixed)
}

fn missing_forward(reader: &Reader<'_>) {
    reader.missing(
        "forward",
        "what it accepts would have nowhere to go",
        "add `forward = \"…\"` with the name of a target group",
    );
}

fn several(reader: &Reader<'_>, first: &str, second: &str) {
    let spans = (reader.key_span(first), reader.key_span(second));
    if let (Some(first_span), Some(second_span)) = spans {
        let (early, late) = match first_span < second_span {
            true => (first_span, second_span),
            false => (second_span, first_span),
        };
        let message = format!("{} has both `{first}` and `{second}`", reader.title());
        reader.scope().report(
            Diagnostic::error("several-actions", late, message)
                .consequence("a request can be answered in one way only")
                .help("keep one of them")
                .related(early, "the other action"),
        );
    }
}

fn forward(reader: &mut Reader<'_>, scene: &mut Scene<'_>) -> Option<Forward> {
    let value = reader.take("forward")?;
    let Kind::Table(table) = &value.kind else {
        let name = reader.as_text("forward", value)?;
        let group = group(reader, name, scene)?;
        return Some(Forward {
            groups: vec![WeightedGroup { group, weight: 1 }],
            stickiness: None,
        });
    };
    let title = format!("`forward` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::Forward, title);
    let help = "add `target-groups = [{ name = \"…\" }]`, or write `forward = \"…\"`";
    inner.missing(
        "target-groups",
        "there would be nowhere to forward to",
        help,
    );
    let entries = inner.tables("target-groups");
    let groups = weighted_groups(reader, &inner, &entries, scene);
    let is_http = scene.protocol.is_none_or(|protocol| protocol.is_http());
    let of = reader.title();
    let stickiness = stickiness::of_forward(&mut inner, is_http, scene.aws_cookies, of);
    inner.finish();
    (!groups.is_empty()).then_some(Forward { groups, stickiness })
}

fn weighted_groups(
    outer: &Reader<'_>,
    inner: &Reader<'_>,
    entries: &[&Table],
    scene: &mut Scene<'_>,
) -> Vec<WeightedGroup> {
    let span = inner.key_span("target-groups").unwrap_or(inner.span());
    if inner.has("target-groups") && (entries.is_empty() || entries.len() > MAX_GROUPS) {
        let message = format!(
            "{} has {} target groups, outside 1 to {MAX_GROUPS}",
            inner.title(),
            entries.len()
        );
        let help = "name one to five groups";
        inner.bad_value(span, message, help);
    }
    let mut groups: Vec<(WeightedGroup, Span)> = Vec::new();
    let mut broken = false;
    for table in entries {
        match weighted_group(outer, table, scene) {
            Some((group, name)) => {
                match groups.iter().find(|(seen, _)| seen.group == group.group) {
                    Some((_, first)) => twice(outer, name, *first),
                    None => groups.push((group, name.span)),
                }
            }
            None => broken = true,
        }
    }
    if !broken && !groups.is_empty() && groups.iter().all(|(group, _)| group.weight == 0) {
        let message = format!("every group of {} has weight 0", inner.title());
        inner.scope().report(
            Diagnostic::warning("no-targets", span, message)
                .consequence("none of them would get new work, so every request would get 503")
                .help("give one of them a weight of 1 or more"),
        );
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

fn weighted_group<'t>(
    outer: &Reader<'t>,
    table: &'t Table,
    scene: &mut Scene<'_>,
) -> Option<(WeightedGroup, Spanned<&'t str>)> {
    let title = "an entry of `target-groups`";
    let mut reader = Reader::new(outer.scope(), table, Section::ForwardGroup, title);
    reader.missing(
        "name",
        "there would be nowhere to forward to",
        "add `name = \"…\"`",
    );
    let name = reader.text("name");
    let limit = Limit {
        default: 1,
        min: 0,
        max: 999,
        why: "ELB weights go from 0 to 999",
    };
    let weight = reader.whole("weight", &limit);
    let weight = weight.map_or(limit.default, |weight| weight.value);
    reader.finish();
    let name = name?;
    let group = group(outer, name, scene)?;
    let weight = u16::try_from(weight).unwrap_or(u16::MAX);
    Some((WeightedGroup { group, weight }, name))
}

fn twice(reader: &Reader<'_>, name: Spanned<&str>, first: Span) {
    let message = format!(
        "`forward` of {} names group `{}` twice",
        reader.title(),
        name.value
    );
    reader.scope().report(
        Diagnostic::error("duplicate-group", name.span, message)
            .consequence("the weights of one group could not be told apart")
            .help("name it once, with the sum of the weights")
            .related(first, "first named here"),
    );
}

/// The group called `name`, which must speak what the listener speaks.
fn group(reader: &Reader<'_>, name: Spanned<&str>, scene: &mut Scene<'_>) -> Option<GroupIdx> {
    let index = scene.directory.find(name, reader.scope())?;
    if let (Some(protocol), Some(group)) = (scene.protocol, scene.groups.get(index.0)) {
        check_protocols(reader, protocol, group, name.span);
    }
    Some(index)
}

fn check_protocols(
    reader: &Reader<'_>,
    protocol: ListenerProtocol,
    group: &TargetGroup,
    span: Span,
) {
    let matches = match protocol {
        ListenerProtocol::Http | ListenerProtocol::Https => group.protocol.is_http(),
        ListenerProtocol::Tcp | ListenerProtocol::Tls => {
            matches!(group.protocol, GroupProtocol::Tcp | GroupProtocol::Tls)
        }
        ListenerProtocol::TlsPassthrough => group.protocol == GroupProtocol::Tcp,
        ListenerProtocol::Udp => group.protocol == GroupProtocol::Udp,
        ListenerProtocol::TcpUdp => group.protocol == GroupProtocol::TcpUdp,
        ListenerProtocol::Quic => group.protocol == GroupProtocol::Quic,
        ListenerProtocol::TcpQuic => group.protocol == GroupProtocol::TcpQuic,
    };
    if !matches {
        let (ours, theirs) = (protocol.as_str(), group.protocol.as_str());
        let help = match protocol {
            // TLS ends at the listener: what goes on is clear text, or TLS of its own.
            ListenerProtocol::Http | ListenerProtocol::Https => {
                "name a group that is `http` or `https`".to_owned()
            }
            ListenerProtocol::TlsPassthrough => {
                "name a `tcp` group: its targets get the TLS as it comes".to_owned()
            }
            ListenerProtocol::Tcp | ListenerProtocol::Tls => {
                "name a group that is `tcp` or `tls`".to_owned()
            }
            _ => format!("make both `{ours}` or both `{theirs}`"),
        };
        reader.scope().report(
            Diagnostic::error(
                "protocol-mismatch",
                span,
                format!(
                    "{} is `{ours}`, but target group `{}` is `{theirs}`",
                    reader.title(),
                    group.name
                ),
            )
            .consequence(
                "the group's settings are for other traffic than the listener would send it",
            )
            .help(help)
            .related(group.span, format!("this group is `{theirs}`")),
        );
    }
}

fn fixed_response(reader: &mut Reader<'_>) -> Option<FixedResponse> {
    let table = reader.table("fixed-response")?;
    let title = format!("`fixed-response` of {}", reader.title());
    let mut reader = Reader::new(reader.scope(), table, Section::FixedResponse, title);
    reader.missing(
        "status",
        "it would not be known how to answer",
        "add `status = 503`, or another of 200 to 299 and 400 to 599",
    );
    let limit = Limit {
        default: 503,
        min: 200,
        max: 599,
        why: "clients would not take it for an answer",
    };
    let status = reader.whole("status", &limit);
    if let Some(found) = status.filter(|status| (300..400).contains(&status.value)) {
        let message = format!(
            "`status` of {} is {}, which is a redirect",
            reader.title(),
            found.value
        );
        reader.bad_value(
            found.span,
            message,
            "use `redirect`, or a status of 2xx, 4xx or 5xx",
        );
    }
    let body = body(&mut reader, status);
    let content_type = match reader.choice("content-type", &CONTENT_TYPES) {
        Choice::Is(found) => Some(found.value),
        _ => (!body.is_empty()).then_some("text/plain"),
    };
    reader.finish();
    Some(FixedResponse {
        status: u16::try_from(status?.value).unwrap_or_default(),
        content_type: content_type.filter(|_| !body.is_empty()),
        body,
    })
}

fn body(reader: &mut Reader<'_>, status: Option<Spanned<u64>>) -> String {
    let Some(body) = reader.text("body") else {
        return String::new();
    };
    if body.value.len() > MAX_BODY {
        let message = format!(
            "`body` of {} has {} bytes, more than {MAX_BODY}",
            reader.title(),
            body.value.len()
        );
        reader.bad_value(
            body.span,
            message,
            "shorten it, or forward to a target that has it",
        );
    }
    if status.is_some_and(|status| matches!(status.value, 204 | 205)) && !body.value.is_empty() {
        let message = format!("{} has a `body`, which its status forbids", reader.title());
        reader.bad_value(body.span, message, "remove the body, or use status 200");
    }
    body.value.to_owned()
}
