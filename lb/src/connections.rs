//! One worker's client connections: so that they can be woken, counted and ended together.
//!
//! The worker wraps every connection's future with [`Connections::run`]. Cost: one slab entry and
//! one waker per connection; one flag looked at per poll.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use slab::Slab;
use tokio::sync::Notify;

/// A worker's open connections. Cheap to clone.
#[derive(Debug, Default, Clone)]
pub(crate) struct Connections(Rc<Table>);

#[derive(Debug, Default)]
struct Table {
    wakers: RefCell<Slab<Option<Waker>>>,
    ended: Cell<bool>,
    emptied: Notify,
}

impl Connections {
    /// Runs a connection's future until it is done or all are ended; dropping it closes it.
    /// It counts as open from the call on, not from the first poll.
    pub(crate) fn run<F: Future<Output = ()>>(
        &self,
        connection: F,
    ) -> impl Future<Output = ()> + use<F> {
        let entry = self.enter();
        async move {
            let mut connection = pin!(connection);
            let mut noted = false;
            poll_fn(|cx| {
                if entry.table.ended.get() {
                    return Poll::Ready(());
                }
                if !noted {
                    // A task's waker stays the same: once is enough.
                    entry.note(cx.waker());
                    noted = true;
                }
                connection.as_mut().poll(cx)
            })
            .await;
        }
    }

    /// Wakes every connection's task once.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<_> = self
            .0
            .wakers
            .borrow()
            .iter()
            .filter_map(|(_, w)| w.clone())
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends every connection, at its next poll.
    pub(crate) fn end_all(&self) {
        self.0.ended.set(true);
        self.wake_all();
    }

    /// Waits until none is open.
    pub(crate) async fn emptied(&self) {
        while !self.0.wakers.borrow().is_empty() {
            self.0.emptied.notified().await;
        }
    }

    fn enter(&self) -> Entry {
        Entry {
            key: self.0.wakers.borrow_mut().insert(None),
            table: self.0.clone(),
        }
    }
}

struct Entry {
    table: Rc<Table>,
    key: usize,
}

impl Entry {
    fn note(&self, waker: &Waker) {
        if let Some(place) = self.table.wakers.borrow_mut().get_mut(self.key) {
            *place = Some(waker.clone());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut wakers = self.table.wakers.borrow_mut();
        wakers.try_remove(self.key);
        if wakers.is_empty() {
            self.table.emptied.notify_waiters();
        }
    }
}
