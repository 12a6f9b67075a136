//! Multivalue: up to eight healthy sets at random; when none is healthy, up to eight of all.

use rand::rngs::SmallRng;

use super::simple::below;
use super::{Choice, Member, Reason};

/// Answers at most (Route 53).
pub(crate) const MAX_ANSWERS: usize = 8;

/// The sets to draw from.
pub(super) fn choose(members: &[&Member]) -> (Choice, Reason) {
    let healthy: Vec<_> = members.iter().filter(|member| member.healthy).collect();
    let (chosen, reason) = if healthy.is_empty() {
        (members.iter().collect(), Reason::AllUnhealthy)
    } else {
        (healthy, Reason::Healthy)
    };
    let outcomes = chosen.into_iter().map(|member| member.outcome.clone());
    (Choice::Some(outcomes.collect()), reason)
}

/// Up to [`MAX_ANSWERS`] different numbers below `count`, every choice and order alike: the first
/// steps of a Fisher-Yates shuffle, remembering only the places it changed.
pub(super) fn draw(count: usize, draw: &mut SmallRng) -> impl Iterator<Item = usize> + use<> {
    let steps = count.min(MAX_ANSWERS);
    let mut moved: [(usize, usize); MAX_ANSWERS] = [(usize::MAX, 0); MAX_ANSWERS];
    let mut drawn = [0; MAX_ANSWERS];
    for (step, out) in drawn.iter_mut().enumerate().take(steps) {
        let place = step + below(draw, count - step);
        let value_at = |place: usize| {
            let changed = moved.iter().rev().find(|(at, _)| *at == place);
            changed.map_or(place, |(_, value)| *value)
        };
        let (value, displaced) = (value_at(place), value_at(step));
        *out = value;
        if let Some(slot) = moved.get_mut(step) {
            *slot = (place, displaced);
        }
    }
    drawn.into_iter().take(steps)
}
