//! Places of connections: how many may be open, and which of them wait for a query.
//!
//! The limits are shared by all workers; who waits is known to each worker of its own connections.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Service;

/// Limits shared by all workers, changed by reload.
#[derive(Debug)]
pub(crate) struct TcpLimits {
    pub(super) open: AtomicUsize,
    max_connections: AtomicUsize,
    idle_millis: AtomicU64,
}

impl TcpLimits {
    /// No connections yet.
    pub(crate) fn new(max_connections: usize, idle: Duration) -> Self {
        let limits = Self {
            open: AtomicUsize::new(0),
            max_connections: AtomicUsize::new(0),
            idle_millis: AtomicU64::new(0),
        };
        limits.set(max_connections, idle);
        limits
    }

    /// Changes the limits; for connections already open from their next query on.
    pub(crate) fn set(&self, max_connections: usize, idle: Duration) {
        self.max_connections
            .store(max_connections, Ordering::Relaxed);
        let millis = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        self.idle_millis.store(millis, Ordering::Relaxed);
    }

    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_millis.load(Ordering::Relaxed))
    }

    /// A place for one more connection; false when there is none.
    pub(super) fn take(&self) -> bool {
        let max = self.max_connections.load(Ordering::Relaxed);
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < max).then_some(open + 1)
            })
            .is_ok()
    }
}

/// A connection's place among the open ones.
pub(super) struct Place(pub(super) Arc<TcpLimits>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection while it waits for a query.
pub(super) struct Idle<'s> {
    service: &'s Service,
    key: (Instant, u64),
    pub(super) evicted: Rc<Notify>,
}

impl<'s> Idle<'s> {
    pub(super) fn enter(service: &'s Service, key: (Instant, u64)) -> Self {
        let evicted = Rc::new(Notify::new());
        service.idle.borrow_mut().insert(key, evicted.clone());
        Self {
            service,
            key,
            evicted,
        }
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.service.idle.borrow_mut().remove(&self.key);
    }
}
