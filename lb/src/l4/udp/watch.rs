//! A descriptor that the worker's runtime watches for something to read: those of datagrams, and listening
//! Unix sockets.

#![expect(
    unsafe_code,
    reason = "registering a descriptor with the runtime has no safe form any more"
)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches `fd`, which is not blocking.
///
/// # Errors
/// When the runtime's event queue takes no more.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, stays so while it lives, and always has the same number.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    watched.map_err(|error| error.into_parts().1)
}
