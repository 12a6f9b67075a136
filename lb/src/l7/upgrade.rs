//! Upgraded connections: bytes both ways once the target has answered 101 (RFC 9110 section 7.8).
//!
//! Called by the client connection after the 101 was relayed; nothing is tunnelled before. What
//! either side sent ahead goes first. Ends when both sides have finished, one fails, neither says
//! a byte for the idle timeout, or the target's fate ends its flows. But for the first of these both
//! are reset, as flows are (RFC 8441 section 5: with CANCEL on a stream of HTTP/2).

use std::future::poll_fn;
use std::task::Poll;

use tokio::time::Instant;

use super::buffer::Buffers;
use super::client_connection::ClientConnection;
use super::failure::Failure;
use super::record::Record;
use crate::l4::Copy;
use crate::stream::Stream;
use crate::work::Work;

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
    let of_client = buffers.from_client.filled().to_vec();
    let of_target = buffers.from_target.filled().to_vec();
    buffers.release();
    let ahead = of_client.len() as u64;
    let mut copy = Copy::new(of_client, of_target);
    let mut copied = copy.bytes();
    let (side, deadline) = (&mut client.side, &mut client.deadline);
    record.termination = poll_fn(|cx| {
        match copy.poll(side, &mut target, cx, context.copy_room()) {
            Poll::Ready(Ok(())) => return Poll::Ready(None),
            Poll::Ready(Err(_)) => return Poll::Ready(Some("reset")),
            Poll::Pending => {}
        }
        if let Poll::Ready(end) = work.poll_end(cx) {
            return Poll::Ready(Some(Failure::TargetEnded(end).as_str()));
        }
        let now = Instant::now();
        if std::mem::replace(&mut copied, copy.bytes()) != copied {
            activity = now;
        }
        match deadline.has_passed(cx, now, activity + idle) {
            true => Poll::Ready(Some("idle-timeout")),
            false => Poll::Pending,
        }
    })
    .await;
    if record.termination.is_some() {
        copy.reset(side, &mut target);
    }
    let (inward, outward) = copy.bytes();
    record.bytes_in += inward.saturating_sub(ahead);
    record.bytes_out += outward;
}
