//! Waits for a client connection's PROXY header, and says whose the connection is.
//!
//! Run by the worker before anything else reads the connection. Bytes are looked at where the kernel
//! keeps them and taken only once they are known to be a header, so that whatever follows, and what
//! turns out to be none, is the next one's to read.
//!
//! Cost: two calls for a header that came whole, one more per piece, and a timer.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use conf::{ProxyIn, ProxyInMode};
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::header::{Fault, Header, MAX_HEADER, Parsed, parse};
use crate::context::WorkerContext;
use crate::metrics::RejectReason;

/// What became of waiting.
enum Outcome {
    Header(Header),
    /// What came is no header.
    Absent,
    /// Nothing in time that tells: no byte of a header, or its beginning.
    Late(bool),
    /// The client has ended its side: before a header, or within it.
    Ended(bool),
    Fault(Fault),
}

/// What `peer`'s connection begins with: `None` without a header, which is taken off it.
///
/// # Errors
/// Why the connection is to be refused.
pub(crate) async fn receive(
    stream: &TcpStream,
    peer: IpAddr,
    settings: &ProxyIn,
    context: &WorkerContext,
) -> Result<Option<Header>, RejectReason> {
    let trusted = trusts(settings, peer);
    let required = settings.mode == ProxyInMode::Required;
    if required && !trusted {
        return Err(RejectReason::ProxyHeaderUntrusted);
    }
    match wait(stream, settings.timeout, context).await {
        Outcome::Header(_) if !trusted => Err(RejectReason::ProxyHeaderUntrusted),
        Outcome::Header(header) => Ok(Some(header)),
        Outcome::Absent | Outcome::Late(false) | Outcome::Ended(false) if !required => Ok(None),
        Outcome::Absent | Outcome::Ended(false) => Err(RejectReason::ProxyHeaderMissing),
        Outcome::Late(_) => Err(RejectReason::ProxyHeaderTimeout),
        Outcome::Ended(true) | Outcome::Fault(Fault::Malformed) => {
            Err(RejectReason::ProxyHeaderMalformed)
        }
        Outcome::Fault(Fault::TooLarge) => Err(RejectReason::ProxyHeaderTooLarge),
        Outcome::Fault(Fault::Checksum) => Err(RejectReason::ProxyHeaderChecksum),
    }
}

/// Everybody is trusted unless somebody is named; who comes over a Unix socket, and has no address, by the
/// mode of its file.
fn trusts(settings: &ProxyIn, peer: IpAddr) -> bool {
    if peer.is_unspecified() {
        return true;
    }
    let peer = peer.to_canonical();
    let mut networks = settings.trusted.iter();
    settings.trusted.is_empty() || networks.any(|network| network.contains(&peer))
}

async fn wait(stream: &TcpStream, patience: Duration, context: &WorkerContext) -> Outcome {
    let due = Instant::now() + patience;
    let mut seen = 0;
    let mut begun = false;
    loop {
        let Ok(ready) = timeout_at(due, stream.ready(Interest::READABLE)).await else {
            return Outcome::Late(begun);
        };
        // A socket whose readiness cannot be asked for is gone.
        let Ok(ready) = ready else {
            return Outcome::Ended(begun);
        };
        match look(stream, seen, context) {
            Ok((_, Ok(Parsed::Absent))) => return Outcome::Absent,
            Ok((_, Err(fault))) => return Outcome::Fault(fault),
            Ok((_, Ok(Parsed::Header(length, header)))) => {
                return match take(stream, length, context) {
                    Ok(()) => Outcome::Header(header),
                    Err(_) => Outcome::Ended(true),
                };
            }
            Ok((0, Ok(Parsed::Incomplete(_)))) => return Outcome::Ended(begun),
            Ok((length, Ok(Parsed::Incomplete(is_header)))) => {
                (seen, begun) = (length, is_header);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.is_read_closed() {
                    return Outcome::Ended(begun);
                }
            }
            Err(_) => return Outcome::Ended(begun),
        }
    }
}

/// Looks at what the kernel has; `WouldBlock` when it is no more than the `seen` bytes of before, so
/// that the next wait is for more.
fn look(
    stream: &TcpStream,
    seen: usize,
    context: &WorkerContext,
) -> io::Result<(usize, Result<Parsed, Fault>)> {
    stream.try_io(Interest::READABLE, || {
        context.copy_buffer().with(|buffer| {
            let room = buffer.get_mut(..MAX_HEADER).unwrap_or_default();
            let (_, length) = recv(stream, &mut *room, RecvFlags::PEEK)?;
            if seen > 0 && length == seen {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok((length, parse(room.get(..length).unwrap_or_default())))
        })
    })
}

/// Takes the header's bytes, all of which are there.
fn take(stream: &TcpStream, length: usize, context: &WorkerContext) -> io::Result<()> {
    context.copy_buffer().with(|buffer| {
        let room = buffer.get_mut(..length).unwrap_or_default();
        let (_, taken) = recv(stream, room, RecvFlags::empty())?;
        match taken == length {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    })
}
