//! The sets of a record: the one of a simple record, or the list under a policy.
//!
//! The rules are Route 53's (set ids, roles, weights); sources in the comments.

use std::collections::HashMap;

use super::Names;
use super::alias;
use super::audience;
use super::beyond;
use super::defaults::Numbers;
use crate::document::{Kind, Table};
use crate::section::Section;
use crate::tree::{Choice, Reader};
use crate::{
    AllDown, Audience, CheckIdx, CidrCollection, Diagnostic, FailoverRole, Listener, Policy,
    RecordSet, RecordType, Region, SetData, Span, Spanned,
};

/// Longest set id (Route 53 `SetIdentifier`).
const ID_CHARS: usize = 128;
/// Keys that make one set.
const DATA_KEYS: [&str; 3] = ["values", "alias", "health-check"];

/// What the sets of one record share.
pub(super) struct SetContext<'a> {
    pub(super) types: &'a [Spanned<RecordType>],
    /// `None` when it was refused: policy keys are then read without complaint.
    pub(super) policy: Option<Policy>,
    pub(super) listeners: &'a [Listener],
    /// The collection of an ip-based record; `None` when it cannot be used.
    pub(super) collection: Option<&'a CidrCollection>,
    pub(super) regions: &'a [Region],
    pub(super) all_down: AllDown,
    pub(super) numbers: &'a Numbers,
}

/// Resolves a record's sets; those that cannot be are left out.
pub(super) fn resolve(
    record: &mut Reader<'_>,
    context: &SetContext<'_>,
    names: &mut Names,
) -> Vec<RecordSet> {
    match context.policy {
        Some(Policy::Simple) => simple(record, context, names),
        _ => listed(record, context, names),
    }
}

fn simple(record: &mut Reader<'_>, context: &SetContext<'_>, names: &mut Names) -> Vec<RecordSet> {
    if let Some(span) = record.key_span("sets") {
        record.take("sets");
        record.scope().report(
            Diagnostic::error("sets-without-policy", span, format!("{} has `sets`, but is simple", record.title()))
                .consequence("it would not be known how to choose between the sets")
                .help("add `policy = \"weighted\"`, `\"failover\"` or `\"multivalue\"`; a simple record takes `values` or `alias`"),
        );
        for key in DATA_KEYS {
            record.take(key);
        }
        return Vec::new();
    }
    let data = data(record, context, names);
    if let Some(span) = record.key_span("health-check") {
        health_check(record, names);
        record.scope().report(
            Diagnostic::warning(
                "no-effect",
                span,
                format!("`health-check` of {} has no effect", record.title()),
            )
            .consequence("a simple record is answered whatever its health, as in Route 53")
            .help("use policy `failover` or `multivalue`, or remove it"),
        );
    }
    let span = record.span();
    data.into_iter()
        .map(|data| RecordSet {
            id: String::new(),
            span,
            data,
            weight: 0,
            failover: None,
            audience: Audience::Everyone,
            health_check: None,
            dial: 100,
            fallback: false,
        })
        .collect()
}

fn listed(record: &mut Reader<'_>, context: &SetContext<'_>, names: &mut Names) -> Vec<RecordSet> {
    let policy = context.policy.map_or("routed", Policy::as_str);
    for key in DATA_KEYS {
        record.misplaced(
            key,
            &format!("a {policy} record is made of sets"),
            "write `sets = [{ id = \"…\", values = […] }]`",
        );
    }
    record.missing(
        "sets",
        "there would be nothing to answer with",
        "add `sets = [{ id = \"a\", values = [\"192.0.2.10\"] }]`",
    );
    let tables = record.tables("sets");
    if record.has("sets") && record.is_empty_or_absent("sets") {
        let span = record.key_span("sets").unwrap_or(record.span());
        record.bad_value(
            span,
            format!("`sets` of {} is empty", record.title()),
            "list at least one set",
        );
    }
    let mut ids: HashMap<String, Span> = HashMap::new();
    let mut sets = Vec::new();
    let mut whole = true;
    for table in tables {
        match set(record, table, context, names, &mut ids) {
            Some(set) => sets.push(set),
            None => whole = false,
        }
    }
    if context.policy == Some(Policy::Failover) && whole && !sets.is_empty() {
        check_roles(record, &sets);
    }
    if context.policy.is_some() && whole {
        beyond::check_fallback(record, context.all_down, &sets);
    }
    audience::check_unique(record, &sets);
    sets
}

fn set(
    record: &Reader<'_>,
    table: &Table,
    context: &SetContext<'_>,
    names: &mut Names,
    ids: &mut HashMap<String, Span>,
) -> Option<RecordSet> {
    let title = format!("a set of {}", record.title());
    let mut reader = Reader::new(record.scope(), table, Section::Set, title);
    if context.policy.is_none() {
        reader.pass_later_keys();
    }
    let id = set_id(&mut reader, record, ids);
    if beyond::is_fallback(&mut reader) {
        return fallback(reader, table.span, id?, context, names);
    }
    let (weight, failover) = policy_keys(&mut reader, context);
    let audience = audience::resolve(&mut reader, context, names);
    let dial = beyond::dial(&mut reader, context);
    let data = data(&mut reader, context, names);
    check_data(&reader, context, data.as_ref());
    let health_check = health_check(&mut reader, names);
    let needs_check = failover == Some(FailoverRole::Primary) && !reader.has("health-check");
    if needs_check && matches!(data, Some(SetData::Values(_))) {
        primary_without_check(&reader);
    }
    reader.finish();
    let role_is_known = context.policy != Some(Policy::Failover) || failover.is_some();
    if !role_is_known {
        return None;
    }
    Some(RecordSet {
        id: id?,
        span: table.span,
        data: data?,
        weight,
        failover,
        audience: audience?,
        health_check,
        dial,
        fallback: false,
    })
}

/// A set that answers when no other is healthy: data, and no say of the policy.
fn fallback(
    mut reader: Reader<'_>,
    span: Span,
    id: String,
    context: &SetContext<'_>,
    names: &mut Names,
) -> Option<RecordSet> {
    beyond::refuse_policy_keys(&mut reader);
    let data = data(&mut reader, context, names);
    check_data(&reader, context, data.as_ref());
    reader.finish();
    Some(RecordSet {
        id,
        span,
        data: data?,
        weight: 0,
        failover: None,
        audience: Audience::Everyone,
        health_check: None,
        dial: 100,
        fallback: true,
    })
}

fn set_id(
    reader: &mut Reader<'_>,
    record: &Reader<'_>,
    ids: &mut HashMap<String, Span>,
) -> Option<String> {
    reader.missing(
        "id",
        "logs, metrics and `why` could not name the set",
        "add `id = \"…\"`, unique in the record",
    );
    let id = reader.text("id")?;
    let length = id.value.chars().count();
    if length == 0 || length > ID_CHARS {
        reader.bad_value(
            id.span,
            format!("a set id has 1 to {ID_CHARS} characters, this one {length}"),
            "choose a short word",
        );
        return None;
    }
    if let Some(first) = ids.get(id.value) {
        reader.scope().report(
            Diagnostic::error(
                "duplicate-set-id",
                id.span,
                format!("{} has two sets `{}`", record.title(), id.value),
            )
            .consequence("logs, metrics and `why` could not tell them apart")
            .help("rename one of them")
            .related(*first, "first used here"),
        );
        return None;
    }
    reader.rename(format!("set `{}` of {}", id.value, record.title()));
    ids.insert(id.value.to_owned(), id.span);
    Some(id.value.to_owned())
}

fn policy_keys(reader: &mut Reader<'_>, context: &SetContext<'_>) -> (u8, Option<FailoverRole>) {
    let mut weight = 0;
    let mut role = None;
    if matches!(context.policy, Some(Policy::Weighted) | None) {
        if context.policy.is_some() {
            reader.missing(
                "weight",
                "its share of the answers would not be known",
                "add `weight = 1`; 0 is for sets that answer only when no other can",
            );
        }
        let found = reader.whole("weight", &context.numbers.set_weight);
        weight = found.map_or(0, |found| u8::try_from(found.value).unwrap_or(u8::MAX));
    } else {
        reader.misplaced(
            "weight",
            "only weighted records share by weight",
            "remove it, or use policy `weighted`",
        );
    }
    if matches!(context.policy, Some(Policy::Failover) | None) {
        if context.policy.is_some() {
            reader.missing(
                "failover",
                "it would not be known which set answers first",
                "add `failover = \"primary\"` or `failover = \"secondary\"`",
            );
        }
        let words = [
            ("primary", FailoverRole::Primary),
            ("secondary", FailoverRole::Secondary),
        ];
        if let Choice::Is(found) = reader.choice("failover", &words) {
            role = Some(found.value);
        }
    } else {
        reader.misplaced(
            "failover",
            "only failover records have a primary",
            "remove it, or use policy `failover`",
        );
    }
    (weight, role)
}

/// Values or alias: exactly one of them.
fn data(reader: &mut Reader<'_>, context: &SetContext<'_>, names: &mut Names) -> Option<SetData> {
    let alias = alias::resolve(reader, context, names);
    let values: Vec<Spanned<String>> = reader
        .texts("values")
        .into_iter()
        .map(|text| Spanned::new(text.value.to_owned(), text.span))
        .collect();
    match (reader.key_span("values"), reader.key_span("alias")) {
        (Some(values), Some(alias)) => {
            reader.scope().report(
                Diagnostic::error(
                    "set-data",
                    alias,
                    format!("{} has both `values` and `alias`", reader.title()),
                )
                .consequence("it would not be known which of the two to answer with")
                .help("keep one of them")
                .related(values, "values here"),
            );
            None
        }
        (None, None) => {
            reader.scope().report(
                Diagnostic::error(
                    "set-data",
                    reader.span(),
                    format!("{} has neither `values` nor `alias`", reader.title()),
                )
                .consequence("there would be nothing to answer with")
                .help("add `values = [\"192.0.2.10\"]`, or `alias = { listener = \"…\" }`"),
            );
            None
        }
        (None, Some(_)) => alias.map(SetData::Alias),
        (Some(span), None) => {
            if reader.is_empty_or_absent("values") {
                reader.bad_value(
                    span,
                    format!("`values` of {} is empty", reader.title()),
                    "list at least one value",
                );
            }
            (!values.is_empty()).then_some(SetData::Values(values))
        }
    }
}

fn check_data(reader: &Reader<'_>, context: &SetContext<'_>, data: Option<&SetData>) {
    match data {
        Some(SetData::Alias(alias)) if context.policy == Some(Policy::Multivalue) => {
            reader.scope().report(
                Diagnostic::error("policy-not-for-type", alias.span, format!("{} is an alias, in a multivalue record", reader.title()))
                    .consequence("an alias may stand for several values, so eight could not be chosen; Route 53 refuses it too")
                    .help("use policy `weighted` with equal weights, or list the values"),
            );
        }
        Some(SetData::Values(values))
            if context.types.iter().any(|t| t.value == RecordType::CNAME) =>
        {
            if let [_, second, ..] = values.as_slice() {
                reader.scope().report(
                    Diagnostic::error(
                        "policy-not-for-type",
                        second.span,
                        format!("{} has several values of a CNAME", reader.title()),
                    )
                    .consequence(
                        "a name can be an alias of one other name only (RFC 2181 section 10.1)",
                    )
                    .help("make a set of each value"),
                );
            }
        }
        _ => {}
    }
}

fn health_check(reader: &mut Reader<'_>, names: &mut Names) -> Option<CheckIdx> {
    let value = reader.take("health-check")?;
    if let Kind::Table(_) = &value.kind {
        let help = "define it with [[health-check]] and write its name here";
        reader.bad_value(
            value.span,
            "`health-check` takes the name of one".to_owned(),
            help,
        );
        return None;
    }
    let name = reader.as_text("health-check", value)?;
    names.checks.find(name, reader.scope())
}

fn primary_without_check(reader: &Reader<'_>) {
    reader.scope().report(
        Diagnostic::error(
            "failover-without-health-check",
            reader.span(),
            format!("{} is primary and has no `health-check`", reader.title()),
        )
        .consequence("it would always count as healthy, so the secondary would never answer")
        .help("add `health-check = \"…\"`, or make it an alias whose target's health counts"),
    );
}

fn check_roles(record: &Reader<'_>, sets: &[RecordSet]) {
    for (role, word) in [
        (FailoverRole::Primary, "primary"),
        (FailoverRole::Secondary, "secondary"),
    ] {
        let of_role: Vec<&RecordSet> = sets
            .iter()
            .filter(|set| set.failover == Some(role))
            .collect();
        let report =
            |span: Span, message: String, consequence: &str, help: String, first: Option<Span>| {
                let mut problem = Diagnostic::error("failover-roles", span, message)
                    .consequence(consequence)
                    .help(help);
                if let Some(first) = first {
                    problem = problem.related(first, format!("the first {word}"));
                }
                record.scope().report(problem);
            };
        match of_role.as_slice() {
            [_] => {}
            [] => report(
                record.span(),
                format!("{} has no {word} set", record.title()),
                "there would be nothing to fail over between",
                format!("add a set with `failover = \"{word}\"`"),
                None,
            ),
            [first, second, ..] => report(
                second.span,
                format!("{} has two {word} sets", record.title()),
                "it would not be known which of them answers",
                "keep one primary and one secondary; for more use an alias to a weighted record"
                    .to_owned(),
                Some(first.span),
            ),
        }
    }
}
