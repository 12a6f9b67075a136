//! Rules in words, each with what of it holds for a request. For people asking, never for traffic.

use std::net::IpAddr;

use super::condition::Condition;
use super::{MAX_HOST, subject};
use crate::explain::{ConditionReport, RuleReport};
use crate::l7::http1::RequestHead;

/// Every rule, and which of its conditions hold.
pub(crate) fn explain_rules(
    rules: &[conf::Rule],
    head: &RequestHead<'_, '_>,
    peer: IpAddr,
) -> Vec<RuleReport> {
    let mut lowered = [0; MAX_HOST];
    let Some(subject) = subject(head, &mut lowered, peer, 0) else {
        return Vec::new();
    };
    let report = |rule: &conf::Rule| {
        let conditions = rule.conditions.iter().map(|condition| ConditionReport {
            condition: condition.to_string(),
            holds: Condition::new(condition, 1).holds(&subject),
        });
        let conditions: Vec<_> = conditions.collect();
        RuleReport {
            priority: rule.priority,
            holds: conditions.iter().all(|condition| condition.holds),
            conditions,
        }
    };
    rules.iter().map(report).collect()
}
