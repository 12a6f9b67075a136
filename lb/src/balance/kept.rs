//! The target that a session has, and whether it is kept.
//!
//! Asked before any picker, for requests with a claim (`sticky`) only. Never chooses another target:
//! that is the pickers'.

use conf::Address;

use super::{Pick, Tried};
use crate::snapshot::{Condition, Group};

/// The target that a session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) address: Address,
    /// It is kept while it is drained, too.
    pub(super) honours_draining: bool,
}

impl Group {
    /// The target that a session has, while that takes work. Full, it is waited for: another one
    /// would not know the session.
    pub(super) fn keep(&self, kept: Kept, tried: &Tried) -> Option<Pick<'_>> {
        let mut members = self.members.iter();
        let member = members.find(|member| member.target.address() == kept.address)?;
        let target = &member.target;
        let takes_work = match member.condition {
            Condition::Healthy => member.weight > 0 && !tried.contains_since_hold(target),
            Condition::Unhealthy => self.fail_open && member.weight > 0 && !tried.contains(target),
            Condition::Draining => kept.honours_draining && !tried.contains(target),
            Condition::Initial | Condition::Elsewhere => false,
        };
        (takes_work && !target.is_suspect()).then(|| match self.is_limited && target.is_full() {
            true => Pick::Full,
            false => Pick::Target(target),
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::super::tests::{group, member};
    use super::*;
    use crate::balance::Origin;
    use crate::snapshot::Member;

    const ALGORITHM: conf::Algorithm = conf::Algorithm::RoundRobin;

    /// The ports that eight requests of a session with the target at port 1 go to, in order.
    fn ports(group: &Group, honours_draining: bool, tried: &Tried) -> Vec<u16> {
        let mut rng = SmallRng::seed_from_u64(1);
        let address = group.members[0].target.address();
        assert_eq!(address.port(), Some(1));
        let client = address.socket_addr().unwrap();
        let origin = Origin::tcp(client, client).with_target(address, honours_draining);
        let picked = (0..8).map(|_| match group.pick(&mut rng, &origin, tried) {
            Pick::Target(target) => target.address().port().unwrap(),
            _ => 0,
        });
        picked.collect()
    }

    fn members(first: Member) -> Vec<Member> {
        let others = (2..4).map(|port| member(port, 1, Condition::Healthy));
        std::iter::once(first).chain(others).collect()
    }

    #[test]
    fn a_session_keeps_its_target_as_long_as_that_takes_work() {
        use Condition::{Draining, Elsewhere, Healthy, Initial, Unhealthy};
        let cases = [
            (Healthy, 1, false, true),
            (Healthy, 0, false, false),
            (Unhealthy, 1, false, false),
            (Draining, 1, false, false),
            (Draining, 1, true, true),
            (Draining, 0, true, true),
            (Initial, 1, true, false),
            (Elsewhere, 1, true, false),
        ];
        for (condition, weight, honours, is_kept) in cases {
            let group = group(ALGORITHM, members(member(1, weight, condition)), false);
            let ports = ports(&group, honours, &Tried::default());
            let all = ports.iter().all(|port| *port == 1);
            let none = ports.iter().all(|port| [2, 3].contains(port));
            assert!(if is_kept { all } else { none }, "{condition:?}: {ports:?}");
        }
    }

    #[test]
    fn a_target_that_failed_the_request_is_left_until_it_was_held() {
        let group = group(ALGORITHM, members(member(1, 1, Condition::Healthy)), false);
        let mut tried = Tried::default();
        tried.add(&group.members[0].target);
        assert!(!ports(&group, false, &tried).contains(&1));
        tried.held();
        assert_eq!(ports(&group, false, &tried), [1; 8]);
        let signal = group.members[0].target.signal();
        signal.mark();
        assert!(!ports(&group, false, &Tried::default()).contains(&1));
    }

    #[test]
    fn failing_open_keeps_sessions_and_full_targets_are_waited_for() {
        let open = group(ALGORITHM, members(member(1, 1, Condition::Unhealthy)), true);
        assert_eq!(ports(&open, false, &Tried::default()), [1; 8]);
        let mut first = member(1, 1, Condition::Healthy);
        first.max_in_flight = 1;
        first.target.set_limit(1);
        let limited = group(ALGORITHM, members(first), false);
        assert_eq!(ports(&limited, false, &Tried::default()), [1; 8]);
        assert!(limited.members[0].target.begin());
        assert_eq!(ports(&limited, false, &Tried::default()), [0; 8]);
        limited.members[0].target.end();
        assert_eq!(ports(&limited, false, &Tried::default()), [1; 8]);
    }
}
