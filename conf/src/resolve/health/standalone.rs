//! `[[health-check]]`: Route 53's standalone checks.
//!
//! Two passes: every check is read and named, then the children of calculated ones are looked up,
//! for a child may stand behind its parent.

use super::endpoint::{self, Speech};
use super::{metric, tls};
use crate::resolve::defaults::Numbers;
use crate::resolve::{Names, address};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader, Scope};
use crate::{CheckIdx, Diagnostic, HealthCheck, HealthCheckKind, Profile, Spanned};

/// Children a calculated check may have (Route 53 `ChildHealthChecks`).
const MAX_CHILDREN: usize = 256;
/// Keys of checks that probe an address over HTTP.
const HTTP_KEYS: [&str; 3] = ["path", "host", "search-string"];
/// Keys of checks that probe it over TLS.
const TLS_KEYS: [&str; 4] = ["ca", "insecure", "server-name", "enable-sni"];
/// Keys of every check that probes.
const PROBE_KEYS: [&str; 6] = [
    "address",
    "domain-name",
    "port",
    "interval",
    "failure-threshold",
    "measure-latency",
];

/// What a standalone check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Http,
    Https,
    Calculated,
    TargetGroup,
    RoutingControl,
    Metric,
}

impl Kind {
    /// Every word, and whether it demands a search string, as Route 53's `str-match` ones do.
    const WORDS: [(&'static str, (Self, bool)); 10] = [
        ("tcp", (Self::Tcp, false)),
        ("http", (Self::Http, false)),
        ("https", (Self::Https, false)),
        ("calculated", (Self::Calculated, false)),
        ("target-group", (Self::TargetGroup, false)),
        ("routing-control", (Self::RoutingControl, false)),
        ("metric", (Self::Metric, false)),
        // Route 53's word for it.
        ("recovery-control", (Self::RoutingControl, false)),
        ("http-str-match", (Self::Http, true)),
        ("https-str-match", (Self::Https, true)),
    ];

    fn keys(self) -> Vec<&'static str> {
        match self {
            Self::Tcp => PROBE_KEYS.to_vec(),
            Self::Http => [&PROBE_KEYS[..], &HTTP_KEYS].concat(),
            Self::Https => [&PROBE_KEYS[..], &HTTP_KEYS, &TLS_KEYS].concat(),
            Self::Calculated => vec!["children", "health-threshold"],
            Self::TargetGroup => vec!["target-group"],
            Self::RoutingControl => vec!["routing-control"],
            Self::Metric => [&metric::KEYS[..], &tls::KEYS].concat(),
        }
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Tcp => "a tcp probe only connects",
            Self::Http => "an http probe is in clear text",
            Self::Https => "an https probe does not read it",
            Self::Calculated => "a calculated check looks at other checks",
            Self::TargetGroup => "it looks at the group's targets, which have probes of their own",
            Self::RoutingControl => "it looks at a switch that people turn",
            Self::Metric => "it asks a Prometheus server, which `url` names",
        }
    }
}

/// What to do about a key that means nothing to the type.
fn takers(key: &str) -> String {
    // Route 53's other words for a kind come after ours.
    let first = |kind| {
        Kind::WORDS
            .iter()
            .position(|(_, (other, _))| *other == kind)
    };
    let words = Kind::WORDS
        .iter()
        .enumerate()
        .filter(|(place, (_, (kind, _)))| first(*kind) == Some(*place))
        .map(|(_, word)| word);
    let takers: Vec<_> = words
        .filter(|(_, (kind, _))| kind.keys().contains(&key))
        .map(|(word, _)| format!("`{word}`"))
        .collect();
    match takers.split_last() {
        Some((last, [])) => format!("use type {last}, or remove it"),
        Some((last, others)) => format!("use type {} or {last}, or remove it", others.join(", ")),
        None => "remove it".to_owned(),
    }
}

/// A check whose children have not been looked up.
struct Pending<'t> {
    parent: usize,
    children: Vec<Spanned<&'t str>>,
    threshold: Option<Spanned<u64>>,
}

/// Resolves every `[[health-check]]`.
pub(in crate::resolve) fn standalone(
    root: &mut Reader<'_>,
    profile: Profile,
    numbers: &Numbers,
    names: &mut Names,
) -> Vec<HealthCheck> {
    let mut checks = Vec::new();
    let mut pending = Vec::new();
    for table in root.tables("health-check") {
        let mut reader = Reader::new(
            root.scope(),
            table,
            Section::HealthCheck,
            "this health check",
        );
        let name = names.checks.declare(&mut reader);
        let kind = kind(
            &mut reader,
            profile,
            numbers,
            names,
            &mut pending,
            checks.len(),
        );
        let disabled = reader.flag("disabled").is_some_and(|flag| flag.value);
        let inverted = reader.flag("inverted").is_some_and(|flag| flag.value);
        reader.finish();
        if let (Some(name), Some(kind)) = (name, kind) {
            names.checks.place(name.value, CheckIdx(checks.len()));
            checks.push(HealthCheck {
                name: name.value.to_owned(),
                span: name.span,
                kind,
                disabled,
                inverted,
            });
        } else {
            pending.retain(|pending: &Pending<'_>| pending.parent != checks.len());
        }
    }
    for parent in pending {
        adopt(&mut checks, &parent, names, root.scope());
    }
    checks
}

fn kind<'t>(
    reader: &mut Reader<'t>,
    profile: Profile,
    numbers: &Numbers,
    names: &mut Names,
    pending: &mut Vec<Pending<'t>>,
    parent: usize,
) -> Option<HealthCheckKind> {
    reader.missing(
        "type",
        "it would not be known what to look at",
        "add `type = \"http\"`, `\"https\"`, `\"tcp\"`, `\"calculated\"`, `\"target-group\"`, `\"routing-control\"` or `\"metric\"`",
    );
    let (kind, wants_string) = match reader.choice("type", &Kind::WORDS) {
        Choice::Is(found) => found.value,
        unknown => {
            if !matches!(unknown, Choice::Later) {
                endpoint::missing(reader);
            }
            pass_over(reader);
            return None;
        }
    };
    let found = match kind {
        Kind::Tcp | Kind::Http | Kind::Https => {
            let speech = match kind {
                Kind::Tcp => Speech::Tcp,
                Kind::Http => Speech::Http,
                _ => Speech::Https,
            };
            endpoint::read(reader, speech, wants_string, profile, numbers)
                .map(HealthCheckKind::Endpoint)
        }
        Kind::Calculated => {
            let children = children(reader);
            let threshold = health_threshold(reader);
            pending.push(Pending {
                parent,
                children,
                threshold,
            });
            Some(HealthCheckKind::Calculated {
                children: Vec::new(),
                health_threshold: 0,
            })
        }
        Kind::TargetGroup => {
            let help = "add `target-group = \"…\"`";
            reader.missing("target-group", "there would be nothing to look at", help);
            let group = reader.text("target-group");
            let group = group.and_then(|name| names.groups.find(name, reader.scope()));
            group.map(HealthCheckKind::TargetGroup)
        }
        Kind::RoutingControl => {
            let help = "add `routing-control = \"…\"`";
            reader.missing("routing-control", "there would be nothing to look at", help);
            let control = reader.text("routing-control");
            let control = control.and_then(|name| names.controls.find(name, reader.scope()));
            control.map(HealthCheckKind::RoutingControl)
        }
        Kind::Metric => metric::read(reader, profile, numbers).map(HealthCheckKind::Metric),
    };
    let own = kind.keys();
    for (_, (other, _)) in Kind::WORDS {
        for key in other.keys() {
            if !own.contains(&key) {
                reader.misplaced_once(key, kind.refusal(), &takers(key));
            }
        }
    }
    found
}

/// Takes what only a known type could give a meaning.
fn pass_over(reader: &mut Reader<'_>) {
    if let Some(text) = reader.text("address") {
        address::destination(text, reader.scope());
    }
    for (_, (kind, _)) in Kind::WORDS {
        for key in kind.keys() {
            reader.take(key);
        }
    }
}

fn children<'t>(reader: &mut Reader<'t>) -> Vec<Spanned<&'t str>> {
    let help = "add `children = [\"…\", \"…\"]`, names of other health checks";
    reader.missing("children", "there would be nothing to look at", help);
    let span = reader.key_span("children").unwrap_or(reader.span());
    let children = reader.texts("children");
    let few = reader.has("children") && reader.is_empty_or_absent("children");
    if few || children.len() > MAX_CHILDREN {
        let message = format!("{} has {} children", reader.title(), children.len());
        reader.bad_value(span, message, "name 1 to 256 other health checks");
    }
    children
}

fn health_threshold(reader: &mut Reader<'_>) -> Option<Spanned<u64>> {
    let help = "add `health-threshold = 1` for any of the children, their number for all";
    let consequence = "it would not be known how many healthy children are enough";
    reader.missing("health-threshold", consequence, help);
    let limit = Limit {
        default: 0,
        min: 0,
        max: MAX_CHILDREN as u64,
        why: "Route 53 checks have up to 256 children",
    };
    reader.whole("health-threshold", &limit)
}

/// Looks a calculated check's children up.
fn adopt(checks: &mut [HealthCheck], parent: &Pending<'_>, names: &mut Names, scope: &Scope<'_>) {
    let mut found: Vec<CheckIdx> = Vec::new();
    for child in &parent.children {
        let Some(index) = names.checks.find(*child, scope) else {
            continue;
        };
        let fault = match checks.get(index.0).map(|check| &check.kind) {
            Some(HealthCheckKind::Calculated { .. }) => "is calculated itself",
            _ if found.contains(&index) => "is named twice",
            _ => {
                found.push(index);
                continue;
            }
        };
        let message = format!("the child `{}` {fault}", child.value);
        scope.report(
            Diagnostic::error("bad-child", child.span, message)
                .consequence("Route 53 would refuse the check")
                .help("name each health check once, and only such as are not calculated"),
        );
    }
    let Some(check) = checks.get_mut(parent.parent) else {
        return;
    };
    let threshold = parent.threshold.filter(|_| !parent.children.is_empty());
    if let Some(threshold) = threshold {
        let verdict = match usize::try_from(threshold.value) {
            Ok(0) => Some("healthy"),
            Ok(n) if n > parent.children.len() => Some("unhealthy"),
            _ => None,
        };
        if let Some(verdict) = verdict {
            let message = format!(
                "health check `{}` is always {verdict}: {} of {} children are needed",
                check.name,
                threshold.value,
                parent.children.len()
            );
            scope.report(
                Diagnostic::warning("constant-health", threshold.span, message)
                    .consequence("its children would decide nothing, as in Route 53")
                    .help("choose from 1 to the number of children"),
            );
        }
    }
    check.kind = HealthCheckKind::Calculated {
        children: found,
        health_threshold: parent.threshold.map_or(0, |threshold| {
            u32::try_from(threshold.value).unwrap_or(u32::MAX)
        }),
    };
}
