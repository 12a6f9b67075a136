//! Outwards: from targets to clients.
//!
//! Part of the shell. The epoll set says which flows' sockets have got something; what they have is
//! collected into one batch over many flows and sent to the clients together. The set is asked until
//! it says nothing: it tells levels, so that one datagram can be taken from each flow by the cheapest
//! call there is, and what is left is told again. Targets that speak much are read by many at a time.
//!
//! Cost: per datagram one recv and a share of one sendmmsg.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::time::Instant;

use super::batch::{Batch, WIDTH};
use super::connections::learn;
use super::shell::{ROUNDS, Shell, buffers};
use super::table::FlowId;
use crate::access_log::FlowEnd;

/// Flows looked at per epoll_wait.
const EVENTS: usize = 64;

/// Datagrams taken from one flow before the next one's turn.
const PER_FLOW: usize = 16;

/// Times a lost flow's socket is read before it is given up: more than its buffer holds of datagrams that
/// are worth waiting for, and a bound for what still comes.
const RESTS: usize = 1024;

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
        self.pass = self.pass.wrapping_add(1);
        for _ in 0..ROUNDS {
            let Poll::Ready(Ok(mut guard)) = readiness.poll_read_ready(cx) else {
                return;
            };
            let mut events = [NO_EVENT; EVENTS];
            let set = readiness.get_ref();
            let count = epoll::wait(set, &mut events, Some(&AT_ONCE)).unwrap_or(0);
            if count == 0 {
                // Empty: the next datagram makes it ready anew.
                guard.clear_ready();
                continue;
            }
            let mut batch = buffers(&context);
            batch.clear();
            for event in events.iter().take(count) {
                self.collect(&mut batch, FlowId::from_bits(event.data.u64()), now);
            }
            self.flush(&mut batch);
        }
        cx.waker().wake_by_ref();
    }

    /// Takes what one flow's target has sent.
    fn collect(&mut self, batch: &mut Batch, id: FlowId, now: Instant) {
        if batch.room() == 0 {
            self.flush(batch);
        }
        match self.receive_of(batch, id, now) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // What says nothing of the target is told once and forgotten by the kernel.
            Err(error) => drop(self.lose_target(id, &error)),
        }
    }

    /// Hands on what a flow's target had said before its socket told that it is gone: the kernel tells
    /// errors first. Rare, so that the room for it is made when there is something.
    pub(super) fn take_rest(&mut self, id: FlowId, now: Instant) {
        let mut room = None;
        for _ in 0..RESTS {
            let Some(flow) = self.table.get_mut(id) else {
                return;
            };
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            match recv(&flow.socket, &mut [0; 1], flags) {
                Ok(_) => {}
                Err(Errno::WOULDBLOCK) => return,
                // Another error, told once.
                Err(_) => continue,
            }
            let batch = room.get_or_insert_with(Batch::new);
            // An error is told again, or there is nothing more.
            let _ = self.receive_of(batch, id, now);
            self.flush(batch);
        }
    }

    /// Receives from one flow's socket, and counts; a flow that has got all it waits for ends.
    fn receive_of(&mut self, batch: &mut Batch, id: FlowId, now: Instant) -> io::Result<()> {
        let lifetimes = self.lifetimes();
        let Some(flow) = self.table.get_mut(id) else {
            return Ok(());
        };
        let (first, wanted) = (batch.len(), batch.room().min(PER_FLOW));
        let received = match flow.speaks_much(self.pass) {
            true => batch.receive_connected(flow.socket.as_fd(), wanted)?,
            false => batch.receive_one(flow.socket.as_fd()).map(|()| 1)?,
        };
        let mut spoken = 0;
        for index in first..first + received {
            batch.address_to(index, &flow.client);
            for datagram in batch.datagrams(index) {
                if let Some(learned) = &flow.learned {
                    learn(learned, datagram, flow.work.target().slot(), now);
                }
                flow.count_out(datagram.len());
                spoken += 1;
            }
        }
        if self.table.target_spoke(id, spoken, &lifetimes, now) {
            self.end(id, FlowEnd::Answered);
        }
        Ok(())
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
                    let all = batch.datagrams(next).len();
                    let taken = match all {
                        0 | 1 => 0,
                        _ => batch.send_apart(socket, next),
                    };
                    dropped += all.max(1) as u64 - taken as u64;
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
