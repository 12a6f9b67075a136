//! What the balancer itself answers a client, and how a connection ends after it.
//!
//! Called by the client connection and by who answers without a target. After a refusal the connection is
//! half-closed, then read and thrown away for a while, so that the client sees the status rather than a reset.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::{After, ClientConnection};
use crate::l7::buffer::Buffers;
use crate::l7::error_pages;
use crate::l7::failure::Failure;
use crate::l7::http1::{PLAIN_TEXT, ResponseEdit, Version, write_answer};
use crate::l7::http2;
use crate::l7::record::Record;
use crate::l7::request::Request;
use crate::stream::Side;

/// How long, and how much, is read and thrown away after a half-close.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 256 * 1024);

impl ClientConnection {
    /// Answers for a failure. The connection goes on when `request` says that it may.
    pub(in crate::l7) async fn answer(
        &mut self,
        buffers: &mut Buffers,
        failure: Failure,
        request: Option<(&Request, bool)>,
        record: &mut Record<'_>,
    ) -> After {
        let Some(status) = failure.status() else {
            record.termination = Some(failure.as_str());
            return After::Close;
        };
        record.answered(failure, status);
        let malformed = matches!(
            failure,
            Failure::Request(_)
                | Failure::HeaderTimeout
                | Failure::BodyTimeout
                | Failure::SlowBody
                | Failure::RequestTimeout { .. }
        );
        let keep = request.is_some_and(|(_, keep)| keep) && !malformed;
        let close = !keep || self.context.is_draining();
        let client = request.map_or(Version::Http11, |(request, _)| request.version);
        let to_head = request.is_some_and(|(request, _)| request.to_head);
        let text = format!("{} ({})", failure.sentence(), failure.as_str());
        let out = &mut buffers.to_client;
        out.clear();
        let edit = ResponseEdit {
            client,
            close,
            edits: self.listener.response_edits.as_ref(),
        };
        let fields = |out: &mut Vec<u8>| failure.write_fields(out);
        match self.side.is_grpc() {
            true => http2::write_grpc_answer(out, status, &text),
            false => {
                let page = error_pages::page(record, failure, status);
                let plain = || (PLAIN_TEXT, (text + "\n").into_bytes());
                let (kind, body) = page.unwrap_or_else(plain);
                write_answer(out, status, fields, (kind, &body), edit, to_head);
            }
        }
        self.send(buffers, close, record).await
    }

    /// Writes the answer that stands in the buffer for the client.
    pub(in crate::l7) async fn send(
        &mut self,
        buffers: &mut Buffers,
        close: bool,
        record: &mut Record<'_>,
    ) -> After {
        let out = &buffers.to_client;
        record.bytes_out += out.len() as u64;
        match (self.write_all(out).await, close) {
            (false, _) => After::Close,
            (true, true) => After::Linger,
            (true, false) => After::Keep,
        }
    }

    /// Writes `bytes`; false when the client does not take them within the idle timeout.
    pub(in crate::l7) async fn write_all(&mut self, mut bytes: &[u8]) -> bool {
        let due = Instant::now() + self.listener.idle_timeout;
        let (side, deadline) = (&mut self.side, &mut self.deadline);
        poll_fn(|cx| {
            while !bytes.is_empty() {
                match side.poll_write(cx, bytes, &[]) {
                    Poll::Ready(Ok(count)) if count > 0 => {
                        bytes = bytes.get(count..).unwrap_or_default();
                    }
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending if deadline.has_passed(cx, Instant::now(), due) => {
                        return Poll::Ready(false);
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(true)
        })
        .await
    }

    /// Half-closes, then reads and throws away until the client closes too (RFC 9112 section 9.6).
    pub(super) async fn linger(&mut self, buffers: &mut Buffers) {
        let mut due = Instant::now() + self.listener.idle_timeout;
        let mut left = LINGER.1;
        let (side, deadline) = (&mut self.side, &mut self.deadline);
        let from_client = &mut buffers.from_client;
        let mut half_closed = false;
        poll_fn(|cx| {
            if !half_closed {
                // Over TLS there must be room for it. Fails only when the client is gone, which reading
                // finds out.
                if side.poll_finish(cx).is_pending() {
                    return match deadline.has_passed(cx, Instant::now(), due) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    };
                }
                due = Instant::now() + LINGER.0;
                half_closed = true;
            }
            loop {
                from_client.clear();
                match from_client.poll_fill(side, cx) {
                    Poll::Ready(Ok(count)) if count > 0 && count < left => left -= count,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if deadline.has_passed(cx, Instant::now(), due) => {
                        return Poll::Ready(());
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }
}
