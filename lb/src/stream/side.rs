//! What the data paths ask of a byte stream.
//!
//! Clear-text TCP is one instance, and [`Stream`](super::Stream) chooses among all there are. Never
//! buffers.
//!
//! A write that is pending may have taken bytes already: whoever tries again begins with the same
//! ones.
//!
//! Cost: one syscall per read or write, none when tokio's readiness says it would block; a short
//! read clears readiness, so that no call is made only to learn that there is nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A byte stream that can be watched.
pub(crate) trait Side {
    /// Reads once into `room`, which must not be empty; 0 is the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Ready when reading would find bytes, the end or an error. Makes no syscall.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Writes `first`, then `second`, with one call; either may be empty.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>>;

    /// True while a write is pending of which some may be out.
    fn is_writing(&self) -> bool {
        false
    }

    /// True when what was written came to nothing, and the other end says so or cannot have seen it.
    fn is_untouched(&self) -> bool {
        false
    }

    /// True when an end that is read was said by the other end: after a reset there is none.
    fn tells_end(&self) -> bool {
        false
    }

    /// Tells the other end that no more will be written.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Side for TcpStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        ready!(AsyncRead::poll_read(Pin::new(self), cx, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_read_ready(cx).map(drop)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        match (first.is_empty(), second.is_empty()) {
            (_, true) => AsyncWrite::poll_write(Pin::new(self), cx, first),
            (true, false) => AsyncWrite::poll_write(Pin::new(self), cx, second),
            (false, false) => {
                let both = [IoSlice::new(first), IoSlice::new(second)];
                AsyncWrite::poll_write_vectored(Pin::new(self), cx, &both)
            }
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(self), cx)
    }
}
