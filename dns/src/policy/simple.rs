//! Simple: every value, beginning at a random one and going round; health has no say, since there
//! is nothing else to answer.
//!
//! Its way of writing an RRset serves every other policy and zone-file data too.

use rand::RngCore;
use rand::rngs::SmallRng;

use super::{Choice, Member, Reason};
use crate::wire::{BlobView, Full, Response, Section};

/// The only set.
pub(super) fn choose(members: &[&Member]) -> (Choice, Reason) {
    let Some(member) = members.first() else {
        return (Choice::NOTHING, Reason::NoAnswer);
    };
    let reason = if member.healthy {
        Reason::Healthy
    } else {
        Reason::AllUnhealthy
    };
    (Choice::One(member.pick()), reason)
}

/// Writes an RRset into the answer section from a random start.
pub(crate) fn write(
    response: &mut Response<'_>,
    view: BlobView<'_>,
    owner: usize,
    draw: &mut SmallRng,
) -> Result<(), Full> {
    let first = match view.count() {
        0 | 1 => 0,
        count => below(draw, count),
    };
    response.push(Section::Answer, view, first, owner)
}

/// A number below `count`. Multiply and shift: the bias is `count` / 2^32, far below what any
/// number of queries could show.
pub(super) fn below(draw: &mut SmallRng, count: usize) -> usize {
    ((u64::from(draw.next_u32()) * count as u64) >> 32) as usize
}
