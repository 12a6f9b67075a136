//! What the comparison's small programs share: a latency histogram, an epoll loop, the answer that
//! HTTP targets give and load generators expect.
//!
//! Called by the binaries in `src/bin` only, which `benches/compare/run` starts. Nothing here may
//! know a plane of Pointsman: peers and Pointsman are measured by the same means.
#![forbid(unsafe_code)]

mod histogram;
mod poll;

pub use histogram::Histogram;
pub use poll::Poll;

/// The body every HTTP target answers with: 128 bytes.
pub const BODY: [u8; 128] = [b'x'; 128];

/// The whole answer of an HTTP target: the head of a plain origin, then [`BODY`].
pub fn http_answer() -> Vec<u8> {
    let mut answer =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n".to_vec();
    answer.extend_from_slice(&BODY);
    answer
}
