//! Pipes for flows that turned out to be bulk: bytes go from socket to socket inside the kernel.
//!
//! Used by `copy` only. Pipes are kept by the worker for the next bulk flow; there are at most
//! [`MAX_PIPES`] per worker, and a flow that gets none goes on copying.
//!
//! Cost: two splice calls per [`PIPE_BYTES`] or more; opening a pipe two syscalls, once.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::metrics::{PerWorker, WorkerCounters};

/// Pipes open per worker at most: two descriptors each, in the descriptor budget. Together with
/// the sizes below it keeps two workers within the 64 MiB of pipes that an unprivileged user may
/// have (`fs.pipe-user-pages-soft`).
pub(crate) const MAX_PIPES: usize = 64;

/// Pipes kept open while no flow needs them; the first so many are large.
const KEPT_PIPES: usize = 16;

/// What a large pipe is made to hold (`fs.pipe-max-size` by default): the more a round moves, the
/// fewer rounds a byte pays for.
const LARGE_PIPE_BYTES: usize = 1024 * 1024;

/// What the other pipes are made to hold.
const PIPE_BYTES: usize = 256 * 1024;

/// A pipe that holds less than this is worth less than copying: the kernel makes pipes of 8 KiB
/// once the user has too many.
const MIN_PIPE_BYTES: usize = 64 * 1024;

/// One worker's pipes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PipePool(Rc<Pool>);

#[derive(Debug)]
struct Pool {
    idle: RefCell<Vec<(OwnedFd, OwnedFd)>>,
    open: Cell<usize>,
    counters: PerWorker<WorkerCounters>,
    worker: usize,
}

impl PipePool {
    /// An empty pool of worker number `worker`.
    pub(crate) fn new(counters: PerWorker<WorkerCounters>, worker: usize) -> Self {
        Self(Rc::new(Pool {
            idle: RefCell::default(),
            open: Cell::new(0),
            counters,
            worker,
        }))
    }

    /// A pipe, or `None` when there are too many or the kernel gives none.
    pub(super) fn take(&self) -> Option<Pipe> {
        let ends = match self.0.idle.borrow_mut().pop() {
            Some(ends) => ends,
            None => self.open()?,
        };
        Some(Pipe {
            ends: Some(ends),
            held: 0,
            pool: self.clone(),
        })
    }

    fn open(&self) -> Option<(OwnedFd, OwnedFd)> {
        if self.0.open.get() >= MAX_PIPES {
            return None;
        }
        let ends = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let large = self.0.open.get() < KEPT_PIPES;
        let bytes = if large { LARGE_PIPE_BYTES } else { PIPE_BYTES };
        // Past the user's quota of pipe pages the pipe stays at its first size.
        let granted = fcntl_setpipe_size(&ends.1, bytes).or_else(|_| fcntl_getpipe_size(&ends.1));
        if granted.ok()? < MIN_PIPE_BYTES {
            return None;
        }
        self.0.open.set(self.0.open.get() + 1);
        self.0.counters.of(self.0.worker).pipes_opened.add(1);
        Some(ends)
    }

    /// Takes a pipe's ends back: keeps them when nothing is left in it, else closes it.
    fn give_back(&self, ends: (OwnedFd, OwnedFd), empty: bool) {
        let mut idle = self.0.idle.borrow_mut();
        if empty && idle.len() < KEPT_PIPES {
            idle.push(ends);
        } else {
            self.0.open.set(self.0.open.get() - 1);
            self.0.counters.of(self.0.worker).pipes_closed.add(1);
        }
    }
}

/// A pipe in use by one direction of one flow.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Read end, write end; `None` only while dropping.
    ends: Option<(OwnedFd, OwnedFd)>,
    held: usize,
    pool: PipePool,
}

impl Pipe {
    /// Bytes in the pipe.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Fills the empty pipe from `stream`: the bytes moved, 0 at the stream's end.
    pub(super) fn poll_fill(
        &mut self,
        stream: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let Some((_, inlet)) = &self.ends else {
            return Poll::Ready(Ok(0));
        };
        loop {
            ready!(stream.poll_read_ready(cx))?;
            let moved = stream.try_io(Interest::READABLE, || {
                let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
                Ok(splice(stream, None, inlet, None, LARGE_PIPE_BYTES, flags)?)
            });
            match moved {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(moved) => {
                    self.held += moved;
                    return Poll::Ready(Ok(moved));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Empties the pipe into `stream`.
    pub(super) fn poll_empty(
        &mut self,
        stream: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let Some((outlet, _)) = &self.ends else {
            return Poll::Ready(Ok(()));
        };
        while self.held > 0 {
            ready!(stream.poll_write_ready(cx))?;
            let moved = stream.try_io(Interest::WRITABLE, || {
                let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
                Ok(splice(outlet, None, stream, None, self.held, flags)?)
            });
            match moved {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(moved) => self.held = self.held.saturating_sub(moved),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(ends) = self.ends.take() {
            self.pool.give_back(ends, self.held == 0);
        }
    }
}
