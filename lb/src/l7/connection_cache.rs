//! Idle connections to targets, kept per worker for the next request.
//!
//! Last in, first out, so that the surplus grows old and goes. A connection is given out only when
//! nothing arrived on it while it was idle: closed by the target, or bytes nobody asked for, and
//! it is dropped. A sweep every second closes what expired or was closed by the target.
//!
//! Cost: an index by health slot, a comparison of pointers, no hashing; the liveness check reads
//! tokio's readiness and makes a syscall only after a response that ended exactly at the end of a
//! read.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::stream::{Side, Stream};
use crate::target::Target;

/// Idle connections one worker keeps to one target.
const KEPT: usize = 512;
/// How long a connection is kept when its target announced no timeout: just below the 60 s that
/// many servers use.
const EXPIRY: Duration = Duration::from_secs(55);
/// How often expired connections are looked for.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Idle {
    stream: Stream,
    expires: Instant,
}

#[derive(Debug)]
struct Shelf {
    target: Arc<Target>,
    idle: Vec<Idle>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// By health slot.
    shelves: Vec<Option<Shelf>>,
    is_swept: bool,
}

/// Idle connections that belong to one client: they began with a PROXY header that names it.
#[derive(Debug, Default)]
pub(super) struct OwnConnections(Vec<(Arc<Target>, Idle)>);

/// Idle connections one client has: as many targets as its requests usually go round.
const OWN: usize = 8;

impl OwnConnections {
    /// A live idle connection to `target`, if there is one.
    pub(super) fn take(&mut self, target: &Arc<Target>, now: Instant) -> Option<Stream> {
        let same = |(kept, _): &(Arc<Target>, Idle)| Arc::ptr_eq(kept, target);
        while let Some(place) = self.0.iter().position(same) {
            let (_, mut idle) = self.0.swap_remove(place);
            if idle.expires > now && is_quiet(&mut idle.stream) {
                return Some(idle.stream);
            }
        }
        None
    }

    /// Keeps a connection as [`ConnectionCache::give_back`] does, and lets the oldest go.
    pub(super) fn give_back(
        &mut self,
        target: &Arc<Target>,
        stream: Stream,
        announced: Option<u32>,
        now: Instant,
    ) {
        let expires = now + expiry(announced);
        if self.0.len() >= OWN {
            self.0.remove(0);
        }
        self.0.push((target.clone(), Idle { stream, expires }));
    }
}

/// One worker's idle connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionCache(Rc<RefCell<Shelves>>);

impl ConnectionCache {
    /// A live idle connection to `target`, if there is one.
    pub(super) fn take(&self, target: &Arc<Target>, now: Instant) -> Option<Stream> {
        let mut shelves = self.0.borrow_mut();
        let place = shelves.shelves.get_mut(target.slot().0 as usize)?;
        let shelf = place.as_mut().filter(|s| Arc::ptr_eq(&s.target, target))?;
        while let Some(mut idle) = shelf.idle.pop() {
            if idle.expires > now && is_quiet(&mut idle.stream) {
                return Some(idle.stream);
            }
        }
        None
    }

    /// Keeps a connection whose last response is complete. `announced` are the seconds of the
    /// target's `Keep-Alive: timeout=`.
    pub(super) fn give_back(
        &self,
        target: &Arc<Target>,
        stream: Stream,
        announced: Option<u32>,
        now: Instant,
    ) {
        let expires = now + expiry(announced);
        let mut shelves = self.0.borrow_mut();
        let slot = target.slot().0 as usize;
        if shelves.shelves.len() <= slot {
            shelves.shelves.resize_with(slot + 1, || None);
        }
        let Some(place) = shelves.shelves.get_mut(slot) else {
            return;
        };
        // A slot that another target had before: its connections go with it.
        let ours = place.take().filter(|s| Arc::ptr_eq(&s.target, target));
        let shelf = place.insert(ours.unwrap_or_else(|| Shelf {
            target: target.clone(),
            idle: Vec::new(),
        }));
        if shelf.idle.len() < KEPT {
            shelf.idle.push(Idle { stream, expires });
        }
        if !shelves.is_swept {
            shelves.is_swept = true;
            tokio::task::spawn_local(sweep(Rc::downgrade(&self.0)));
        }
    }
}

/// A quarter below what the target announced, so that a request does not meet its close.
fn expiry(announced: Option<u32>) -> Duration {
    let announced = announced.map(|s| Duration::from_secs(s.into()).mul_f32(0.75));
    announced.unwrap_or(EXPIRY).min(EXPIRY)
}

/// True when nothing, not even the end, has arrived.
fn is_quiet(stream: &mut Stream) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    if stream.poll_readable(&mut cx).is_pending() {
        return true;
    }
    // The last read may have filled its buffer exactly, which leaves readiness set.
    stream.poll_read(&mut cx, &mut [0]).is_pending()
}

/// Closes what expired until nothing is left or the worker is gone.
async fn sweep(shelves: Weak<RefCell<Shelves>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(shelves) = shelves.upgrade() else {
            return;
        };
        let mut shelves = shelves.borrow_mut();
        let now = Instant::now();
        let mut kept = 0;
        for place in &mut shelves.shelves {
            let Some(shelf) = place else { continue };
            let usable = |idle: &mut Idle| idle.expires > now && is_quiet(&mut idle.stream);
            shelf.idle.retain_mut(usable);
            kept += shelf.idle.len();
            if shelf.idle.is_empty() {
                *place = None;
            }
        }
        if kept == 0 {
            shelves.is_swept = false;
            return;
        }
    }
}
