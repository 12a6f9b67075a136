//! The response on its way from target to client: heads parsed, edited and written, body bytes
//! measured and passed through.
//!
//! Driven by the exchange. Relays 1xx to those who can read them, takes chunks apart for HTTP/1.0
//! clients, and knows at the end whether either connection can be used again. Bounded: reading
//! stops while the client does not take what is there.

use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use super::buffer::{Buffer, Buffers};
use super::failure::Failure;
use super::headers::ResponseEdits;
use super::http1::{
    BodyLength, BodyProgress, ChunkedDecoder, HeadLimits, MAX_FIELDS, ResponseEdit, ResponseFault,
    Step, Version, parse_response, write_response,
};
use super::request::Request;
use crate::stream::Side;

/// Largest response head (ELB: 502 beyond it).
const HEAD: HeadLimits = HeadLimits { bytes: 32 * 1024 };
/// Body bytes that are copied behind the head rather than written from where they are.
const SMALL_BODY: usize = 4 * 1024;
/// No more is read while so much waits to be written.
const BACKLOG: usize = 16 * 1024;

/// What decides how a head is written for the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// What was asked.
    pub(super) request: &'a Request,
    /// The client's connection is to end with this response anyway.
    pub(super) closing: bool,
    /// What the listener changes.
    pub(super) edits: Option<&'a ResponseEdits>,
    /// The target's connection was reset: what it ends with may be cut.
    pub(super) is_cut: bool,
}

/// How far a response has come.
#[derive(Debug)]
pub(super) struct ResponseRelay {
    /// The final head has been taken.
    has_head: bool,
    progress: BodyProgress,
    /// For clients that cannot read chunks.
    decoder: Option<ChunkedDecoder>,
    /// Bytes at the start of the target's buffer that are body and not yet written.
    ready: usize,
    /// Bytes of `to_client` that were written.
    sent: usize,
    /// A byte of it came.
    pub(super) began: bool,
    /// Bytes written to the client.
    pub(super) bytes_out: u64,
    /// Some of the final response, or a part of a head, was written to the client.
    pub(super) is_begun: bool,
    /// The status of the final head.
    pub(super) status: Option<u16>,
    /// The client's connection ends with it.
    pub(super) close: bool,
    /// Nothing but the end of the client's connection tells the client that it is whole, as far as is
    /// known.
    pub(super) is_open_ended: bool,
    /// The target's connection can take another request.
    persists: bool,
    /// Seconds of `Keep-Alive: timeout=`.
    pub(super) announced: Option<u32>,
    /// It was 101, and asked for.
    pub(super) upgraded: bool,
}

impl ResponseRelay {
    /// A response of which nothing has come.
    pub(super) fn new() -> Self {
        Self {
            has_head: false,
            progress: BodyProgress::UntilClose,
            decoder: None,
            ready: 0,
            sent: 0,
            began: false,
            bytes_out: 0,
            is_begun: false,
            status: None,
            close: false,
            is_open_ended: true,
            persists: false,
            announced: None,
            upgraded: false,
        }
    }

    /// Everything has been written to the client.
    pub(super) fn is_finished(&self, buffers: &Buffers) -> bool {
        self.has_head && self.progress.is_done() && !self.has_output(buffers)
    }

    /// Something waits to be written to the client.
    pub(super) fn has_output(&self, buffers: &Buffers) -> bool {
        self.ready > 0 || self.sent < buffers.to_client.len()
    }

    /// The final head has been taken.
    pub(super) fn has_head(&self) -> bool {
        self.has_head
    }

    /// True when the target's connection can take another request: nothing came after this
    /// response, and the target keeps the connection.
    pub(super) fn is_target_reusable(&self, buffers: &Buffers) -> bool {
        self.persists && !self.upgraded && buffers.from_target.filled().is_empty()
    }

    /// Reads once, if there is room, and takes in what came.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut impl Side,
        buffers: &mut Buffers,
        terms: Terms<'_>,
    ) -> Poll<Result<(), Failure>> {
        let finished = self.has_head && self.progress.is_done();
        let backlog = buffers.to_client.len() - self.sent;
        if finished || backlog > BACKLOG || buffers.from_target.is_full() {
            return Poll::Pending;
        }
        match ready!(buffers.from_target.poll_fill(target, cx)) {
            Ok(0) => Poll::Ready(self.end(terms.is_cut)),
            Ok(_) => {
                self.began = true;
                Poll::Ready(self.take_in(buffers, terms))
            }
            Err(_) => Poll::Ready(Err(self.broken())),
        }
    }

    /// The target's stream ended.
    fn end(&mut self, is_cut: bool) -> Result<(), Failure> {
        match self.progress {
            BodyProgress::UntilClose if self.has_head && !is_cut => {
                self.progress = BodyProgress::Done;
                Ok(())
            }
            _ => Err(self.broken()),
        }
    }

    fn broken(&self) -> Failure {
        match self.has_head {
            true => Failure::TargetTruncated,
            false => Failure::TargetClosed,
        }
    }

    fn take_in(&mut self, buffers: &mut Buffers, terms: Terms<'_>) -> Result<(), Failure> {
        while !self.has_head {
            if !self.take_head(buffers, terms)? {
                return Ok(());
            }
        }
        self.take_body(buffers)
    }

    /// Takes one head, interim or final; false when it is not complete.
    fn take_head(&mut self, buffers: &mut Buffers, terms: Terms<'_>) -> Result<bool, Failure> {
        let Buffers {
            from_target,
            to_client,
            set_cookies,
            ..
        } = buffers;
        let request = terms.request;
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let parsed = parse_response(from_target.filled(), &mut slots, HEAD, request.to_head);
        let Some(head) = parsed.map_err(Failure::Response)? else {
            if from_target.is_full() {
                from_target.grow(HEAD.bytes);
            }
            return Ok(false);
        };
        let client = request.version;
        let length = head.bytes.len();
        if head.is_interim() {
            // RFC 9110 section 15.2: HTTP/1.0 has no 1xx.
            if client == Version::Http11 {
                write_response(
                    to_client,
                    &head,
                    ResponseEdit {
                        client,
                        close: false,
                        edits: None,
                    },
                );
            }
            from_target.consume(length);
            return Ok(true);
        }
        if head.status == 101 && !request.upgrade {
            return Err(Failure::Response(ResponseFault::UnaskedUpgrade));
        }
        self.has_head = true;
        self.status = Some(head.status);
        self.upgraded = head.status == 101;
        self.persists = head.persists();
        self.announced = head.keep_alive_timeout;
        self.progress = BodyProgress::new(head.body);
        let until_close = head.body == BodyLength::UntilClose;
        if client == Version::Http10 && head.body == BodyLength::Chunked {
            self.decoder = Some(ChunkedDecoder::default());
        }
        self.is_open_ended = until_close || self.decoder.is_some();
        self.close = terms.closing || !request.persists || self.is_open_ended;
        write_response(
            to_client,
            &head,
            ResponseEdit {
                client,
                close: self.close,
                edits: terms.edits,
            },
        );
        if !set_cookies.is_empty() {
            set_cookies.insert(to_client, head.fields);
        }
        from_target.consume(length);
        Ok(true)
    }

    fn take_body(&mut self, buffers: &mut Buffers) -> Result<(), Failure> {
        let Buffers {
            from_target,
            to_client,
            ..
        } = buffers;
        let bad = |_| Failure::Response(ResponseFault::BadChunk);
        if let Some(decoder) = &mut self.decoder {
            take_chunks(decoder, from_target, to_client).map_err(bad)?;
            if decoder.is_done() {
                self.progress = BodyProgress::Done;
            }
            return Ok(());
        }
        let fresh = from_target.filled().get(self.ready..).unwrap_or_default();
        self.ready += self.progress.accept(fresh).map_err(bad)?;
        if self.sent == 0 && !to_client.is_empty() && self.ready <= SMALL_BODY {
            to_client.extend_from_slice(from_target.filled().get(..self.ready).unwrap_or_default());
            from_target.consume(self.ready);
            self.ready = 0;
        }
        Ok(())
    }

    /// Writes once what waits for the client.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut impl Side,
        buffers: &mut Buffers,
    ) -> Poll<Result<(), Failure>> {
        let Buffers {
            from_target,
            to_client,
            ..
        } = buffers;
        let head = to_client.get(self.sent..).unwrap_or_default();
        let body = from_target.filled().get(..self.ready).unwrap_or_default();
        if head.is_empty() && body.is_empty() {
            return Poll::Pending;
        }
        let Ok(written) = ready!(client.poll_write(cx, head, body)) else {
            return Poll::Ready(Err(Failure::ClientClosed));
        };
        let of_head = written.min(head.len());
        self.sent += of_head;
        self.bytes_out += written as u64;
        from_target.consume(written - of_head);
        self.ready -= written - of_head;
        if self.sent == to_client.len() {
            to_client.clear();
            self.sent = 0;
        }
        // After whole interim heads another answer may still follow.
        self.is_begun = self.has_head || self.sent > 0;
        Poll::Ready(Ok(()))
    }
}

/// Moves the data of chunks to `out`.
fn take_chunks(
    decoder: &mut ChunkedDecoder,
    from: &mut Buffer,
    out: &mut Vec<u8>,
) -> Result<(), super::http1::ChunkFault> {
    loop {
        match decoder.step(from.filled())? {
            Step::Framing(0) => return Ok(()),
            Step::Framing(count) => from.consume(count),
            Step::Data(count) => {
                out.extend_from_slice(from.filled().get(..count).unwrap_or_default());
                from.consume(count);
            }
        }
    }
}
