//! One worker's client connections: so that they can be woken, counted and ended together.
//!
//! The worker wraps every connection's future with [`Connections::run`]. Cost: one slab entry and
//! one waker per connection; one flag looked at per poll.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
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
    /// It counts as open from the call on, not from the first poll. `place` is what it holds and
    /// gives back with its end.
    pub(crate) fn run<F: Future<Output = ()>, P>(&self, connection: F, place: P) -> Running<F, P> {
        Running {
            connection,
            place,
            entry: self.enter(),
            noted: false,
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

    /// Ends every connection after one more poll, in which it can do what needs no waiting.
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

pin_project! {
    /// A connection that runs. A struct, not an `async` block: a block would hold the connection
    /// twice, as what it was given and as what it waits for.
    pub(crate) struct Running<F, P> {
        #[pin]
        connection: F,
        place: P,
        entry: Entry,
        noted: bool,
    }
}

impl<F: Future<Output = ()>, P> Future for Running<F, P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.entry.table.ended.get() {
            let _ = this.connection.poll(cx);
            return Poll::Ready(());
        }
        if !std::mem::replace(this.noted, true) {
            // A task's waker stays the same: once is enough.
            this.entry.note(cx.waker());
        }
        this.connection.poll(cx)
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
