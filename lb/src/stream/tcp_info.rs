//! What the kernel knows of a TCP connection: how many segments it has carried, which flow logs call
//! packets, and how long its round trips take.
//!
//! Asked once per connection, at its end, and only when flows are logged or times are measured.

#![expect(unsafe_code, reason = "TCP_INFO's later fields have no safe wrapper")]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Where `struct tcp_info` (linux/tcp.h) has `tcpi_segs_out`; `tcpi_segs_in` follows. Both since
/// Linux 4.2; what is longer is cut by the kernel, what is shorter told by the length.
const SEGMENTS_OUT: usize = 136;

/// Where it has `tcpi_unacked`, in segments.
const UNACKED: usize = 24;

/// Where it has `tcpi_notsent_bytes`, since Linux 4.6.
const NOT_SENT: usize = 144;

/// Where it has `tcpi_min_rtt`, in microseconds, since Linux 4.6.
const MIN_RTT: usize = 148;

const LEN: usize = MIN_RTT + 4;

/// Segments received and sent; `None` when the socket is not TCP or the kernel too old.
pub(super) fn segments(socket: BorrowedFd<'_>) -> Option<(u64, u64)> {
    let info = info::<{ SEGMENTS_OUT + 8 }>(socket)?;
    let (_, counts) = info.split_at_checked(SEGMENTS_OUT)?;
    let (sent, received) = counts.split_first_chunk()?;
    let received: [u8; 4] = received.try_into().ok()?;
    let count = |bytes| u64::from(u32::from_ne_bytes(bytes));
    Some((count(received), count(*sent)))
}

/// The shortest round trip of late; `None` when the kernel measured none, or is too old.
pub(crate) fn shortest_round_trip(socket: BorrowedFd<'_>) -> Option<Duration> {
    let info = info::<LEN>(socket)?;
    let micros = u32::from_ne_bytes(*info.last_chunk()?);
    // All ones: no round trip was measured.
    (micros != u32::MAX && micros != 0).then(|| Duration::from_micros(u64::from(micros)))
}

/// What the other end has not received yet: segments on their way, and bytes that wait to be sent. Nothing
/// when the kernel does not tell.
pub(super) fn undelivered(socket: BorrowedFd<'_>) -> (u32, u32) {
    let Some(info) = info::<LEN>(socket) else {
        return (0, 0);
    };
    let field = |at: usize| {
        let bytes = info.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    (field(UNACKED), field(NOT_SENT))
}

/// The first bytes of `struct tcp_info`; `None` when there are not so many.
fn info<const LEN: usize>(socket: BorrowedFd<'_>) -> Option<[u8; LEN]> {
    let mut info = [0u8; LEN];
    let mut len = LEN as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the buffer's length, and sets `len`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    (result == 0 && len as usize == LEN).then_some(info)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the other end is a test's own")]
    fn segments_of_a_connection_are_counted_both_ways() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let before = segments(server.as_fd()).unwrap();
        for _ in 0..5 {
            client.write_all(b"ask").unwrap();
            server.read_exact(&mut [0; 3]).unwrap();
            server.write_all(b"answer").unwrap();
            client.read_exact(&mut [0; 6]).unwrap();
        }
        let after = segments(server.as_fd()).unwrap();
        assert!(
            after.0 >= before.0 + 5 && after.1 >= before.1 + 5,
            "{before:?} {after:?}"
        );
        let shortest = shortest_round_trip(server.as_fd()).unwrap();
        assert!(shortest < Duration::from_secs(5), "{shortest:?}");
        // Acknowledgements take their time.
        let give_up = std::time::Instant::now() + Duration::from_secs(20);
        while undelivered(server.as_fd()) != (0, 0) {
            assert!(std::time::Instant::now() < give_up);
            std::thread::yield_now();
        }
        server.set_nonblocking(true).unwrap();
        while server.write(&[0; 65_536]).is_ok() {}
        assert_ne!(undelivered(server.as_fd()), (0, 0));
        assert_eq!(segments(std::io::stdin().as_fd()), None);
        assert_eq!(shortest_round_trip(std::io::stdin().as_fd()), None);
    }
}
