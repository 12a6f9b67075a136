//! Who uses what: from a listener, group or check to the listeners and records that name it.
//!
//! Read off the configuration for each answer; objects are few and answers are rare.

use conf::{AliasTarget, CheckIdx, Config, ControlIdx, GroupIdx, HealthCheckKind};
use conf::{ListenerIdx, RecordSet, SetData};

/// Users of a target group: `listener/NAME`, `record/ZONE/NAME`, `health-check/NAME`.
pub(super) fn of_group(config: &Config, group: GroupIdx) -> Vec<String> {
    let forwards = config
        .listeners
        .iter()
        .filter(|listener| listener.groups().contains(&group));
    let mut users: Vec<String> = forwards
        .map(|listener| format!("listener/{}", listener.name))
        .collect();
    let alias = AliasTarget::TargetGroup(group);
    users.extend(records(config, |set| aliases(set, &alias)));
    let looks = |kind: &HealthCheckKind| *kind == HealthCheckKind::TargetGroup(group);
    users.extend(checks(config, looks));
    users
}

/// Users of a listener: records.
pub(super) fn of_listener(config: &Config, listener: ListenerIdx) -> Vec<String> {
    let alias = AliasTarget::Listener(listener);
    records(config, |set| aliases(set, &alias))
}

/// Users of a standalone check: records, and calculated checks.
pub(super) fn of_check(config: &Config, check: CheckIdx) -> Vec<String> {
    let mut users = records(config, |set| set.health_check == Some(check));
    let counts = |kind: &HealthCheckKind| match kind {
        HealthCheckKind::Calculated { children, .. } => children.contains(&check),
        HealthCheckKind::Endpoint(_)
        | HealthCheckKind::TargetGroup(_)
        | HealthCheckKind::RoutingControl(_)
        | HealthCheckKind::Metric(_) => false,
    };
    users.extend(checks(config, counts));
    users
}

/// Users of a routing control: checks, and safety rules that count or guard it.
pub(super) fn of_control(config: &Config, control: ControlIdx) -> Vec<String> {
    let looks = |kind: &HealthCheckKind| *kind == HealthCheckKind::RoutingControl(control);
    let mut users: Vec<String> = checks(config, looks).collect();
    let rules = config.safety_rules.iter();
    let names =
        rules.filter(|rule| rule.counted.contains(&control) || rule.guarded().contains(&control));
    users.extend(names.map(|rule| format!("safety-rule/{}", rule.name)));
    users
}

/// Standalone checks that look at something.
fn checks(
    config: &Config,
    looks: impl Fn(&HealthCheckKind) -> bool,
) -> impl Iterator<Item = String> {
    let all = config.health_checks.iter();
    all.filter(move |check| looks(&check.kind))
        .map(|check| format!("health-check/{}", check.name))
}

fn aliases(set: &RecordSet, wanted: &AliasTarget) -> bool {
    matches!(&set.data, SetData::Alias(alias) if alias.target == *wanted)
}

/// Records of which a set is wanted, each once.
fn records(config: &Config, wanted: impl Fn(&RecordSet) -> bool) -> Vec<String> {
    let mut users = Vec::new();
    for zone in config.dns.iter().flat_map(|dns| &dns.zones) {
        for record in &zone.records {
            let user = format!("record/{}/{}", zone.id, record.name.value);
            if record.sets.iter().any(&wanted) && !users.contains(&user) {
                users.push(user);
            }
        }
    }
    users
}
