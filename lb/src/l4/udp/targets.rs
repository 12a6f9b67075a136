//! Outwards: from targets to clients.
//!
//! Part of the shell. The epoll set says which flows' sockets have something; what they have is
//! collected into one batch over many flows and sent to the clients together.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::event::{Timespec, epoll};
use tokio::time::Instant;

use super::batch::{Batch, WIDTH};
use super::shell::{ROUNDS, Shell, buffers};
use super::table::FlowId;
use crate::access_log::FlowEnd;

/// Flows looked at per epoll_wait.
const EVENTS: usize = 64;

/// Datagrams taken from one flow before the next one's turn.
const PER_FLOW: usize = 16;

const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

const NO_EVENT: epoll::Event = epoll::Event {
    flags: epoll::EventFlags::empty(),
    data: epoll::EventData::new_u64(0),
};

impl Shell {
    /// Answers clients with what targets have sent, and ends flows whose targets are gone.
    pub(super) fn poll_targets(&mut self, cx: &mut Context<'_>, now: Instant) {
        let (readiness, context) = (self.readiness.clone(), self.context.clone());
        for _ in 0..ROUNDS {
            let Poll::Ready(Ok(mut guard)) = readiness.poll_read_ready(cx) else {
                return;
            };
            let mut events = [NO_EVENT; EVENTS];
            let count = epoll::wait(readiness.get_ref(), &mut events, Some(&AT_ONCE)).unwrap_or(0);
            let mut more = count == EVENTS;
            let mut batch = buffers(&context);
            batch.clear();
            for event in events.iter().take(count) {
                let id = FlowId::from_bits(event.data.u64());
                more |= self.collect(&mut batch, id, now);
            }
            self.flush(&mut batch);
            if !more {
                // Every queue was emptied: the next datagram makes the set ready anew.
                guard.clear_ready();
            }
        }
        cx.waker().wake_by_ref();
    }

    /// Takes what one flow's target has sent; true when there may be more.
    fn collect(&mut self, batch: &mut Batch, id: FlowId, now: Instant) -> bool {
        if batch.room() == 0 {
            self.flush(batch);
        }
        let lifetimes = self.lifetimes();
        let Some(flow) = self.table.get_mut(id) else {
            return false;
        };
        let (first, wanted) = (batch.len(), batch.room().min(PER_FLOW));
        match batch.receive(flow.socket.as_fd(), wanted) {
            Ok(received) => {
                for index in first..first + received {
                    batch.address_to(index, &flow.client);
                    flow.count_out(batch.payload(index).len());
                }
                let done = self
                    .table
                    .target_spoke(id, received as u32, &lifetimes, now);
                if done {
                    self.end(id, FlowEnd::Answered);
                }
                received == wanted && !done
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::WouldBlock {
                    return false;
                }
                // Anything else is told once and then forgotten by the kernel: look again.
                !self.lose_target(id, &error)
            }
        }
    }

    /// Sends what was collected.
    fn flush(&mut self, batch: &mut Batch) {
        let socket = self.socket.get_ref().as_fd();
        let (mut next, count) = (0, batch.len());
        let mut dropped = 0;
        while next < count {
            match batch.send(socket, next, count - next) {
                Ok(sent) if sent > 0 => next += sent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    dropped += 1;
                    next += 1;
                }
            }
        }
        if dropped > 0 {
            self.count_dropped(dropped);
        }
        batch.clear();
    }
}

const _: () = assert!(PER_FLOW <= WIDTH, "one flow's share fits");
