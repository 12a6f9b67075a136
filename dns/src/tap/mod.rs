//! What was asked and answered, for the query log and for dnstap.
//!
//! Every answering thread has a [`Tap`] with a bounded ring of its own, made when it is first
//! needed; one writer thread empties the rings, writes lines and frames, and is the only one that
//! touches files and sockets. A full ring drops and counts; nothing here ever makes an answer wait.
//! Cost while off: one relaxed load per query; while on: two copies and one push for a sampled one.

mod dnstap;
mod text;
mod writer;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use crate::wire::Transport;
pub(crate) use writer::{Command, Writer};

/// Bytes a thread's ring holds: some thousand small queries with their answers.
const RING: usize = 512 * 1024;
/// Bytes before the packets of a record: lengths, time, transport, family, address.
const HEAD: usize = 4 + 4 + 8 + 1 + 1 + 16;

/// What threads and writer both look at.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// One query of so many is recorded; 0: none.
    sample: AtomicU32,
    /// True once something was put into a ring since the writer last looked.
    stirred: AtomicBool,
    /// Records that found no room.
    dropped: AtomicU64,
}

/// The threads' side.
#[derive(Debug)]
pub(crate) struct Hub {
    flags: Arc<Flags>,
    commands: mpsc::Sender<Command>,
}

/// A hub, and what a writer is made from when one is wanted.
pub(crate) fn hub() -> (Hub, (mpsc::Receiver<Command>, Arc<Flags>)) {
    let (commands, received) = mpsc::channel();
    let flags = Arc::<Flags>::default();
    let hub = Hub {
        flags: flags.clone(),
        commands,
    };
    (hub, (received, flags))
}

impl Hub {
    /// Changes how much is recorded.
    pub(crate) fn set_sample(&self, sample: u32) {
        self.flags.sample.store(sample, Ordering::Relaxed);
    }

    /// Records that found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.flags.dropped.load(Ordering::Relaxed)
    }

    /// Tells the writer.
    pub(crate) fn tell(&self, command: Command) {
        // An error means that the writer has ended: nothing is recorded any more.
        let _ = self.commands.send(command);
    }
}

/// A thread's end.
#[derive(Debug)]
pub(crate) struct Tap {
    hub: Arc<Hub>,
    ring: Option<rtrb::Producer<u8>>,
    scratch: Vec<u8>,
    count: u32,
}

impl Tap {
    /// Without a ring yet.
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            ring: None,
            scratch: Vec::new(),
            count: 0,
        }
    }

    /// Records a query and its answer, if it is one of those that are; `unix` in microseconds.
    pub(crate) fn record(
        &mut self,
        query: &[u8],
        answer: &[u8],
        source: IpAddr,
        transport: Transport,
        unix: u64,
    ) {
        let sample = self.hub.flags.sample.load(Ordering::Relaxed);
        if sample == 0 {
            return;
        }
        self.count = self.count.wrapping_add(1);
        if !self.count.is_multiple_of(sample) {
            return;
        }
        self.push(query, answer, source, transport, unix);
    }

    #[cold]
    fn push(
        &mut self,
        query: &[u8],
        answer: &[u8],
        source: IpAddr,
        transport: Transport,
        unix: u64,
    ) {
        let hub = &self.hub;
        let ring = self.ring.get_or_insert_with(|| {
            let (producer, consumer) = rtrb::RingBuffer::new(RING);
            hub.tell(Command::Ring(consumer));
            producer
        });
        let (family, address) = match source.to_canonical() {
            IpAddr::V4(v4) => (4, v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => (6, v6.octets()),
        };
        self.scratch.clear();
        for length in [query.len(), answer.len()] {
            self.scratch
                .extend_from_slice(&(length as u32).to_ne_bytes());
        }
        self.scratch.extend_from_slice(&unix.to_ne_bytes());
        self.scratch.push(u8::from(transport == Transport::Tcp));
        self.scratch.push(family);
        self.scratch.extend_from_slice(&address);
        self.scratch.extend_from_slice(query);
        self.scratch.extend_from_slice(answer);
        match ring.push_entire_slice(&self.scratch) {
            Ok(()) => hub.flags.stirred.store(true, Ordering::Release),
            Err(_) => {
                hub.flags.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A record as the writer sees it.
#[derive(Debug)]
struct Recorded<'r> {
    unix: u64,
    transport: Transport,
    source: IpAddr,
    query: &'r [u8],
    answer: &'r [u8],
}

impl<'r> Recorded<'r> {
    /// The record at the start of `bytes`, and what follows it.
    fn split(bytes: &'r [u8]) -> Option<(Self, &'r [u8])> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let (query_len, head) = head.split_first_chunk::<4>()?;
        let (answer_len, head) = head.split_first_chunk::<4>()?;
        let (unix, head) = head.split_first_chunk::<8>()?;
        let (&[tcp, family], head) = head.split_first_chunk::<2>()?;
        let address = IpAddr::from(*head.first_chunk::<16>()?);
        let (query, rest) = rest.split_at_checked(u32::from_ne_bytes(*query_len) as usize)?;
        let (answer, rest) = rest.split_at_checked(u32::from_ne_bytes(*answer_len) as usize)?;
        let recorded = Self {
            unix: u64::from_ne_bytes(*unix),
            transport: if tcp == 1 {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            source: if family == 4 {
                address.to_canonical()
            } else {
                address
            },
            query,
            answer,
        };
        Some((recorded, rest))
    }
}

#[cfg(test)]
mod tests;
