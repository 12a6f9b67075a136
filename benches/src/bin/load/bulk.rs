//! Reads an endless source through the measured server and counts the bytes.
//!
//! Called by `main`. The bytes are discarded inside the kernel (MSG_TRUNC), so that the generator
//! is not what limits the server.
//!
//! Cost: per event one recv without a copy.
#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time; there is no worker clock here"
)]

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use benches::Poll;
use rustix::net::{RecvFlags, recv};

use crate::driver::{Outcome, connect};

/// Bytes asked for per event.
const CHUNK: usize = 1024 * 1024;

/// Reads from `count` connections to `address` for `length`.
pub fn read(address: SocketAddr, count: usize, length: Duration) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let streams = (0..count)
        .map(|token| connect(&poll, address, token))
        .collect::<io::Result<Vec<TcpStream>>>()?;
    let mut outcome = Outcome::default();
    let mut buffer = vec![0; CHUNK];
    let mut tokens = Vec::new();
    let start = Instant::now();
    while start.elapsed() < length && outcome.failures == 0 {
        tokens.clear();
        let left = length.saturating_sub(start.elapsed());
        poll.wait(Some(left), &mut tokens)?;
        for stream in tokens.iter().filter_map(|&token| streams.get(token)) {
            match recv(stream, buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((_, 0)) => fail(&mut outcome, "the source ended".to_owned()),
                Ok((_, received)) => outcome.bytes += received as u64,
                Err(rustix::io::Errno::AGAIN) => {}
                Err(error) => fail(&mut outcome, error.to_string()),
            }
        }
    }
    outcome.length = start.elapsed();
    Ok(outcome)
}

fn fail(outcome: &mut Outcome, reason: String) {
    outcome.failures += 1;
    outcome.first_failure.get_or_insert(reason);
}
