//! Who uses what: from a listener, group or check to the listeners and records that name it.
//!
//! Read off the configuration for each answer; objects are few and answers are rare.

use conf::{Action, AliasTarget, CheckIdx, Config, GroupIdx, ListenerIdx, RecordSet, SetData};

/// Users of a target group: `listener/NAME`, `record/ZONE/NAME`.
pub(super) fn of_group(config: &Config, group: GroupIdx) -> Vec<String> {
    let forwards = config
        .listeners
        .iter()
        .filter(|listener| listener.default_action == Action::Forward(group));
    let mut users: Vec<String> = forwards
        .map(|listener| format!("listener/{}", listener.name))
        .collect();
    let alias = AliasTarget::TargetGroup(group);
    users.extend(records(config, |set| aliases(set, &alias)));
    users
}

/// Users of a listener: records.
pub(super) fn of_listener(config: &Config, listener: ListenerIdx) -> Vec<String> {
    let alias = AliasTarget::Listener(listener);
    records(config, |set| aliases(set, &alias))
}

/// Users of a standalone check: records.
pub(super) fn of_check(config: &Config, check: CheckIdx) -> Vec<String> {
    records(config, |set| set.health_check == Some(check))
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
