//! A shell's place in the queue of a group whose targets are full.
//!
//! Taken when the first datagram that would begin a flow finds every target full, left when nothing is
//! held any more. Datagrams that come later see the queue and wait behind. Who holds the place is told
//! when a target has room, in turn with everything else that waits for the group.
//!
//! Cost: nothing for groups without limits; one allocation when a shell begins to wait.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::futures::OwnedNotified;

use crate::queue::{Queue, Waiting};

/// The place, if there is one.
#[derive(Debug, Default)]
pub(super) struct Queued {
    place: Option<Place>,
    /// True while what waits looks for room: it does not stand behind itself.
    has_turn: bool,
}

#[derive(Debug)]
struct Place {
    queue: Arc<Queue>,
    _waiting: Waiting,
    freed: Pin<Box<OwnedNotified>>,
}

impl Queued {
    /// Enters `queue`; true when nobody waits there yet, so that room that became free meanwhile was
    /// told to nobody: look once more.
    pub(super) fn enter(&mut self, queue: &Arc<Queue>) -> bool {
        if let Some(place) = &self.place
            && Arc::ptr_eq(&place.queue, queue)
        {
            return false;
        }
        self.place = Some(Place {
            _waiting: queue.enter(),
            freed: Box::pin(queue.freed_owned()),
            queue: queue.clone(),
        });
        queue.waiting() == 1
    }

    /// Leaves it. A word of room that it got and did not hear goes to the next.
    pub(super) fn leave(&mut self) {
        self.place = None;
    }

    /// Ready when room became free and it is this one's turn.
    pub(super) fn poll_freed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(place) = &mut self.place else {
            return Poll::Pending;
        };
        let polled = place.freed.as_mut().poll(cx);
        if polled.is_ready() {
            place.freed.set(place.queue.freed_owned());
            place.queue.heard();
        }
        polled
    }

    /// Lets what waits look for room, or not.
    pub(super) fn set_turn(&mut self, has_turn: bool) {
        self.has_turn = has_turn;
    }

    /// True when what is chosen now has waited.
    pub(super) fn has_turn(&self) -> bool {
        self.has_turn
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn is_told(queued: &mut Queued) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        queued.poll_freed(&mut cx).is_ready()
    }

    #[test]
    fn room_is_told_in_turn_and_never_lost() {
        let queue = Arc::<Queue>::default();
        let (mut first, mut second) = (Queued::default(), Queued::default());
        assert!(first.enter(&queue));
        assert!(!first.enter(&queue));
        assert!(!second.enter(&queue));
        assert!(!is_told(&mut first) && !is_told(&mut second));
        queue.free();
        assert!(!is_told(&mut second));
        assert!(is_told(&mut first) && !is_told(&mut first));
        queue.free();
        assert!(is_told(&mut second));
        // What `first` was told and did not hear is for the other.
        queue.free();
        first.leave();
        assert!(is_told(&mut second));
        second.leave();
        assert_eq!(queue.waiting(), 0);
        assert!(!is_told(&mut second));
    }

    #[test]
    fn another_group_is_another_queue() {
        let (old, new) = (Arc::<Queue>::default(), Arc::<Queue>::default());
        let mut queued = Queued::default();
        assert!(queued.enter(&old) && queued.enter(&new));
        assert_eq!((old.waiting(), new.waiting()), (0, 1));
        old.free();
        assert!(!is_told(&mut queued));
        new.free();
        assert!(is_told(&mut queued));
    }
}
