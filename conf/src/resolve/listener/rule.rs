//! `[[listener.rule]]`: priority, conditions, action.

use std::sync::Arc;

use super::action::{self, Scene};
use super::{condition, jwt, limit, rewrite};
use crate::document::Table;
use crate::resolve::defaults::RuleLimits;
use crate::section::Section;
use crate::tree::{Limit, Reader};
use crate::{Diagnostic, Gate, JwtValidation, ListenerProtocol, Rule, Span, Spanned};

/// Every rule of a listener, lowest priority first.
pub(super) fn resolve(
    listener: &mut Reader<'_>,
    limits: &RuleLimits,
    inherited: Option<&Arc<JwtValidation>>,
    scene: &mut Scene<'_>,
) -> Vec<Rule> {
    let routes = |protocol: &ListenerProtocol| protocol.is_http() || protocol.routes_by_tls();
    if let Some(protocol) = scene.protocol.filter(|protocol| !routes(protocol)) {
        let why = format!("a {} listener reads no requests", protocol.as_str());
        let help = "make one listener and one group for each service";
        listener.misplaced("rule", &why, help);
        return Vec::new();
    }
    let tables = listener.tables("rule");
    if let Some(one_more) = tables.get(limits.per_listener) {
        too_many(listener, one_more.span, tables.len(), limits.per_listener);
    }
    let mut seen: Vec<Spanned<u64>> = Vec::new();
    let mut rules: Vec<Rule> = Vec::new();
    for table in tables {
        rules.extend(rule(listener, table, limits, inherited, scene, &mut seen));
    }
    rules.sort_by_key(|rule| rule.priority);
    rules
}

fn rule(
    listener: &Reader<'_>,
    table: &Table,
    limits: &RuleLimits,
    inherited: Option<&Arc<JwtValidation>>,
    scene: &mut Scene<'_>,
    seen: &mut Vec<Spanned<u64>>,
) -> Option<Rule> {
    let title = format!("a rule of {}", listener.title());
    let mut reader = Reader::new(listener.scope(), table, Section::Rule, title);
    let priority = priority(&mut reader, listener.title(), seen);
    let by_tls = scene.protocol.filter(|protocol| protocol.routes_by_tls());
    let (conditions, action) = match by_tls {
        Some(protocol) => (
            condition::read_tls(&mut reader, protocol.as_str(), limits),
            action::of_listener(&mut reader, scene),
        ),
        None => {
            let conditions = condition::read(&mut reader, limits);
            let action = action::read(&mut reader, &conditions, scene);
            (conditions, action)
        }
    };
    let gate = Gate {
        jwt: jwt::of_rule(&mut reader, by_tls.is_none(), inherited),
        limits: limit::read(&mut reader, by_tls.is_none()),
        rewrites: rewrite::read(&mut reader, action.as_ref(), by_tls.is_none()),
    };
    let span = reader.span();
    reader.finish();
    (!conditions.is_empty()).then_some(Rule {
        priority: u16::try_from(priority?).ok()?,
        span,
        conditions,
        action: action?,
        gate,
    })
}

fn priority(reader: &mut Reader<'_>, listener: &str, seen: &mut Vec<Spanned<u64>>) -> Option<u64> {
    reader.missing(
        "priority",
        "it would not be known which rule is looked at first",
        "add `priority = 10`: the lowest is looked at first",
    );
    let limit = Limit {
        default: 1,
        min: 1,
        max: 50_000,
        why: "ELB priorities go from 1 to 50000",
    };
    let priority = reader.whole("priority", &limit)?;
    reader.rename(format!("rule {} of {listener}", priority.value));
    if let Some(first) = seen.iter().find(|first| first.value == priority.value) {
        let message = format!("{listener} has two rules of priority {}", priority.value);
        reader.scope().report(
            Diagnostic::error("duplicate-priority", priority.span, message)
                .consequence("it would not be known which of them is looked at first")
                .help("give each rule of a listener its own priority")
                .related(first.span, "first used here"),
        );
        return None;
    }
    seen.push(priority);
    Some(priority.value)
}

fn too_many(listener: &Reader<'_>, span: Span, count: usize, most: usize) {
    let message = format!("{} has {count} rules, more than {most}", listener.title());
    listener.scope().report(
        Diagnostic::error("too-many-rules", span, message)
            .consequence("every request would be compared with all of them")
            .help("let one rule take several values, or split the listener"),
    );
}
