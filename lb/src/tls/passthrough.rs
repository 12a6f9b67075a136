//! TLS that passes through: the ClientHello is read, the rules choose by it, and the bytes go on as
//! they came.
//!
//! Called by the worker for every connection of a `tls-passthrough` listener. Keeps what it read for
//! the target; reads no more than one ClientHello takes, for as long as a handshake may take.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::Session;
use super::client_hello::{ClientHello, Fault, MAX_BYTES, Progress};
use super::failure::{HandshakeFailure, HandshakeReason};
use super::serve::refuse;
use crate::context::WorkerContext;
use crate::snapshot::Listener;
use crate::stream::{Accepted, Side as _, Stream};

/// Bytes a read makes room for beyond those that must come.
const ROOM: usize = 2048;

/// Serves a client's connection to its end.
pub(crate) async fn serve(
    mut accepted: Accepted,
    listener: Arc<Listener>,
    context: Rc<WorkerContext>,
) {
    let started = Instant::now();
    let mut reader = HelloReader::default();
    let reading = poll_fn(|cx| reader.poll(cx, &mut accepted.stream));
    let read = match tokio::time::timeout(listener.header_timeout, reading).await {
        Ok(read) => read,
        Err(_elapsed) => Err(HandshakeFailure::too_slow()),
    };
    match read {
        Ok(hello) => {
            let session = Rc::new(Session::passing(hello));
            let ahead = reader.bytes;
            // Boxed: reading the hello, which is soon over, should not carry the room for a flow.
            let flow = crate::l4::serve_asked(accepted, Some(session), ahead, listener, context);
            Box::pin(flow).await;
        }
        Err(failure) => {
            accepted.stream.reset();
            let ends = (accepted.peer, accepted.local);
            refuse(&failure, ends, started, &listener, &context);
        }
    }
}

/// Reads until a ClientHello is whole.
#[derive(Debug, Default)]
struct HelloReader {
    /// All that came.
    bytes: Vec<u8>,
    /// It is not worth looking again before so many came.
    needed: usize,
}

impl HelloReader {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<ClientHello, HandshakeFailure>> {
        loop {
            let there = self.bytes.len();
            let room = (self.needed.max(there) + ROOM).min(MAX_BYTES + ROOM);
            self.bytes.resize(room, 0);
            let free = self.bytes.get_mut(there..).unwrap_or_default();
            let read = stream.poll_read(cx, free);
            let came = match &read {
                Poll::Ready(Ok(count)) => *count,
                _ => 0,
            };
            self.bytes.truncate(there + came);
            if ready!(read)? == 0 {
                let end = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Poll::Ready(Err(end.into()));
            }
            if self.bytes.len() < self.needed {
                continue;
            }
            match ClientHello::read(&self.bytes) {
                Ok(Progress::Whole(hello)) => return Poll::Ready(Ok(hello)),
                Ok(Progress::Needs(needed)) => self.needed = needed,
                Err(fault) => return Poll::Ready(Err(fault.into())),
            }
        }
    }
}

impl From<Fault> for HandshakeFailure {
    fn from(fault: Fault) -> Self {
        let reason = match fault {
            Fault::NotTls => HandshakeReason::NotTls,
            Fault::Malformed | Fault::TooLong => HandshakeReason::Malformed,
        };
        Self::new(reason, std::io::Error::other(fault))
    }
}
