//! A byte stream over TLS: the shell around rustls that reads and writes one socket.
//!
//! Made by the terminator for clients, by [`TargetTls`] for targets. What a write took is owed until the last of it is with the kernel: until
//! then the write is pending, and whoever tries again begins with the same bytes, so nothing is left
//! behind when the data path falls silent. When dropped it says that it ends (close_notify), unless
//! it was reset.
//!
//! Cost: a read is one syscall for up to a buffer of records; a write of head and body one record
//! and one syscall. Per record one allocation either way, within rustls.

use std::io::{self, IoSlice, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{ClientConnection, Connection, ServerConnection};
use tokio::time::Instant;

use super::certificates::chosen;
use super::{ClientIdentity, Scratch, Session, TargetTls};
use crate::stream::{Side, Stream};

/// Bytes taken by one write: four full records.
const MAX_WRITE: usize = 64 * 1024;

/// What records add to what they carry, at most: the socket is read for so much more than there is
/// room, so that whole records come. (RFC 8446 section 5.2)
const RECORD_OVERHEAD: usize = 512;

/// A stream over TLS.
#[derive(Debug)]
pub(crate) struct TlsStream {
    /// What carries it.
    socket: Stream,
    connection: Connection,
    /// What was agreed on.
    session: Option<Rc<Session>>,
    /// Whose target it leads to; `None` for a client.
    target: Option<Arc<TargetTls>>,
    /// The worker's, for what comes from the socket.
    scratch: Scratch,
    /// Ciphertext that was read and not yet taken by rustls, which stops at a full buffer.
    ahead: Vec<u8>,
    /// Bytes of the write under way; they are with rustls but not all with the kernel.
    owed: usize,
    /// The end was read: close_notify, or the socket's.
    ended: bool,
    /// It is not to say that it ends.
    silent: bool,
    /// Writing failed, by which the kernel has told of a reset: what ends now may be cut.
    broken: bool,
    /// What came breaks the protocol, or was an alert; rustls knows which.
    failed: bool,
    /// The first byte that came; 0 = none yet.
    first: u8,
    /// The certificate chosen in the handshake.
    certificate: Option<Arc<str>>,
    begun: Instant,
}

impl TlsStream {
    /// A server's side before its handshake.
    pub(super) fn to_client(
        socket: Stream,
        connection: ServerConnection,
        scratch: Scratch,
    ) -> Self {
        Self::new(socket, connection.into(), scratch, None)
    }

    /// A client's side before its handshake.
    pub(super) fn to_target(
        socket: Stream,
        connection: ClientConnection,
        scratch: Scratch,
        target: Arc<TargetTls>,
    ) -> Self {
        Self::new(socket, connection.into(), scratch, Some(target))
    }

    fn new(
        socket: Stream,
        mut connection: Connection,
        scratch: Scratch,
        target: Option<Arc<TargetTls>>,
    ) -> Self {
        connection.set_buffer_limit(Some(MAX_WRITE));
        Self {
            socket,
            connection,
            session: None,
            target,
            scratch,
            ahead: Vec::new(),
            owed: 0,
            ended: false,
            silent: true,
            broken: false,
            failed: false,
            first: 0,
            certificate: None,
            begun: Instant::now(),
        }
    }

    /// Ready when the handshake is done. After an error the client has been told why: by an alert,
    /// or by `clear_text_answer` when its first byte is that of an HTTP method.
    pub(super) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        clear_text_answer: &[u8],
    ) -> Poll<io::Result<()>> {
        while self.connection.is_handshaking() {
            ready!(self.poll_flush(cx))?;
            if !self.connection.is_handshaking() {
                break;
            }
            if self.ended {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let taken = ready!(self.poll_take_in(cx, &mut []));
            self.certificate = chosen().or(self.certificate.take());
            if let Err(error) = taken {
                // If the socket takes it: nobody waits for a client that breaks rules.
                let _ = match self.first.is_ascii_uppercase() {
                    true => self
                        .socket
                        .poll_write(cx, clear_text_answer, &[])
                        .map_ok(drop),
                    false => self.poll_flush(cx),
                };
                return Poll::Ready(Err(error));
            }
        }
        // Session tickets go out with the last flight.
        ready!(self.poll_flush(cx))?;
        if let Connection::Server(connection) = &self.connection {
            let mut session = Session::of(connection, self.begun.elapsed());
            session.certificate = self.certificate.take();
            self.session = Some(Rc::new(session));
        }
        self.silent = false;
        Poll::Ready(Ok(()))
    }

    /// True when it is a connection to a target of `tls`'s group.
    pub(crate) fn is_of(&self, tls: &Arc<TargetTls>) -> bool {
        let own = self.target.as_ref();
        own.is_some_and(|own| Arc::ptr_eq(own, tls))
    }

    /// What was agreed on.
    pub(crate) fn session(&self) -> Option<&Rc<Session>> {
        self.session.as_ref()
    }

    /// True when the handshake agreed on the application protocol `name` (RFC 7301).
    pub(super) fn agreed_on(&self, name: &[u8]) -> bool {
        self.connection.alpn_protocol() == Some(name)
    }

    /// Takes down who the client is by its certificate, if it showed one; `verified` says that it was
    /// looked at. Before anybody shares the session.
    pub(super) fn identify(&mut self, verified: bool) -> Option<&ClientIdentity> {
        let chain = self.connection.peer_certificates()?;
        let session = Rc::get_mut(self.session.as_mut()?)?;
        session.identity = ClientIdentity::new(chain, verified).map(Box::new);
        session.identity.as_deref()
    }

    /// TCP segments received and sent, if the kernel tells.
    pub(crate) fn segments(&self) -> Option<(u64, u64)> {
        self.socket.segments()
    }

    /// What the socket's other end has not received yet, if the kernel tells.
    pub(crate) fn undelivered(&self) -> (u32, u32) {
        self.socket.undelivered()
    }

    /// Makes it close with a reset.
    pub(crate) fn reset(&mut self) {
        self.silent = true;
        self.socket.reset();
    }

    /// Hands everything that is encrypted to the kernel.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let mut socket = Socket {
                socket: &mut self.socket,
                cx,
            };
            match self.connection.write_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => {
                    self.broken = true;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once from the socket, unless there is something ahead, and decrypts what came into
    /// `room`: how many bytes.
    fn poll_take_in(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            return Poll::Ready(self.decrypt(&ahead, room));
        }
        let scratch = self.scratch.clone();
        scratch.with(|buffer| {
            let wanted = match room.len() {
                0 => buffer.len(),
                room => buffer.len().min(room + RECORD_OVERHEAD),
            };
            let buffer = buffer.get_mut(..wanted).unwrap_or_default();
            let count = ready!(self.socket.poll_read(cx, buffer))?;
            if count == 0 {
                self.ended = true;
                // What has no length of its own might be cut short by who cannot read it.
                let strict = self
                    .target
                    .as_ref()
                    .is_some_and(|target| target.is_strict());
                return Poll::Ready(match strict || self.broken {
                    true => Err(io::ErrorKind::UnexpectedEof.into()),
                    false => Ok(0),
                });
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            if let (0, [first, ..]) = (self.first, bytes) {
                self.first = *first;
            }
            Poll::Ready(self.decrypt(bytes, room))
        })
    }

    /// Feeds rustls and takes clear text out until all of `bytes` is used or `room` is full; keeps
    /// what is left.
    fn decrypt(&mut self, mut bytes: &[u8], room: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !bytes.is_empty() {
            if self.connection.read_tls(&mut bytes)? == 0 {
                // Nothing counts after close_notify.
                return Ok(filled);
            }
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // What came before it in the same read is as good as ever.
                    self.failed = true;
                    let rest = room.get_mut(filled..).unwrap_or_default();
                    filled += self.take_clear(rest)?.0;
                    return match filled {
                        0 => Err(invalid(error)),
                        _ => Ok(filled),
                    };
                }
            };
            if state.plaintext_bytes_to_read() == 0 {
                if state.peer_has_closed() {
                    // Who said close_notify may wait for ours before it closes the socket
                    // (RFC 8446 section 6.1).
                    self.ended = true;
                    return Ok(filled);
                }
                continue;
            }
            let rest = room.get_mut(filled..).unwrap_or_default();
            let (count, is_full) = self.take_clear(rest)?;
            filled += count;
            if is_full {
                self.ahead = bytes.to_vec();
                break;
            }
        }
        Ok(filled)
    }

    /// Takes clear text that is there: how much, and whether there may be more than `room`.
    fn take_clear(&mut self, room: &mut [u8]) -> io::Result<(usize, bool)> {
        let mut filled = 0;
        loop {
            let rest = room.get_mut(filled..).unwrap_or_default();
            if rest.is_empty() {
                return Ok((filled, true));
            }
            match self.connection.reader().read(rest) {
                Ok(0) => {
                    self.ended = true;
                    return Ok((filled, false));
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((filled, false));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Side for TlsStream {
    fn is_writing(&self) -> bool {
        self.owed > 0
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let (filled, _) = self.take_clear(room)?;
        if filled > 0 {
            return Poll::Ready(Ok(filled));
        }
        loop {
            if self.failed {
                self.connection.process_new_packets().map_err(invalid)?;
            }
            // Many clients close without close_notify; what that could cut short has a length of
            // its own.
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            let filled = ready!(self.poll_take_in(cx, room))?;
            if self.owed == 0 && self.connection.wants_write() {
                // An alert; it waits for the next write when the socket is full. That it cannot be
                // sent is told at the end of what has come.
                let _ = self.poll_flush(cx);
            }
            if filled > 0 {
                return Poll::Ready(Ok(filled));
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What rustls holds back: after clear text it wants no more.
        if self.ended || self.failed || !self.ahead.is_empty() || !self.connection.wants_read() {
            return Poll::Ready(());
        }
        self.socket.poll_readable(cx)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.owed == 0 {
            // What is not the data path's own: an answer to a key update.
            ready!(self.poll_flush(cx))?;
            let both = [IoSlice::new(first), IoSlice::new(second)];
            self.owed = self.connection.writer().write_vectored(&both)?;
        }
        ready!(self.poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.owed)))
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.silent {
            self.silent = true;
            self.connection.send_close_notify();
        }
        ready!(self.poll_flush(cx))?;
        self.socket.poll_finish(cx)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        // In the middle of a write a close_notify would make a cut stream look whole.
        if self.silent || self.owed > 0 {
            return;
        }
        self.connection.send_close_notify();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        // A socket that takes no more leaves it unsaid.
        let _ = self.poll_flush(&mut cx);
    }
}

/// The socket as rustls writes to it.
struct Socket<'a, 'w> {
    socket: &'a mut Stream,
    cx: &'a mut Context<'w>,
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.socket.poll_write(self.cx, bytes, &[]) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.socket.poll_write_parts(self.cx, parts) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
