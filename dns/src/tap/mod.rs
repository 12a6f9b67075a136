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
use std::sync::{Arc, PoisonError, mpsc};

use crate::wire::Transport;
pub(crate) use writer::{Command, Writer};

/// Bytes a thread's ring holds: some thousand small queries with their answers.
const RING: usize = 512 * 1024;
/// Bytes before the packets of a record: lengths, time, transport and kind, family, address.
const HEAD: usize = 4 + 4 + 8 + 1 + 1 + 16;

/// What kind of exchange a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A question answered here.
    Answered,
    /// An update (RFC 2136).
    Update,
    /// A question passed on to another server.
    Forwarded,
}

/// Who asked what, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'q> {
    pub(crate) kind: Kind,
    pub(crate) packet: &'q [u8],
    pub(crate) source: IpAddr,
    pub(crate) transport: Transport,
}

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
    /// For answers that do not come from a thread that answers: updates, and other servers' answers.
    late: Late,
}

#[expect(
    clippy::disallowed_types,
    reason = "taken by threads that pass on what others answered, never by one that answers itself"
)]
type Late = std::sync::Mutex<Pen>;

/// A hub, and what a writer is made from when one is wanted.
pub(crate) fn hub() -> (Hub, (mpsc::Receiver<Command>, Arc<Flags>)) {
    let (commands, received) = mpsc::channel();
    let flags = Arc::<Flags>::default();
    let hub = Hub {
        flags: flags.clone(),
        commands,
        late: Late::default(),
    };
    (hub, (received, flags))
}

impl Hub {
    /// Changes how much is recorded.
    pub(crate) fn set_sample(&self, sample: u32) {
        self.flags.sample.store(sample, Ordering::Relaxed);
    }

    /// True when anything is recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.flags.sample.load(Ordering::Relaxed) > 0
    }

    /// Records an answer that comes from a thread without a [`Tap`]; `unix` in microseconds.
    pub(crate) fn record(&self, query: Query<'_>, answer: &[u8], unix: u64) {
        let sample = self.flags.sample.load(Ordering::Relaxed);
        if sample > 0 {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            late.record(self, sample, (query, answer), unix);
        }
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
    pen: Pen,
}

/// A ring's writing end.
#[derive(Debug, Default)]
struct Pen {
    ring: Option<rtrb::Producer<u8>>,
    scratch: Vec<u8>,
    count: u32,
}

impl Tap {
    /// Without a ring yet.
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            pen: Pen::default(),
        }
    }

    /// Where what is answered elsewhere is recorded.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Records a query and its answer, if it is one of those that are; `unix` in microseconds.
    #[inline]
    pub(crate) fn record(&mut self, query: Query<'_>, answer: &[u8], unix: u64) {
        let sample = self.hub.flags.sample.load(Ordering::Relaxed);
        if sample > 0 {
            self.pen.record(&self.hub, sample, (query, answer), unix);
        }
    }
}

impl Pen {
    #[cold]
    fn record(&mut self, hub: &Hub, sample: u32, (query, answer): (Query<'_>, &[u8]), unix: u64) {
        self.count = self.count.wrapping_add(1);
        if !self.count.is_multiple_of(sample) {
            return;
        }
        let ring = self.ring.get_or_insert_with(|| {
            let (producer, consumer) = rtrb::RingBuffer::new(RING);
            hub.tell(Command::Ring(consumer));
            producer
        });
        let (family, address) = match query.source.to_canonical() {
            IpAddr::V4(v4) => (4, v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => (6, v6.octets()),
        };
        self.scratch.clear();
        for length in [query.packet.len(), answer.len()] {
            self.scratch
                .extend_from_slice(&(length as u32).to_ne_bytes());
        }
        self.scratch.extend_from_slice(&unix.to_ne_bytes());
        let tcp = u8::from(query.transport == Transport::Tcp);
        self.scratch.push(tcp | (query.kind as u8) << 1);
        self.scratch.push(family);
        self.scratch.extend_from_slice(&address);
        self.scratch.extend_from_slice(query.packet);
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
    kind: Kind,
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
        let (&[how, family], head) = head.split_first_chunk::<2>()?;
        let address = IpAddr::from(*head.first_chunk::<16>()?);
        let (query, rest) = rest.split_at_checked(u32::from_ne_bytes(*query_len) as usize)?;
        let (answer, rest) = rest.split_at_checked(u32::from_ne_bytes(*answer_len) as usize)?;
        let recorded = Self {
            unix: u64::from_ne_bytes(*unix),
            kind: match how >> 1 {
                1 => Kind::Update,
                2 => Kind::Forwarded,
                _ => Kind::Answered,
            },
            transport: match how & 1 {
                1 => Transport::Tcp,
                _ => Transport::Udp,
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
