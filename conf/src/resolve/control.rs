//! `[[routing-control]]` and `[[safety-rule]]`: Route 53 ARC's switches and what guards them.
//!
//! Controls are read before the health checks that look at them, rules after the controls.

use std::time::Duration;

use super::Names;
use super::directory::Directory;
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{ControlIdx, Diagnostic, Profile, RoutingControl, SafetyRule, SafetyRuleKind, Spanned};

/// Controls of one file. Every change of one evaluates rules over all of them, on the board's task.
const MAX_CONTROLS: usize = 1000;
/// ARC's `WaitPeriodMs` unless it is given.
const ARC_WAIT: Duration = Duration::from_secs(5);
/// The two kinds.
const KINDS: [(&str, Kind); 2] = [("assertion", Kind::Assertion), ("gating", Kind::Gating)];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Assertion,
    Gating,
}

/// Resolves every `[[routing-control]]`.
pub(super) fn controls(root: &mut Reader<'_>, names: &mut Names) -> Vec<RoutingControl> {
    let mut controls = Vec::new();
    for table in root.tables("routing-control") {
        let title = "this routing control";
        let mut reader = Reader::new(root.scope(), table, Section::RoutingControl, title);
        let name = names.controls.declare(&mut reader);
        let initially_on = reader
            .choice("initial", &[("on", true), ("off", false)])
            .value_or(false);
        reader.finish();
        let Some(name) = name else { continue };
        if controls.len() == MAX_CONTROLS {
            let message = format!("there are more than {MAX_CONTROLS} routing controls");
            let help = "let several checks look at one control";
            root.bad_value(name.span, message, help);
            break;
        }
        names.controls.place(name.value, ControlIdx(controls.len()));
        controls.push(RoutingControl {
            name: name.value.to_owned(),
            span: name.span,
            initially_on,
        });
    }
    controls
}

/// Resolves every `[[safety-rule]]`.
pub(super) fn rules(
    root: &mut Reader<'_>,
    profile: Profile,
    controls: &[RoutingControl],
    names: &mut Names,
) -> Vec<SafetyRule> {
    let mut own: Directory<()> = Directory::new("safety rule", "[[safety-rule]]");
    let mut rules = Vec::new();
    for table in root.tables("safety-rule") {
        let title = "this safety rule";
        let mut reader = Reader::new(root.scope(), table, Section::SafetyRule, title);
        let name = own.declare(&mut reader);
        let rule = rule(&mut reader, name, profile, names);
        reader.finish();
        if let Some(rule) = rule {
            warn_of_initial_states(root, &rule, controls);
            rules.push(rule);
        }
    }
    rules
}

fn rule(
    reader: &mut Reader<'_>,
    name: Option<Spanned<&str>>,
    profile: Profile,
    names: &mut Names,
) -> Option<SafetyRule> {
    let consequence = "it would not be known which changes it refuses";
    let help = "add `type = \"assertion\"` or `type = \"gating\"`";
    reader.missing("type", consequence, help);
    let inverted = reader.flag("inverted").is_some_and(|flag| flag.value);
    let wait_period = wait_period(reader, profile);
    let kind = match reader.choice("type", &KINDS) {
        Choice::Is(kind) => kind.value,
        _ => {
            for key in ["asserted-controls", "gating-controls", "target-controls"] {
                reader.take(key);
            }
            reader.take("threshold");
            return None;
        }
    };
    let (counted, kind) = match kind {
        Kind::Assertion => {
            let why = "an assertion rule counts the controls that it guards";
            for key in ["gating-controls", "target-controls"] {
                reader.misplaced(key, why, "use `asserted-controls`, or type `gating`");
            }
            let counted = named(reader, "asserted-controls", names);
            (counted, Some(SafetyRuleKind::Assertion))
        }
        Kind::Gating => {
            let why = "a gating rule counts some controls and guards others";
            let help = "use `gating-controls` and `target-controls`, or type `assertion`";
            reader.misplaced("asserted-controls", why, help);
            let counted = named(reader, "gating-controls", names);
            let targets = named(reader, "target-controls", names);
            (counted, targets.map(SafetyRuleKind::Gating))
        }
    };
    let threshold = threshold(reader, counted.as_ref().map(Vec::len));
    let (name, kind, counted) = (name?, kind?, counted?);
    Some(SafetyRule {
        name: name.value.to_owned(),
        span: name.span,
        kind,
        counted,
        threshold: threshold?,
        inverted,
        wait_period,
    })
}

/// The controls that a key names; `None`, the problem reported, when there is none to be used.
fn named(reader: &mut Reader<'_>, key: &str, names: &mut Names) -> Option<Vec<ControlIdx>> {
    let help = format!("add `{key} = [\"…\", \"…\"]`, names of routing controls");
    reader.missing(key, "no control would be meant", &help);
    let texts = reader.texts(key);
    if reader.has(key) && reader.is_empty_or_absent(key) {
        let span = reader.key_span(key).unwrap_or(reader.span());
        let message = format!("`{key}` of {} is empty", reader.title());
        reader.bad_value(span, message, "name at least one routing control");
        return None;
    }
    let mut found = Vec::new();
    let mut whole = true;
    for name in texts {
        match names.controls.find(name, reader.scope()) {
            Some(index) if found.contains(&index) => {
                let message = format!("`{}` is named twice", name.value);
                reader.bad_value(name.span, message, "name each routing control once");
            }
            Some(index) => found.push(index),
            None => whole = false,
        }
    }
    (whole && !found.is_empty()).then_some(found)
}

fn threshold(reader: &mut Reader<'_>, counted: Option<usize>) -> Option<usize> {
    let consequence = "it would not be known how many controls must be on";
    let help = "add `threshold = 1` for any of them, their number for all";
    reader.missing("threshold", consequence, help);
    let limit = Limit {
        default: 1,
        min: 1,
        max: counted.unwrap_or(MAX_CONTROLS) as u64,
        why: "the rule would be met always, or never",
    };
    let found = reader.whole("threshold", &limit)?;
    usize::try_from(found.value).ok()
}

fn wait_period(reader: &mut Reader<'_>, profile: Profile) -> Duration {
    let limit = Limit {
        default: match profile {
            Profile::Local => Duration::ZERO,
            Profile::Aws => ARC_WAIT,
        },
        min: Duration::ZERO,
        max: Duration::from_secs(3600),
        why: "the controls could hardly be changed at all",
    };
    reader.duration_or("wait-period", &limit)
}

/// Controls may begin in a state that the rule would never let them be turned to.
fn warn_of_initial_states(root: &Reader<'_>, rule: &SafetyRule, controls: &[RoutingControl]) {
    if rule.kind != SafetyRuleKind::Assertion {
        return;
    }
    let on = |index: &&ControlIdx| {
        controls
            .get(index.0)
            .is_some_and(|control| control.initially_on)
    };
    let on = rule.counted.iter().filter(on).count();
    if !rule.is_met(on) {
        let message = format!(
            "safety rule `{}` is not met by the initial states: {on} of {} controls are on",
            rule.name,
            rule.counted.len()
        );
        root.scope().report(
            Diagnostic::warning("initial-states", rule.span, message)
                .consequence(
                    "what the rule shall prevent is how the controls begin, until enough of them are turned in one change",
                )
                .help("give the controls an `initial` that meets it"),
        );
    }
}
