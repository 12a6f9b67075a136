//! How many TCP segments a connection has carried: what flow logs call packets.
//!
//! Asked once per flow, at its end, and only when flows are logged.

#![expect(unsafe_code, reason = "TCP_INFO's later fields have no safe wrapper")]

use std::os::fd::{AsRawFd, BorrowedFd};

/// Where `struct tcp_info` (linux/tcp.h) has `tcpi_segs_out`; `tcpi_segs_in` follows. Both since
/// Linux 4.2; what is longer is cut by the kernel, what is shorter told by the length.
const SEGMENTS_OUT: usize = 136;

const LEN: usize = SEGMENTS_OUT + 8;

/// Segments received and sent; `None` when the socket is not TCP or the kernel too old.
pub(super) fn segments(socket: BorrowedFd<'_>) -> Option<(u64, u64)> {
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
    let (_, counts) = info.split_at_checked(SEGMENTS_OUT)?;
    let (sent, received) = counts.split_first_chunk()?;
    let received: [u8; 4] = received.try_into().ok()?;
    let known = result == 0 && len as usize == LEN;
    let count = |bytes| u64::from(u32::from_ne_bytes(bytes));
    known.then(|| (count(received), count(*sent)))
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
        assert_eq!(segments(std::io::stdin().as_fd()), None);
    }
}
