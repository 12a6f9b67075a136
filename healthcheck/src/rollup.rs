//! A group's roll-up from its registered targets. Pure; called by the board before it publishes.
//!
//! - Operator-drained targets are registered but never healthy: neither DNS nor routing may count
//!   on them.
//! - Targets of weight 0 count like others: weight decides who is picked, not who is healthy.
//! - Fail-open: too few healthy targets for `unhealthy-state-routing`, and at least one *unhealthy*
//!   target to open to. Initial targets alone never open a group: their first probes decide soon,
//!   and the balancer holds for them. An unhealthy target beside them does open it, because a new
//!   target must not stop a failing group from serving.

use conf::MinimumHealthy;

use crate::{GroupHealth, TargetState};

/// The group's two floors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floors {
    /// `unhealthy-state-routing`
    pub(crate) routing: MinimumHealthy,
    /// `dns-failover`
    pub(crate) dns: MinimumHealthy,
}

/// Sums up the states of a group's registered targets.
pub(crate) fn roll_up(floors: Floors, states: impl Iterator<Item = TargetState>) -> GroupHealth {
    let (mut registered, mut healthy, mut initial, mut unhealthy) = (0, 0, 0, 0);
    for state in states {
        registered += 1;
        match state {
            TargetState::Healthy => healthy += 1,
            TargetState::Initial => initial += 1,
            TargetState::Unhealthy | TargetState::UnhealthyDraining => unhealthy += 1,
            TargetState::Draining | TargetState::Unused | TargetState::Unavailable => {}
        }
    }
    let is_met = |floor: MinimumHealthy| floor.is_met(healthy, registered);
    GroupHealth {
        registered: count(registered),
        healthy: count(healthy),
        initial: count(initial),
        fail_open: unhealthy > 0 && !is_met(floors.routing),
        dns_healthy: registered > 0 && is_met(floors.dns),
    }
}

/// The log line for entering or leaving fail-open; `None` when nothing changed.
pub(crate) fn fail_open_change(
    group: &str,
    floors: Floors,
    before: GroupHealth,
    after: GroupHealth,
) -> Option<String> {
    if before.fail_open == after.fail_open {
        return None;
    }
    let GroupHealth {
        registered,
        healthy,
        ..
    } = after;
    Some(if after.fail_open {
        let needs = needs(floors.routing);
        format!(
            "group {group}: fail-open: {healthy} of {registered} registered targets healthy, \
             unhealthy-state-routing needs {needs}"
        )
    } else {
        format!(
            "group {group}: fail-open ended: {healthy} of {registered} registered targets healthy"
        )
    })
}

fn needs(floor: MinimumHealthy) -> String {
    match (floor.count, floor.percentage) {
        (count, 0) => count.to_string(),
        (0, percentage) => format!("{percentage} %"),
        (count, percentage) => format!("{count} and {percentage} %"),
    }
}

fn count(targets: usize) -> u32 {
    u32::try_from(targets).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use TargetState::{Draining, Healthy, Initial, Unhealthy};

    use super::*;

    fn floor(count: u32, percentage: u8) -> MinimumHealthy {
        MinimumHealthy { count, percentage }
    }

    #[test]
    fn fail_open_and_dns_follow_the_floors_over_registered_targets() {
        let one = floor(1, 0);
        let cases: &[(&[TargetState], MinimumHealthy, MinimumHealthy, bool, bool)] = &[
            (&[], one, one, false, false),
            (&[Initial, Initial], one, one, false, false),
            (&[Unhealthy, Initial], one, one, true, false),
            (&[Unhealthy, Unhealthy], one, one, true, false),
            (&[Healthy, Unhealthy], one, one, false, true),
            (&[Healthy, Unhealthy], floor(2, 0), floor(2, 0), true, false),
            (&[Healthy, Initial], floor(2, 0), floor(2, 0), false, false),
            (&[Healthy, Unhealthy], floor(1, 51), one, true, true),
            (&[Healthy, Unhealthy], floor(1, 50), one, false, true),
            (&[Draining, Unhealthy], one, one, true, false),
            (&[Draining, Draining], one, one, false, false),
            (&[Unhealthy], floor(0, 0), floor(0, 0), false, true),
        ];
        for &(states, routing, dns, fail_open, dns_healthy) in cases {
            let health = roll_up(Floors { routing, dns }, states.iter().copied());
            assert_eq!(health.fail_open, fail_open, "fail-open of {states:?}");
            assert_eq!(health.dns_healthy, dns_healthy, "dns of {states:?}");
        }
    }

    #[test]
    fn entering_and_leaving_fail_open_is_told_with_its_numbers() {
        let floors = Floors {
            routing: floor(1, 50),
            dns: floor(1, 0),
        };
        let up = roll_up(floors, [Healthy, Healthy, Unhealthy].into_iter());
        let down = roll_up(floors, [Unhealthy; 3].into_iter());
        assert_eq!(
            fail_open_change("app", floors, up, down).unwrap(),
            "group app: fail-open: 0 of 3 registered targets healthy, \
             unhealthy-state-routing needs 1 and 50 %"
        );
        assert_eq!(
            fail_open_change("app", floors, down, up).unwrap(),
            "group app: fail-open ended: 2 of 3 registered targets healthy"
        );
        assert_eq!(fail_open_change("app", floors, up, up), None);
    }
}
