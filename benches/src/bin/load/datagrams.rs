//! UDP messages to an echo: every socket sends, waits for its answer, sends again.
//!
//! Called by `main`. An answer that does not come within [`PATIENCE`] counts as lost, which is no
//! failure (UDP may lose), and the socket goes on; another answer than what was sent is one.
//!
//! Cost: per message one send, a share of one epoll_wait, one recv, one clock reading.
#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time; there is no worker clock here"
)]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use benches::Poll;

use crate::driver::Outcome;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(500);

struct Flow {
    socket: UdpSocket,
    message: Vec<u8>,
    sent: Instant,
}

impl Flow {
    fn open(address: SocketAddr, size: usize, token: usize) -> io::Result<Self> {
        let own = if address.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(own)?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            message: vec![token as u8; size.max(8)],
            sent: Instant::now(),
        })
    }

    /// Sends another message than before, so that a late answer is told from the awaited one.
    fn send(&mut self) -> io::Result<()> {
        if let Some((number, _)) = self.message.split_first_chunk_mut::<8>() {
            *number = u64::from_le_bytes(*number)
                .wrapping_add(1 << 8)
                .to_le_bytes();
        }
        self.sent = Instant::now();
        self.socket.send(&self.message).map(drop)
    }
}

/// Runs `count` sockets against `address` for `length`, with messages of `size` bytes, 8 at least.
pub fn run(
    address: SocketAddr,
    count: usize,
    size: usize,
    length: Duration,
) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut flows = (0..count)
        .map(|token| {
            let flow = Flow::open(address, size, token)?;
            poll.add_readable(&flow.socket, token)?;
            Ok(flow)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let mut outcome = Outcome::default();
    let mut buffer = vec![0; 65_536];
    let mut tokens = Vec::new();
    let start = Instant::now();
    for flow in &mut flows {
        flow.send()?;
    }
    let mut swept = start;
    while start.elapsed() < length && outcome.failures == 0 {
        tokens.clear();
        poll.wait(Some(PATIENCE), &mut tokens)?;
        for &token in &tokens {
            let Some(flow) = flows.get_mut(token) else {
                continue;
            };
            answer(flow, &mut buffer, &mut outcome)?;
        }
        if swept.elapsed() >= PATIENCE {
            swept = Instant::now();
            for flow in flows
                .iter_mut()
                .filter(|flow| flow.sent.elapsed() >= PATIENCE)
            {
                outcome.lost += 1;
                flow.send()?;
            }
        }
    }
    outcome.length = start.elapsed();
    Ok(outcome)
}

fn answer(flow: &mut Flow, buffer: &mut [u8], outcome: &mut Outcome) -> io::Result<()> {
    let length = match flow.socket.recv(buffer) {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => {
            outcome.failures += 1;
            outcome.first_failure.get_or_insert(error.to_string());
            return Ok(());
        }
    };
    let heard = buffer.get(..length).unwrap_or_default();
    if heard == flow.message {
        outcome.latencies.record(flow.sent.elapsed());
        outcome.bytes += length as u64;
        flow.send()?;
    } else if heard.len() != flow.message.len() || heard.get(8..) != flow.message.get(8..) {
        outcome.failures += 1;
        let reason = format!("{length} bytes came back, others than were sent");
        outcome.first_failure.get_or_insert(reason);
    }
    Ok(())
}
