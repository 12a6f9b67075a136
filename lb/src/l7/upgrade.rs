//! Upgraded connections: bytes both ways once the target has answered 101 (RFC 9110 section 7.8).
//!
//! Called by the client connection after the 101 was relayed; nothing is tunnelled before. What
//! either side sent ahead goes first. Ends when both sides have finished, one fails, neither says
//! a byte for the idle timeout, or the target's fate ends its flows.

use std::future::poll_fn;
use std::task::Poll;

use tokio::time::Instant;

use super::buffer::{Buffer, Buffers};
use super::client_connection::ClientConnection;
use super::failure::Failure;
use super::record::Record;
use crate::stream::{Side, Stream};
use crate::work::Work;

/// One direction of a tunnel.
#[derive(Debug, Default)]
struct Direction {
    ended: bool,
    finished: bool,
    bytes: u64,
}

impl Direction {
    /// Moves what can be moved; true when something was. An error ends the tunnel.
    fn poll(
        &mut self,
        cx: &mut std::task::Context<'_>,
        from: &mut impl Side,
        to: &mut impl Side,
        buffer: &mut Buffer,
    ) -> std::io::Result<bool> {
        let mut moved = false;
        loop {
            if !buffer.filled().is_empty() {
                match to.poll_write(cx, buffer.filled(), &[])? {
                    Poll::Ready(count) => {
                        buffer.consume(count);
                        self.bytes += count as u64;
                        moved = true;
                        continue;
                    }
                    Poll::Pending => return Ok(moved),
                }
            }
            if self.ended {
                if !self.finished && to.poll_finish(cx)?.is_ready() {
                    self.finished = true;
                }
                return Ok(moved);
            }
            match buffer.poll_fill(from, cx)? {
                Poll::Ready(0) => self.ended = true,
                Poll::Ready(_) => moved = true,
                Poll::Pending => return Ok(moved),
            }
        }
    }
}

/// Carries bytes both ways to the end.
pub(super) async fn tunnel(
    client: &mut ClientConnection,
    mut target: Stream,
    work: &Work,
    buffers: &mut Buffers,
    record: &mut Record<'_>,
) {
    let context = client.context.clone();
    work.become_flow();
    let idle = client.idle_timeout();
    let mut activity = Instant::now();
    let (mut inward, mut outward) = (Direction::default(), Direction::default());
    inward.ended = client.finished;
    // What was sent ahead moves to a set that is only kept while there are bytes in it.
    let stack = &context.l7().buffers;
    let mut spare = stack.take();
    std::mem::swap(&mut *spare, buffers);
    buffers.release();
    let ahead = spare.from_client.filled().len() as u64;
    let mut held = Some(spare);
    let (side, deadline) = (&mut client.side, &mut client.deadline);
    let failure = poll_fn(|cx| {
        let mut set = held.take().unwrap_or_else(|| stack.take());
        let Buffers {
            from_client,
            from_target,
            ..
        } = &mut *set;
        let moved = inward
            .poll(cx, side, &mut target, from_client)
            .and_then(|moved| Ok(moved | outward.poll(cx, &mut target, side, from_target)?));
        match from_client.filled().is_empty() && from_target.filled().is_empty() {
            true => stack.give_back(set),
            false => held = Some(set),
        }
        let Ok(moved) = moved else {
            return Poll::Ready(Some("reset"));
        };
        if inward.finished && outward.finished {
            return Poll::Ready(None);
        }
        if let Poll::Ready(end) = work.poll_end(cx) {
            return Poll::Ready(Some(Failure::TargetEnded(end).as_str()));
        }
        let now = Instant::now();
        if moved {
            activity = now;
        }
        match deadline.has_passed(cx, now, activity + idle) {
            true => Poll::Ready(Some("idle-timeout")),
            false => Poll::Pending,
        }
    })
    .await;
    record.termination = failure;
    record.bytes_in += inward.bytes.saturating_sub(ahead);
    record.bytes_out += outward.bytes;
}
