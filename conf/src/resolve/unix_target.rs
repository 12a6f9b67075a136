//! Targets at Unix sockets: those that their group's settings leave no way to, and records that would
//! answer with addresses that they do not have.
//!
//! Called with the resolved group, and with the whole. What is wrong with a target is said there, since
//! that is what differs from the group's others.

use crate::tree::Scope;
use crate::{AliasTarget, Config, Diagnostic, SetData, Span, TargetGroup};

/// Reports each of them.
pub(super) fn check(group: &TargetGroup, scope: &Scope<'_>) {
    for target in &group.targets {
        let Some(misfit) = group.misfit(target.address) else {
            continue;
        };
        let message = format!(
            "`{}` cannot be a target of {} group `{}`: {}",
            target.address,
            group.protocol.as_str(),
            group.name,
            misfit.why
        );
        scope.report(
            Diagnostic::error("unix-target", target.span, message)
                .consequence("it would get no work, or not the work that the file promises")
                .help(misfit.help),
        );
    }
}

/// Reports aliases and hints that name a group whose every target is at a Unix socket: DNS answers
/// with addresses, and those have none.
pub(super) fn check_answers(config: &Config, scope: &Scope<'_>) {
    let zones = config.dns.iter().flat_map(|dns| &dns.zones);
    for record in zones.flat_map(|zone| &zone.records) {
        let aliases = record.sets.iter().filter_map(|set| match &set.data {
            SetData::Alias(alias) => match &alias.target {
                AliasTarget::TargetGroup(group) => Some((*group, alias.span)),
                AliasTarget::Listener(_) | AliasTarget::Record(_) => None,
            },
            SetData::Values(_) => None,
        });
        let hints = record.hints.map(|group| (group, record.span));
        for (group, span) in aliases.chain(hints) {
            let group = config.target_groups.get(group.0);
            if let Some(group) = group.filter(|group| has_no_address(group)) {
                scope.report(without_address(group, span));
            }
        }
    }
}

/// Names and files may bring targets over IP later.
fn has_no_address(group: &TargetGroup) -> bool {
    let mut targets = group.targets.iter();
    group.sources.is_empty()
        && !group.targets.is_empty()
        && targets.all(|target| target.address.unix().is_some())
}

fn without_address(group: &TargetGroup, span: Span) -> Diagnostic {
    let message = format!("every target of group `{}` is at a Unix socket", group.name);
    Diagnostic::error("no-target-address", span, message)
        .consequence("DNS would have no address to answer with")
        .help("name the listener that forwards to the group: `alias = { listener = \"…\" }`")
        .related(group.span, "the group")
}
