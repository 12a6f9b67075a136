//! Which connections keep the room for an exchange while they wait for the next request.
//!
//! Asked by the client connection after each request. To make and free the room costs a few percent of
//! a request; to keep it, kilobytes for each connection. So a few connections of each worker, those
//! that ask first, may keep it for a moment: as many as are busy on most machines, too few to matter
//! where thousands come at once.
//!
//! Cost: a counter up and down.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long a connection keeps its room. Longer than the pauses of a busy client.
pub(super) const WARM: Duration = Duration::from_millis(100);

/// Connections of a worker that may keep it at a time.
const MOST: usize = 256;

/// How many do.
#[derive(Debug, Default)]
pub(super) struct Warmth(Rc<Cell<usize>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Warm(Rc<Cell<usize>>);

impl Warmth {
    /// A place; `None` when all are taken.
    pub(super) fn take(&self) -> Option<Warm> {
        let taken = self.0.get();
        (taken < MOST).then(|| {
            self.0.set(taken + 1);
            Warm(self.0.clone())
        })
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let warmth = Warmth::default();
        let mut taken: Vec<_> = (0..MOST).map(|_| warmth.take().unwrap()).collect();
        assert!(warmth.take().is_none());
        taken.pop();
        taken.push(warmth.take().unwrap());
        assert!(warmth.take().is_none());
        drop(taken);
        assert_eq!(warmth.0.get(), 0);
    }
}
