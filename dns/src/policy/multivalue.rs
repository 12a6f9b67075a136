//! Multivalue: up to eight healthy sets (or `max-answers`) at random; when none is healthy, so many
//! of all.

use rand::rngs::SmallRng;

use super::simple::below;
use super::{Choice, Member, Reason};

/// Answers at most when a record does not say (Route 53).
pub(crate) const MAX_ANSWERS: usize = 8;
/// The most that a record may say, which the configuration's reader holds to.
pub(super) const MAX_DRAWN: usize = 64;

/// The sets to draw from.
pub(super) fn choose(members: &[&Member], most: u8) -> (Choice, Reason) {
    let healthy: Vec<_> = members.iter().filter(|member| member.healthy).collect();
    let (chosen, reason) = if healthy.is_empty() {
        (members.iter().collect(), Reason::AllUnhealthy)
    } else {
        (healthy, Reason::Healthy)
    };
    let picks = chosen.into_iter().map(|member| member.pick()).collect();
    (Choice::Some { picks, most }, reason)
}

/// Up to `most` different numbers below `count`, every choice and order alike: the first steps of a
/// Fisher-Yates shuffle, remembering only the places it changed.
pub(super) fn draw(
    count: usize,
    most: usize,
    draw: &mut SmallRng,
) -> impl Iterator<Item = usize> + use<> {
    if most <= MAX_ANSWERS {
        Drawn::Few(shuffled::<MAX_ANSWERS>(count, most, draw))
    } else {
        Drawn::Many(shuffled::<MAX_DRAWN>(count, most, draw))
    }
}

/// Numbers drawn: the usual few without room for the most there can be.
enum Drawn<F, M> {
    Few(F),
    Many(M),
}

impl<F: Iterator<Item = usize>, M: Iterator<Item = usize>> Iterator for Drawn<F, M> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match self {
            Self::Few(few) => few.next(),
            Self::Many(many) => many.next(),
        }
    }
}

fn shuffled<const N: usize>(
    count: usize,
    most: usize,
    draw: &mut SmallRng,
) -> impl Iterator<Item = usize> + use<N> {
    let steps = count.min(most).min(N);
    let mut moved: [(usize, usize); N] = [(usize::MAX, 0); N];
    let mut drawn = [0; N];
    for (step, out) in drawn.iter_mut().enumerate().take(steps) {
        let place = step + below(draw, count - step);
        let value_at = |place: usize| {
            let changed = moved.iter().take(step).rev().find(|(at, _)| *at == place);
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
