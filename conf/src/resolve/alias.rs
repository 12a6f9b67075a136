//! Aliases: what one stands for, and that aliases between records lead somewhere and never in a
//! circle.

use std::collections::HashMap;

use super::Names;
use super::record::ZoneContext;
use super::sets::SetContext;
use crate::known;
use crate::section::Section;
use crate::suggest;
use crate::tree::{Reader, Scope};
use crate::{
    Alias, AliasTarget, Diagnostic, ListenerIdx, Record, RecordType, SetData, Span, Spanned,
};

const KEYS: [&str; 3] = ["listener", "target-group", "record"];

/// Reads the `alias` key of a record or set.
pub(super) fn resolve(
    reader: &mut Reader<'_>,
    context: &SetContext<'_>,
    names: &mut Names,
) -> Option<Alias> {
    let table = reader.table("alias")?;
    let title = format!("the alias of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::Alias, title);
    let given = KEYS.iter().filter(|key| inner.has(key)).count();
    if given != 1 {
        inner.scope().report(
            Diagnostic::error(
                "alias-target",
                table.span,
                format!(
                    "{} must name one listener, target group or record",
                    inner.title()
                ),
            )
            .consequence("it would not be known what to answer with")
            .help(
                "write `{ listener = \"…\" }`, `{ target-group = \"…\" }` or `{ record = \"…\" }`",
            ),
        );
    }
    let target = target(&mut inner, context, names);
    let evaluate = inner.flag("evaluate-target-health");
    inner.finish();
    Some(Alias {
        target: target.filter(|_| given == 1)?,
        evaluate_target_health: evaluate.is_none_or(|flag| flag.value),
        span: table.span,
    })
}

fn target(
    reader: &mut Reader<'_>,
    context: &SetContext<'_>,
    names: &mut Names,
) -> Option<AliasTarget> {
    let listener = reader.text("listener");
    let group = reader.text("target-group");
    let record = reader.text("record");
    if let Some(name) = listener {
        check_address_type(reader, context, false);
        let span = name.span;
        let index = names.listeners.find(name, reader.scope())?;
        check_advertised(reader, context, index, span);
        return Some(AliasTarget::Listener(index));
    }
    if let Some(name) = group {
        check_address_type(reader, context, true);
        let index = names.groups.find(name, reader.scope())?;
        return Some(AliasTarget::TargetGroup(index));
    }
    let name = record?;
    let refused = [RecordType::NS, RecordType::SOA];
    if let Some(found) = context.types.iter().find(|t| refused.contains(&t.value)) {
        reader.scope().report(wrong_type(
            found,
            "no alias stands for those of another name",
            "list the values",
        ));
    }
    Some(AliasTarget::Record(Spanned::new(
        name.value.to_owned(),
        name.span,
    )))
}

fn wrong_type(found: &Spanned<RecordType>, why: &str, help: &str) -> Diagnostic {
    Diagnostic::error(
        "alias-type",
        found.span,
        format!("{} records cannot be this alias: {why}", found.value),
    )
    .consequence("there would be no value of that type to answer with")
    .help(help)
}

fn check_address_type(reader: &Reader<'_>, context: &SetContext<'_>, of_group: bool) {
    for found in context.types {
        let later = [RecordType::SRV, RecordType::HTTPS, RecordType::SVCB];
        let problem = match found.value {
            RecordType::A | RecordType::AAAA => continue,
            other if of_group && later.contains(&other) => {
                let text = known::Text {
                    missing: "the targets' ports would not be answered",
                    instead: "use types A and AAAA",
                };
                let what = format!("the alias of type {other} to a target group");
                known::refuse(&what, found.span, text)
            }
            _ => wrong_type(found, "it has addresses only", "use types A and AAAA"),
        };
        reader.scope().report(problem);
    }
}

fn check_advertised(reader: &Reader<'_>, context: &SetContext<'_>, index: ListenerIdx, span: Span) {
    let Some(listener) = context.listeners.get(index.0) else {
        return;
    };
    if listener.advertise.is_empty() {
        let why = match listener.binds.is_empty() {
            true => "has no address but a Unix socket",
            false => "is bound to all addresses",
        };
        let mut problem = Diagnostic::error(
            "no-advertised-address",
            span,
            format!("listener `{}` {why} and advertises none", listener.name),
        )
        .consequence("DNS would have no address to answer with")
        .help("add `advertise = [\"192.0.2.1\"]` to the listener: the addresses its clients reach");
        if let Some(bind) = listener.binds.first() {
            problem = problem.related(bind.span, "bound to all addresses here");
        }
        reader.scope().report(problem);
    }
}

/// A record in the graph of aliases.
type Node = (String, RecordType);

/// Checks every alias to a record of one zone. `incomplete`: some records could not be resolved, so
/// that a missing one may be among them.
pub(super) fn check_graph(
    records: &[Record],
    zone: &ZoneContext,
    incomplete: bool,
    scope: &Scope<'_>,
) {
    let mut edges: HashMap<Node, Vec<(Node, Span)>> = HashMap::new();
    for record in records {
        for found in &record.types {
            let from = (zone.absolute(&record.name), found.value);
            edges
                .entry(from)
                .or_default()
                .extend(targets(record, found.value, zone));
        }
    }
    let mut order: Vec<&Node> = edges.keys().collect();
    order.sort();
    for from in &order {
        for (to, span) in edges.get(*from).into_iter().flatten() {
            if !zone.contains(&to.0) {
                scope.report(outside(to, *span));
            } else if !edges.contains_key(to) && !zone.has_file && !incomplete {
                scope.report(missing(to, *span, &order));
            }
        }
    }
    Cycles::new(&edges).report(&order, scope);
}

fn targets(record: &Record, of_type: RecordType, zone: &ZoneContext) -> Vec<(Node, Span)> {
    let mut found = Vec::new();
    for set in &record.sets {
        if let SetData::Alias(Alias {
            target: AliasTarget::Record(name),
            ..
        }) = &set.data
        {
            found.push(((zone.absolute(name), of_type), name.span));
        }
    }
    found
}

fn outside(to: &Node, span: Span) -> Diagnostic {
    Diagnostic::error(
        "outside-zone",
        span,
        format!("`{}` is not in this zone", to.0),
    )
    .consequence("an alias can only stand for a record of its own zone")
    .help("use a CNAME record for names elsewhere")
}

fn missing(to: &Node, span: Span, order: &[&Node]) -> Diagnostic {
    let (name, of_type) = to;
    let names = order
        .iter()
        .filter(|node| node.1 == *of_type)
        .map(|node| node.0.as_str());
    Diagnostic::error(
        "alias-target-missing",
        span,
        format!("there is no record `{name}` of type {of_type} to stand for"),
    )
    .consequence("the alias would answer with nothing")
    .help(suggest::help(
        name,
        names,
        &format!("records of type {of_type}"),
        "add the record, with the alias's own type",
    ))
}

/// Finds circles by walking each path once, depth first.
struct Cycles<'g> {
    edges: &'g HashMap<Node, Vec<(Node, Span)>>,
    done: HashMap<&'g Node, bool>,
}

impl<'g> Cycles<'g> {
    fn new(edges: &'g HashMap<Node, Vec<(Node, Span)>>) -> Self {
        Self {
            edges,
            done: HashMap::new(),
        }
    }

    fn report(mut self, order: &[&'g Node], scope: &Scope<'_>) {
        for start in order {
            if !self.done.contains_key(start) {
                self.walk(start, scope);
            }
        }
    }

    /// Walks with a stack of its own: chains may be as long as the file.
    fn walk(&mut self, start: &'g Node, scope: &Scope<'_>) {
        let mut path: Vec<(&'g Node, usize)> = vec![(start, 0)];
        self.done.insert(start, false);
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some((to, span)) = self.edges.get(node).and_then(|edges| edges.get(*next)) else {
                self.done.insert(node, true);
                path.pop();
                continue;
            };
            *next += 1;
            match self.done.get(to) {
                Some(true) => {}
                Some(false) => {
                    let from = path.iter().position(|(on, _)| *on == to).unwrap_or(0);
                    let circle = path.iter().skip(from).map(|(on, _)| *on);
                    scope.report(cycle(circle.chain([to]), *span));
                }
                None => {
                    self.done.insert(to, false);
                    path.push((to, 0));
                }
            }
        }
    }
}

fn cycle<'g>(nodes: impl Iterator<Item = &'g Node>, span: Span) -> Diagnostic {
    let chain: Vec<String> = nodes.map(|(name, t)| format!("`{name}` {t}")).collect();
    Diagnostic::error(
        "alias-cycle",
        span,
        format!("aliases go round in a circle: {}", chain.join(" -> ")),
    )
    .consequence("following them would never reach a value")
    .help("let one of them take `values`, or stand for something else")
}
