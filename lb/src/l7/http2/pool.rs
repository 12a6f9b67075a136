//! HTTP/2 connections to targets, per worker: many requests share one.
//!
//! Asked by the dispatcher for a stream. While a connection is being made others who need one wait for
//! it, as many as it will take, and share its failure, so that a burst of requests opens one
//! connection and not one each.
//!
//! Cost: an index by health slot, a look at each connection to the target until one has a place.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use super::link::Link;
use super::target_stream::TargetStream;
use crate::l7::failure::Failure;
use crate::stream::Stream;
use crate::target::Target;
use crate::tls::TargetTls;

/// Connections one worker has to one target.
const LINKS: usize = 64;
/// Who waits for one connection: what RFC 9113 section 6.5.2 wants every peer to take.
const WAITING: usize = 100;

/// One worker's connections.
#[derive(Debug, Default)]
pub(crate) struct Pool(RefCell<Vec<Option<Shelf>>>);

#[derive(Debug)]
struct Shelf {
    target: Arc<Target>,
    links: Vec<Link>,
    /// The connection that is being made.
    coming: Option<Rc<Coming>>,
}

/// A connection that is being made.
#[derive(Debug, Default)]
pub(super) struct Coming {
    waiting: Cell<usize>,
    /// `Some` once it is decided: why it failed, if it did.
    end: Cell<Option<Option<Failure>>>,
    ended: Notify,
}

/// What whoever needs a stream is to do.
pub(super) enum Way {
    /// Take it.
    Stream(Box<TargetStream>),
    /// Wait, then ask again.
    Wait(Rc<Coming>),
    /// Connect, and tell.
    Connect(Making),
}

/// The duty to tell what became of a connection. Dropped untold, others try for themselves.
pub(super) struct Making(Option<Rc<Coming>>);

impl Making {
    fn end(&mut self, failure: Option<Failure>) {
        if let Some(coming) = self.0.take() {
            coming.end.set(Some(failure));
            coming.ended.notify_waiters();
        }
    }

    /// It failed.
    pub(super) fn fail(mut self, failure: Failure) {
        self.end(Some(failure));
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl Coming {
    /// Waits for the connection.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn wait(&self) -> Result<(), Failure> {
        self.waiting.set(self.waiting.get() + 1);
        loop {
            let ended = self.ended.notified();
            match self.end.get() {
                Some(Some(failure)) => return Err(failure),
                Some(None) => return Ok(()),
                None => ended.await,
            }
        }
    }
}

impl Pool {
    /// How to come by a stream to `target`; on a new connection if `fresh`.
    pub(super) fn way(
        &self,
        target: &Arc<Target>,
        tls: Option<&Arc<TargetTls>>,
        fresh: bool,
    ) -> Way {
        self.with_shelf(target, |shelf| {
            shelf
                .links
                .retain_mut(|link| link.is_open() && link.is_over(tls));
            if !fresh {
                if let Some(stream) = shelf.links.iter().find_map(Link::stream) {
                    return Way::Stream(Box::new(stream));
                }
                if let Some(coming) = &shelf.coming
                    && coming.end.get().is_none()
                    && coming.waiting.get() < WAITING
                {
                    return Way::Wait(coming.clone());
                }
            }
            let coming = Rc::new(Coming::default());
            shelf.coming = Some(coming.clone());
            Way::Connect(Making(Some(coming)))
        })
    }

    /// Begins HTTP/2 over `stream` and takes a stream of it. The connection is kept for others unless
    /// it is one client's own.
    ///
    /// # Errors
    /// The connection is gone already, or takes no stream.
    pub(super) async fn begin(
        &self,
        target: &Arc<Target>,
        (stream, tls): (Stream, Option<Arc<TargetTls>>),
        keeps: bool,
    ) -> std::io::Result<TargetStream> {
        let link = Link::begin(stream, tls).await?;
        let none = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let first = link.stream().ok_or_else(none)?;
        if keeps {
            self.with_shelf(target, |shelf| {
                if shelf.links.len() < LINKS {
                    shelf.links.push(link);
                }
            });
        }
        Ok(first)
    }

    fn with_shelf<T>(&self, target: &Arc<Target>, act: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelves = self.0.borrow_mut();
        let slot = target.slot().0 as usize;
        if shelves.len() <= slot {
            shelves.resize_with(slot + 1, || None);
        }
        let new = || Shelf {
            target: target.clone(),
            links: Vec::new(),
            coming: None,
        };
        match shelves.get_mut(slot) {
            Some(place) => {
                // A slot that another target had before: its connections go with it.
                let ours = place.take().filter(|s| Arc::ptr_eq(&s.target, target));
                act(place.insert(ours.unwrap_or_else(new)))
            }
            None => act(&mut new()),
        }
    }
}
